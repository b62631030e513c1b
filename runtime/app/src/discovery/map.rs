//! `GET /map`: what is inside of a box. Each object if there are few, otherwise the number of objects in each cell.

use super::{Routes, cards, kinds};
use crate::generated_routes;
use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use generated::event::EventCategory;
use kernel::{
    Result,
    input::Choice,
    own::{Asked, List, is_half, parameter},
    resource::Kind,
};
use serde_json::{Value, json};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

pub(super) const KINDS: &[&str] = &["event", "venue", "business", "institution"];
/// The kinds that are shown unless the caller asks for others.
const USUAL: &[&str] = &["event", "venue"];
/// The maximum number of objects that are shown individually.
const FEW: i32 = 100;
/// The default number of cells, and the largest and smallest that can be asked for.
const CELLS: i32 = 200;
const CELLS_MAX: i32 = 500;
const CELLS_MIN: i32 = 10;
/// The maximum number of objects of a kind that are considered; twice as many for events, which are at a place of
/// their own or at a venue.
const LOOK_MAX: i32 = 50_000;
/// The smallest width of a cell, about ten metres: objects closer to each other are shown at one place.
const CELL_MIN: f64 = 0.0001;

static LIST: List = List::new(
    "map",
    1,
    &[
        parameter("bbox", Kind::Point),
        parameter("types", Kind::Set(KINDS)),
        parameter("cells", Kind::Int),
        parameter("q", Kind::Search),
        parameter("city_id", Kind::Uuid),
        parameter("category", Kind::Enum(EventCategory::WORDS)),
        parameter("from", Kind::Time),
        parameter("to", Kind::Time),
    ],
)
.expanding_some(&cards::EXPANDS);

pub(super) async fn map(State(routes): State<Routes>, request: Request) -> Result<Response> {
    let (caller, uri) = generated_routes::asked(request);
    let mut asked = LIST.look(uri.query(), &routes.module.cursors, &caller);
    let (sides, cells) = wanted(&mut asked);
    let asked = asked.sound()?;
    let kinds = kinds(&asked, USUAL);
    let words = asked.text("q");
    let [west, south, east, north] = sides;
    let mut cx = routes.module.db.begin_search(&caller).await?;
    let rows = sqlx::query(
        "select * from app.map($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce($10, now()), $11, $12, $13, $14)",
    )
    .bind(&kinds)
    .bind(west)
    .bind(south)
    .bind(east)
    .bind(north)
    .bind(&words)
    .bind(words.as_deref().is_some_and(is_half))
    .bind(asked.id("city_id"))
    .bind(asked.text("category"))
    .bind(asked.begin("from"))
    .bind(asked.end("to"))
    .bind(cell(sides, cells))
    .bind(FEW)
    .bind(LOOK_MAX)
    .fetch_all(cx.conn())
    .await?;
    drop(cx);
    let (mut objects, mut clusters) = (Vec::new(), Vec::new());
    let mut total = 0;
    for row in &rows {
        let count: i64 = row.try_get("total")?;
        total += count;
        match row.try_get::<Option<String>, _>("kind")? {
            Some(kind) => objects.push(object(row, kind)?),
            None => clusters.push(cluster(row, count)?),
        }
    }
    let expand = asked.expand();
    if let Err(refusal) = cards::add(&routes.generated, &caller, expand, &mut objects).await? {
        return Ok(refusal);
    }
    Ok(
        Json(json!({"object": "map", "count": total, "objects": objects, "clusters": clusters}))
            .into_response(),
    )
}

