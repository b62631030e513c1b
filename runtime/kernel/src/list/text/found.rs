//! The ids of rows that words or a place find: of public rows from indexes, without policies, and of the caller's own;
//! limited in number.
//!
//! They are the newest matches (words), the nearest (a circle) or arbitrary ones (a box). Filters and sorts then apply
//! to these only, so a search for a common word costs no more than one for a rare word.
//!
//! They are collected into an array before the rows are looked up. With a set, PostgreSQL would plan by its estimate
//! of how many rows pass the policies; where the estimate was far too low, it repeated the search for each row of the
//! table.

use super::{After, Builder, COUNT_MAX, Parent};
use crate::{
    list::{
        query::{Condition, Direction, Near, Order, Places, Query},
        value::Value,
    },
    resource::Resource,
};
use sqlx::error::BoxDynError;
use std::fmt::Write;
use uuid::Uuid;

/// The most rows that filters and sorts apply to.
pub const FOUND_MAX: i32 = 2_000;
/// Shorter words are not matched as prefixes of others, because too many words begin with them.
const HALF_MIN: usize = 3;
/// The largest distance, in degrees, between a parallel and the great circle over half a degree of longitude, rounded
/// up from 0.0003.
const MARGIN: f64 = 0.001;
/// From this longitude on, rows around a point are sorted instead of read in the order of the index: there PostGIS computes
/// distances less exactly than the index expects, and PostgreSQL stops with an error ("index returned tuples in wrong order").
const LINE_DEGREES: f64 = 179.99;

/// How many ids are needed.
pub struct Wanted {
    /// Ids that each row found by words refers to.
    within: Vec<String>,
    rows: i32,
    /// Only rows behind this one, in the order in which rows are found.
    after: Option<After>,
}

impl Wanted {
    pub fn page(resource: &Resource, query: &Query, parent: Parent, after: Option<&After>) -> Self {
        let wanted = Self::new(resource, query, parent, FOUND_MAX);
        // If the search returns rows in the order of the list and no other filter removes any, a page of them is
        // enough.
        let alone = |finds: fn(&Condition) -> bool| {
            resource.public_to_all
                && query
                    .conditions
                    .iter()
                    .all(|condition| finds(condition) || narrowing(resource, condition).is_some())
                && parent.is_none_or(|(column, _)| resource.within.contains(&column))
        };
        let found_in_order = match query.order {
            Order::Id(Direction::Descending) => {
                query.conditions.iter().any(is_search) && alone(is_search)
            }
            Order::Distance(_) => {
                parent.is_none()
                    && query.conditions.len() == 1
                    && alone(|condition| matches!(condition, Condition::Near(_)))
            }
            _ => false,
        };
        let behind = matches!(
            query.order,
            Order::Id(Direction::Descending) | Order::Distance(_)
        );
        Self {
            rows: match found_in_order {
                true => query.limit as i32 + 1,
                false => FOUND_MAX,
            },
            after: after.filter(|_| behind).cloned(),
            ..wanted
        }
    }

    pub fn count(resource: &Resource, query: &Query, parent: Parent) -> Self {
        Self::new(resource, query, parent, COUNT_MAX as i32 + 1)
    }

    fn new(resource: &Resource, query: &Query, parent: Parent, rows: i32) -> Self {
        let parent = parent.filter(|(column, _)| resource.within.contains(column));
        let ids = query
            .conditions
            .iter()
            .filter_map(|c| narrowing(resource, c));
        Self {
            within: ids
                .chain(parent.map(|(_, id)| id))
                .map(|id| id.to_string())
                .collect(),
            rows,
            after: None,
        }
    }
}

impl Builder {
    pub(super) fn search(
        &mut self,
        function: &'static str,
        text: &str,
        wanted: &Wanted,
    ) -> Result<(), BoxDynError> {
        let before = match wanted.after {
            Some(After::Id(id)) => Some(id),
            _ => None,
        };
        let parameters = [
            self.add(text.to_owned())?,
            self.add(is_half(text))?,
            self.add(wanted.within.clone())?,
            self.add(before)?,
            self.add(wanted.rows)?,
        ];
        // Public rows, and rows that only some callers see if the caller is one of them.
        self.push("t.id = any(array(select ");
        self.push(function);
        self.parameters(&parameters);
        self.push(" union all select ");
        self.push(function);
        self.push("_own");
        self.parameters(&parameters);
        self.push("))");
        Ok(())
    }

    fn parameters(&mut self, parameters: &[usize]) {
        for (index, parameter) in parameters.iter().enumerate() {
            self.push(if index == 0 { "(" } else { ", " });
            self.number(*parameter);
        }
        self.push(")");
    }

    fn found(&mut self, rows: i32) {
        let _ = write!(self.text, " limit {rows})");
    }

    fn point(&mut self, (lng, lat): (usize, usize)) {
        self.push("public.st_setsrid(public.st_makepoint(");
        self.number(lng);
        self.push(", ");
        self.number(lat);
        self.push("), 4326)::public.geography");
    }

