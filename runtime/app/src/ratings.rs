//! Ratings: the average stars of a profile, and the top-rated profiles of a city.
//!
//! The statement that writes a review also updates the sums (`spec/sql/ratings.sql`). This module reads them, computes
//! the averages of cities every night, and sets who may review. Profiles are shown as the generated routes show them
//! to the caller.

mod document;
mod settings;

pub use settings::{ReviewsFrom, Settings};

use crate::{
    access::{Access, Table},
    generated_routes::{self, Asking, Ordered},
    module::{Module, Parts, id},
    problems,
};
use axum::{
    Json, Router,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
    routing::get,
};
use generated::{
    business::BUSINESS, community::COMMUNITY, organization::ORGANIZATION, review::CreateReview,
    venue::VENUE,
};
use kernel::{
    Caller, Cx, Db, Error, Result,
    cursor::CursorKey,
    http::ConfigError,
    input::Choice,
    jobs::{Job, Periodic},
    own::{List, parameter},
    problem::Item,
    resource::{Filter, Kind, Resource},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// What can be reviewed, and the list of the top-rated.
static RATED: [(&Resource, List); 4] = [
    (&ORGANIZATION, top_rated(&ORGANIZATION)),
    (&BUSINESS, top_rated(&BUSINESS)),
    (&VENUE, top_rated(&VENUE)),
    (&COMMUNITY, top_rated(&COMMUNITY)),
];

/// What their lists are asked with.
const ASKED: &[Filter] = &[parameter("city_id", Kind::Uuid)];

const fn top_rated(of: &'static Resource) -> List {
    List::new("top-rated", 20, ASKED).expanding(of)
}

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Ratings {
    db: Db,
    cursors: Arc<CursorKey>,
    settings: Settings,
}

/// The state of the routes: the module, and the generated routes that show profiles.
#[derive(Clone)]
struct Lists {
    module: Ratings,
    generated: Router,
}

impl Module for Ratings {
    const NAME: &'static str = "ratings";
    type Settings = Settings;

    fn new(parts: &Parts, settings: Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            db: parts.db.clone(),
            cursors: Arc::new(CursorKey::new(&parts.secret("cursors"))),
            settings,
        })
    }

    fn routes(&self, generated: &Router) -> Router {
        let router = RATED.iter().fold(Router::new(), |router, (of, list)| {
            let path = of.path;
            let top =
                move |State(lists): State<Lists>, request: Request| top(lists, of, list, request);
            let one =
                move |State(lists): State<Lists>, Path(id): Path<String>, request: Request| {
                    one(lists, path, id, request)
                };
            router
                .route(&format!("/{path}/top-rated"), get(top))
                .route(&format!("/{path}/{{id}}/rating"), get(one))
        });
        router.with_state(Lists {
            module: self.clone(),
            generated: generated.clone(),
        })
    }

    fn access() -> Table {
        &[
            ("listTopRatedOrganizations", Access::Anyone),
            ("listTopRatedBusinesses", Access::Anyone),
            ("listTopRatedVenues", Access::Anyone),
            ("listTopRatedCommunities", Access::Anyone),
            ("getOrganizationRating", Access::Reader),
            ("getBusinessRating", Access::Reader),
            ("getVenueRating", Access::Reader),
            ("getCommunityRating", Access::Reader),
        ]
    }

    fn amend(document: &mut Value) {
        document::add(document);
    }

    fn jobs(&self) -> Vec<Job> {
        vec![
            Job::of(self, "ratings.refresh", |ratings, _| async move {
                Ok(ratings.refresh().await.map(drop)?)
            }),
            Job::of(self, "ratings.keep_policy", |ratings, _| async move {
                Ok(ratings.keep_policy().await.map(drop)?)
            }),
        ]
    }

    fn periodic(&self) -> Vec<Periodic> {
        vec![
            Periodic::cron("ratings.refresh", "10 3 * * *"),
            // Repeated, since a worker may have been started with another setting.
            Periodic::every("ratings.keep_policy", Duration::from_mins(1)),
        ]
    }
}

impl Ratings {
    /// Whether only guests may review.
    fn takes_guests_alone(&self) -> bool {
        self.settings.reviews_from == ReviewsFrom::Guests
    }