/// The box, and the number of cells. Errors in them are reported together with the others.
fn wanted(asked: &mut Asked) -> ([f64; 4], i32) {
    if asked.rows() != 2 {
        asked.refuse("limit", "unknown", "A map has no pages: leave this out.");
    }
    if asked.goes_on() {
        asked.refuse("cursor", "unknown", "A map has no pages: leave this out.");
    }
    let sides = asked.sides();
    if sides.is_none() {
        let detail =
            "Give the box as west, south, east, north in degrees, such as 8.44,47.32,8.62,47.43.";
        asked.refuse("bbox", "required", detail);
    }
    let cells = asked.text("cells");
    let cells: i32 = cells.map_or(CELLS, |text| text.parse().unwrap_or_default());
    if !(CELLS_MIN..=CELLS_MAX).contains(&cells) {
        let detail = format!("Use a whole number from {CELLS_MIN} to {CELLS_MAX}.");
        asked.refuse("cells", "range", detail);
    }
    (sides.unwrap_or_default(), cells)
}

/// The width of a cell in degrees: 360 halved as often as possible without exceeding the number of cells for the box.
/// So the grid does not move with the map, and is only halved when zooming in.
fn cell([west, south, east, north]: [f64; 4], cells: i32) -> f64 {
    let around = if west > east { 360.0 } else { 0.0 };
    let (width, height) = (east - west + around, north - south);
    // A box that is not aligned with the grid touches one more cell.
    let over = |cell: f64| ((width / cell).ceil() + 1.0) * ((height / cell).ceil() + 1.0);
    let mut cell = 360.0;
    while over(cell / 2.0) <= f64::from(cells) && cell > CELL_MIN {
        cell /= 2.0;
    }
    cell
}

fn object(row: &PgRow, kind: String) -> Result<Value, sqlx::Error> {
    let id: Uuid = row.try_get("id")?;
    let name: String = row.try_get("name")?;
    let slug: String = row.try_get("slug")?;
    let starts_at: Option<DateTime<Utc>> = row.try_get("starts_at")?;
    let timezone: Option<String> = row.try_get("timezone")?;
    Ok(json!({
        "object": "map_object",
        "type": kind,
        "id": id,
        "name": name,
        "slug": slug,
        "starts_at": starts_at,
        "timezone": timezone,
        "location": place(row)?,
    }))
}

fn cluster(row: &PgRow, count: i64) -> Result<Value, sqlx::Error> {
    let side = |name: &str| row.try_get::<f64, _>(name);
    Ok(json!({
        "count": count,
        "location": place(row)?,
        "bbox": [side("west")?, side("south")?, side("east")?, side("north")?],
    }))
}

fn place(row: &PgRow) -> Result<Value, sqlx::Error> {
    let (lng, lat): (f64, f64) = (row.try_get("x")?, row.try_get("y")?);
    Ok(json!({"lat": lat, "lng": lng}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se2_no_more_cells_than_were_asked_for_cover_a_box() {
        let boxes = [
            [-180.0, -90.0, 180.0, 90.0],
            [144.0, -38.5, 146.0, -37.0],
            [170.0, -50.0, -170.0, -30.0],
            [8.54, 47.37, 8.541, 47.371],
            [1.0, 1.0, 1.0, 1.0],
            [-0.1, -90.0, 0.1, 90.0],
        ];
        for sides in boxes {
            for cells in [CELLS_MIN, CELLS, CELLS_MAX] {
                let cell = cell(sides, cells);
                let [west, south, east, north] = sides;
                let east = if west > east { east + 360.0 } else { east };
                let columns =
                    ((east + 180.0) / cell).floor() - ((west + 180.0) / cell).floor() + 1.0;
                let rows = ((north + 90.0) / cell).floor() - ((south + 90.0) / cell).floor() + 1.0;
                assert!(
                    columns * rows <= f64::from(cells),
                    "{sides:?}: {columns} × {rows}"
                );
            }
        }
        // When the map is moved a little, the grid stays the same; at half the width, its cells are halved.
        let wide = cell([144.0, -38.0, 146.0, -37.0], CELLS);
        assert_eq!(wide, cell([144.3, -38.1, 146.3, -37.1], CELLS));
        assert_eq!(wide / 2.0, cell([144.0, -38.0, 145.0, -37.5], CELLS));
    }
}