    /// The distance of a place, which `of` writes, from the point that the list is ordered around.
    pub(super) fn distance(&mut self, of: impl FnOnce(&mut Self)) {
        let Some(around) = self.around else { return };
        if !around.is_by_index {
            self.push("public.st_distance(");
        }
        of(self);
        self.push(if around.is_by_index {
            " operator(public.<->) "
        } else {
            ", "
        });
        self.point(around.place);
        if !around.is_by_index {
            self.push(", false)");
        }
    }

    /// The point of the row itself, or of the related row.
    pub(super) fn place(&mut self, places: Places) {
        let own = places.beside.is_empty();
        self.push(if own { "t." } else { "coalesce(t." });
        self.push(places.column);
        if !own {
            self.push(", (select e.");
            self.push(places.column);
            self.push(" from ");
            self.push(places.beside);
            self.push(" as e where e.id = t.id))");
        }
    }

    /// Searches public rows only, because then the index can be used without evaluating the policies of each row. If
    /// there are two indexes, one after the other, each only as far as rows are needed.
    pub(super) fn near(&mut self, near: &Near, wanted: &Wanted) -> Result<(), BoxDynError> {
        let around = Around {
            place: (self.add(near.lng)?, self.add(near.lat)?),
            is_by_index: near.lng.abs() < LINE_DEGREES,
        };
        let circle = Circle {
            around: around.place,
            radius: self.add(f64::from(near.radius_m))?,
            after: match &wanted.after {
                Some(After::Place(place, id)) => {
                    Some((self.add(place.lng)?, self.add(place.lat)?, self.add(*id)?))
                }
                _ => None,
            },
        };
        self.around = Some(around);
        self.push("t.id = any(array(select f.id from (");
        for (index, view) in near.places.views().enumerate() {
            self.push(if index > 0 { " union all " } else { "" });
            self.nearest(view, near.places.column, &circle);
            self.found(wanted.rows);
        }
        self.push(") as f order by f.distance, f.id");
        self.found(wanted.rows);
        self.push(")");
        Ok(())
    }

    fn nearest(&mut self, view: &'static str, column: &'static str, circle: &Circle) {
        // The inner order is that of the index; the outer one only sorts rows at the same place, so it can stop early.
        let distance = |text: &mut Self| {
            text.distance(|text| {
                text.push("p.");
                text.push(column);
            });
        };
        self.push("(select o.id, o.distance from (select p.id, ");
        distance(self);
        self.push(" as distance from ");
        self.push(view);
        self.push(" as p where public.st_dwithin(p.");
        self.push(column);
        self.push(", ");
        self.point(circle.around);
        self.push(", ");
        self.number(circle.radius);
        self.push(") order by ");
        distance(self);
        self.push(" offset 0) as o");
        if let Some((lng, lat, id)) = circle.after {
            self.push(" where (o.distance, o.id) > (");
            self.distance(|text| text.point((lng, lat)));
            self.push(", ");
            self.number(id);
            self.push(")");
        }
        self.push(" order by o.distance, o.id");
    }

    pub(super) fn within(
        &mut self,
        places: Places,
        edges: [f64; 4],
        wanted: &Wanted,
    ) -> Result<(), BoxDynError> {
        self.push("t.id = any(array(select f.id from (");
        let mut is_first = true;
        for view in places.views() {
            for part in parts(edges).into_iter().flatten() {
                self.push(if is_first { "" } else { " union all " });
                is_first = false;
                self.push("(select p.id from ");
                self.push(view);
                self.push(" as p where ");
                self.inside(places.column, part)?;
                if let Some(After::Id(id)) = &wanted.after {
                    self.push(" and p.id < ");
                    self.bind(*id)?;
                }
                self.found(wanted.rows);
            }
        }
        self.push(") as f");
        self.found(wanted.rows);
        self.push(")");
        Ok(())
    }

    fn inside(&mut self, column: &'static str, edges: [f64; 4]) -> Result<(), BoxDynError> {
        let [west, south, east, north] = edges;
        // The index works with great circles, not parallels: edges are divided into short pieces, and the box is
        // enlarged by the remaining difference. Boxes over most of the globe do not use the index.
        if east - west <= 90.0 && north - south <= 90.0 {
            self.push("p.");
            self.push(column);
            self.push(" operator(public.&&) public.st_segmentize(public.st_makeenvelope(");
            let wider = [
                (west - MARGIN).max(-180.0),
                (south - MARGIN).max(-90.0),
                (east + MARGIN).min(180.0),
                (north + MARGIN).min(90.0),
            ];
            for (index, edge) in wider.into_iter().enumerate() {
                if index > 0 {
                    self.push(", ");
                }
                self.bind(edge)?;
            }
            self.push(", 4326), 0.5)::public.geography and ");
        }
        self.push("public.st_y(p.");
        self.push(column);
        self.push("::public.geometry) between ");
        self.bind(south)?;
        self.push(" and ");
        self.bind(north)?;
        self.push(" and (public.st_x(p.");
        self.push(column);
        self.push("::public.geometry) >= ");
        self.bind(west)?;
        self.push(" and public.st_x(p.");
        self.push(column);
        self.push("::public.geometry) <= ");
        self.bind(east)?;
        self.push(")");
        Ok(())
    }
}