    /// If only guests may review, refuses reviews by other members; a trigger enforces this for every writer. A target
    /// that the caller may not see is refused by the engine instead.
    pub(crate) async fn refuse_strangers(&self, cx: &mut Cx, input: &CreateReview) -> Result<()> {
        let is_refused: bool = sqlx::query_scalar(
            "select app.refuses_review($1, $2, $3) and exists (
               select t.id from app.organizations t where t.id = $2
               union all select t.id from app.businesses t where t.id = $2
               union all select t.id from app.venues t where t.id = $2
               union all select t.id from app.communities t where t.id = $2)",
        )
        .bind(input.entity_type.as_str())
        .bind(input.entity_id)
        .bind(self.takes_guests_alone())
        .fetch_one(cx.conn())
        .await?;
        match is_refused {
            false => Ok(()),
            true => Err(Error::new(&problems::GUESTS_ONLY).item(Item::body(
                "/entity_id",
                "not_a_guest",
                "was not visited by the caller, as far as tickets tell",
            ))),
        }
    }

    /// Stores in the database who may review, which enforces it for every writer. Returns whether that changed.
    pub async fn keep_policy(&self) -> Result<bool> {
        let guests_only = self.takes_guests_alone();
        let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
            Box::pin(async move {
                let is_new: bool = sqlx::query_scalar("select app.keep_review_policy($1)")
                    .bind(guests_only)
                    .fetch_one(cx.conn())
                    .await?;
                Ok(is_new)
            })
        });
        run.await
    }

    /// Recomputes the averages of cities and the resulting order. Returns how many profiles have another position.
    pub async fn refresh(&self) -> Result<i64> {
        let run = self.db.run(Self::NAME, None, Uuid::now_v7(), |cx| {
            Box::pin(async move {
                let changed: i64 = sqlx::query_scalar("select app.refresh_ratings()")
                    .fetch_one(cx.conn())
                    .await?;
                Ok(changed)
            })
        });
        run.await
    }
}

/// `GET /venues/top-rated`
async fn top(
    lists: Lists,
    of: &'static Resource,
    list: &'static List,
    request: Request,
) -> Result<Response> {
    let (caller, uri) = generated_routes::asked(request);
    let mut asked = list.look(uri.query(), &lists.module.cursors, &caller);
    let city = asked.required_id("city_id", "Which city?");
    let asked = asked.sound()?;
    let best = Best {
        db: &lists.module.db,
        caller: &caller,
        city,
        kind: of.name,
    };
    let (after, show) = (asked.after()?, (asked.rows(), asked.expand()));
    let (generated, path) = (&lists.generated, of.path);
    let page = generated_routes::page(generated, &caller, path, &best, after, show).await?;
    let page = match page {
        Ok(page) => page,
        Err(refusal) => return Ok(refusal),
    };
    // A cursor is only valid for its own kind of profile, since ids differ between kinds.
    let next_cursor = page.last.map(|(score, id)| asked.cursor(&score, id));
    Ok(Json(json!({"data": page.shown, "next_cursor": next_cursor})).into_response())
}

/// The top-rated profiles of a kind in a city, for a caller.
struct Best<'a> {
    db: &'a Db,
    caller: &'a Caller,
    city: Uuid,
    kind: &'static str,
}

impl Ordered for Best<'_> {
    /// The score, in digits as the database writes them.
    type Place = String;

    async fn find(
        &self,
        after: Option<&(String, Uuid)>,
        rows: i64,
        only_seen: bool,
    ) -> Result<Vec<(String, Uuid)>> {
        let mut cx = self.db.begin_read(self.caller).await?;
        let found = sqlx::query_as(
            "select t.score::text, t.target_id from app.top_rated($1, $2, $3::text::numeric, $4, $5::int8::int4, $6) t",
        );
        let found = found
            .bind(self.city)
            .bind(self.kind)
            .bind(after.map(|(score, _)| score.as_str()))
            .bind(after.map(|(_, id)| *id))
            .bind(rows)
            .bind(only_seen)
            .fetch_all(cx.conn())
            .await?;
        Ok(found)
    }
}

/// `GET /venues/{id}/rating`
async fn one(lists: Lists, path: &'static str, of: String, request: Request) -> Result<Response> {
    let (caller, _) = generated_routes::asked(request);
    let target = id(&of)?;
    // A caller who may not see the profile does not learn its rating.
    let profile = Asking::Read(format!("/{path}/{target}"));
    let profile = match generated_routes::ask(&lists.generated, &caller, profile).await? {
        Ok(profile) => profile,
        Err(refusal) => return Ok(refusal),
    };
    let mut cx = lists.module.db.begin_read(&caller).await?;
    let stars: Vec<i32> = sqlx::query_scalar("select app.stars_of($1)")
        .bind(target)
        .fetch_one(cx.conn())
        .await?;
    drop(cx);
    Ok(Json(json!({
        "object": "rating",
        "average": profile["rating_avg"],
        "count": profile["rating_count"],
        "stars": stars,
    }))
    .into_response())
}
