//! The filters of lists that anybody may read: each by itself, on tables of 200,000 rows of which few match.

use super::plans::{explain, nodes, pretend_to_be_large, reads_all, request, run, sorts};
use crate::support::{Database, database::Content, document, model, resources};
use codegen::model::Ty;
use kernel::{
    input::Format,
    resource::{Filter, Kind, Lifecycle, Resource},
};
use serde_json::Value;
use sqlx::PgConnection;

/// With up to this many values, a page is full soon in the order of the list.
const FEW: usize = 8;

/// How a filter should be answered.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// By an index on the column.
    Found,
    /// By scanning in the order of the list until the page is full.
    Walked,
}

/// Whether anonymous callers may request the list, according to the API document and not to the generator.
fn is_public(resource: &Resource) -> bool {
    let list = &document()["paths"][format!("/{}", resource.path)]["get"];
    !list["x-access"]["anonymous"].is_null()
}

/// How a filter should be answered; `None` for search and places, which have suites of their own, and for filters that
/// use no column.
fn way(resource: &Resource, filter: &Filter) -> Option<Way> {
    filter.sql.strip_prefix("t.")?;
    let (_, entity) = model().entity(resource.name).expect("an entity");
    let ty = entity.field(filter.param).map(|field| &field.ty);
    let is_short = |min: &Option<i64>, max: &Option<i64>| {
        min.zip(*max)
            .is_some_and(|(min, max)| max - min < FEW as i64)
    };
    let few = match filter.kind {
        Kind::Search | Kind::Point => return None,
        Kind::Enum(words) => words.len() <= FEW,
        Kind::Bool => true,
        Kind::Formatted(format) => format == Format::Currency,
        // Times are filtered by ranges; plans made without values assume that each bound leaves a third of the rows.
        Kind::Time => true,
        _ => match ty {
            Some(Ty::Int { min, max } | Ty::Bigint { min, max } | Ty::Money { min, max }) => {
                is_short(min, max)
            }
            _ => false,
        },
    };
    Some(if few { Way::Walked } else { Way::Found })
}

/// The conditions that a filter allows, each with its number of parameters and the way in which it should be answered.
fn asked(filter: &Filter, way: Way) -> Vec<(String, usize, Way)> {
    let sql = filter.sql;
    let from = (format!("{sql} >= $1"), 1, Way::Walked);
    let between = (format!("{sql} >= $1 and {sql} < $2"), 2, Way::Walked);
    let equal = (format!("{sql} = $1"), 1, way);
    match filter.kind {
        Kind::Time => vec![from, between],
        Kind::Int | Kind::Bigint | Kind::Decimal | Kind::Date => vec![equal, from, between],
        _ => vec![equal],
    }
}

/// Statistics without nulls, in which every value is rare, or one of a few.
async fn pretend_values(conn: &mut PgConnection, resource: &Resource, filter: &Filter, way: Way) {
    // A negative number is a fraction of the rows: ten rows have the same value.
    let distinct = match way {
        Way::Found => "-0.1",
        Way::Walked => "4",
    };
    let text = format!(
        "update pg_statistic s set stanullfrac = 0, stadistinct = {distinct} from pg_attribute a
         where a.attrelid = 'app.{}'::regclass and a.attname = '{}' and s.starelid = a.attrelid and s.staattnum = a.attnum",
        resource.plural, filter.param
    );
    run(conn, &text).await;
}

fn list(resource: &Resource, condition: &str) -> String {
    let live = match resource.lifecycle {
        Lifecycle::SoftDelete => "t.status <> 'archived' and ",
        _ => "",
    };
    resource.list_text(&format!(
        " where {live}{condition} order by t.id desc limit 21"
    ))
}

/// Whether the plan finds the table's rows through an index on this column. A text with a collation may appear as
/// `(t.title)::text`.
fn is_found(plan: &Value, sql: &str) -> bool {
    let column = sql.split(' ').next().unwrap_or(sql);
    let of_column = [format!("{column} ="), format!("({column})::text =")];
    nodes(plan).into_iter().any(|node| {
        let condition = node["Index Cond"].as_str().unwrap_or_default();
        of_column.iter().any(|one| condition.contains(one))
    })
}

/// Claim: a value that few rows have is found through an index, also for a `one of` relation. A column with few
/// values, and a range, are answered by scanning in the order of the list until the page is full. No table is read
/// completely.
#[tokio::test]
async fn no_filter_of_a_public_list_reads_a_large_table() {
    let database = Database::new(Content::Sample).await;
    pretend_to_be_large(&database).await;
    let mut superuser = database.superuser().await;
    let public = || resources().values().filter(|resource| is_public(resource));
    for resource in public() {
        for filter in resource.filters {
            if let Some(way) = way(resource, filter) {
                pretend_values(&mut superuser, resource, filter, way).await;
            }
        }
    }
    let mut conn = request(&database).await;
    let (mut wrong, mut found, mut walked) = (Vec::new(), 0, 0);
    for resource in public() {
        for filter in resource.filters {
            let Some(way) = way(resource, filter) else {
                continue;
            };
            for (condition, parameters, way) in asked(filter, way) {
                let plan = explain(&mut conn, &list(resource, &condition), parameters).await;
                let is_right = match way {
                    Way::Found => is_found(&plan, filter.sql),
                    Way::Walked => is_found(&plan, filter.sql) || !sorts(&plan) || parameters == 2,
                };
                if !is_right || reads_all(&plan, resource.plural) {
                    wrong.push(format!("{} {condition}: {way:?}", resource.name));
                }
                match way {
                    Way::Found => found += 1,
                    Way::Walked => walked += 1,
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(found > 30 && walked > 20, "{found} found, {walked} walked");

    // The negative control: without the indexes of these columns, their absence is noticed.
    let drop = "drop index app.events_host_id_idx, app.venues_capacity_idx";
    run(&mut superuser, drop).await;
    for (name, column) in [("event", "t.host_id"), ("venue", "t.capacity")] {
        let text = list(resources()[name], &format!("{column} = $1"));
        let plan = explain(&mut conn, &text, 1).await;
        assert!(!is_found(&plan, column), "{plan:#}");
    }
}