/// The point that a list is ordered around.
#[derive(Clone, Copy)]
pub(super) struct Around {
    /// The numbers of the parameters: longitude and latitude.
    place: (usize, usize),
    /// Whether an index returns rows in the order of their distance.
    is_by_index: bool,
}

/// The numbers of the parameters.
struct Circle {
    around: (usize, usize),
    radius: usize,
    /// Longitude, latitude and id of the last one of the page before.
    after: Option<(usize, usize, usize)>,
}

/// Whether the last word may be incomplete. Not if it is excluded or ends a quotation. Punctuation after it does not
/// complete it.
pub fn is_half(text: &str) -> bool {
    let typed =
        text.trim_end_matches(|c: char| !c.is_alphanumeric() && !c.is_whitespace() && c != '"');
    let mut letters = (typed.chars().rev()).take_while(|c| c.is_alphanumeric());
    let last = typed.split_whitespace().next_back().unwrap_or_default();
    let quoted = text.matches('"').count() % 2 == 1;
    let is_long_enough = match letters.next() {
        // Words of these scripts are found by pairs of characters, so one character is half of a pair.
        Some(last) if is_unspaced(last) => true,
        last => last.into_iter().chain(letters).count() >= HALF_MIN,
    };
    is_long_enough && !last.starts_with('-') && !quoted
}

fn is_search(condition: &Condition) -> bool {
    matches!(condition, Condition::Search { .. })
}

/// The id in a filter that the index over words also contains.
fn narrowing(resource: &Resource, condition: &Condition) -> Option<Uuid> {
    match condition {
        Condition::Compare {
            sql,
            op: "=",
            value: Value::Uuid(id),
        } => resource.within.contains(sql).then_some(*id),
        _ => None,
    }
}

/// The parts of a box that do not cross the date line. The line has two names, 180 and -180, so a box that ends at one of
/// them has a part of no width at the other: the index does not find a place under the other name.
fn parts([west, south, east, north]: [f64; 4]) -> [Option<[f64; 4]>; 2] {
    let part = |west: f64, east: f64| Some([west, south, east, north]);
    if west > east {
        [part(west, 180.0), part(-180.0, east)]
    } else if west > -180.0 && east >= 180.0 {
        [part(west, east), part(-180.0, -180.0)]
    } else if west <= -180.0 && east < 180.0 {
        [part(west, east), part(180.0, 180.0)]
    } else {
        [part(west, east), None]
    }
}

/// Han, Kana and Hangul, like `sec.unspaced` in the database.
fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{3005}' | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30fe}'
        | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}'
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_has_a_part_on_either_side_of_the_date_line() {
        for (west, east, expected) in [
            (10.0, 20.0, vec![(10.0, 20.0)]),
            (-180.0, 180.0, vec![(-180.0, 180.0)]),
            (170.0, -170.0, vec![(170.0, 180.0), (-180.0, -170.0)]),
            (170.0, 180.0, vec![(170.0, 180.0), (-180.0, -180.0)]),
            (-180.0, -170.0, vec![(-180.0, -170.0), (180.0, 180.0)]),
            (180.0, 180.0, vec![(180.0, 180.0), (-180.0, -180.0)]),
            (-180.0, -180.0, vec![(-180.0, -180.0), (180.0, 180.0)]),
            (180.0, -180.0, vec![(180.0, 180.0), (-180.0, -180.0)]),
            (179.9, 180.0, vec![(179.9, 180.0), (-180.0, -180.0)]),
        ] {
            let parts = parts([west, -5.0, east, 5.0]);
            let found: Vec<_> = parts.into_iter().flatten().collect();
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(w, e)| [w, -5.0, e, 5.0])
                .collect();
            assert_eq!(found, expected, "{west} to {east}");
        }
    }

    #[test]
    fn a_last_word_may_go_on() {
        for half in [
            "jaz",
            "jazz nig",
            "a jazz",
            "\"open air\" jaz",
            "zür",
            "-a jaz",
            "jaz,",
            "jaz.",
            "jaz!",
            "jaz*",
            "jaz…",
            "a/jaz",
            "音",
            "음악 음",
        ] {
            assert!(is_half(half), "{half}");
        }
        for whole in [
            "",
            "ja",
            "jazz ",
            "jazz -nig",
            "\"jazz nig\"",
            "\"jazz nig",
            "jazz n",
            "ja,",
            "jazz ,",
            "jazz -nig!",
            "\"jazz nig\".",
            "-音",
            "%",
        ] {
            assert!(!is_half(whole), "{whole}");
        }
    }
}
