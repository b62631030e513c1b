//! Shapes of query plans of the request role.

use crate::support::{Database, database::Content, model, resources};
use kernel::resource::{Kind, Lifecycle, Resource};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Row};

/// Functions of the context, and their form once they are inlined. Not `sec.seen_…`, which is called for another row
/// that this one refers to, where the caller's roles don't decide.
const CONTEXT: [&str; 10] = [
    "current_setting(",
    "sec.uid(",
    "sec.session(",
    "sec.action(",
    "sec.job(",
    "sec.show_archived(",
    "sec.scopes_",
    "sec.is_",
    "sec.my_",
    "sec.mine_",
];

/// Explains a statement as the server plans it: once per connection, without values.
pub(super) async fn explain(conn: &mut PgConnection, text: &str, parameters: usize) -> Value {
    run(conn, &format!("prepare s as {text}")).await;
    let nulls = vec!["null"; parameters].join(", ");
    let arguments = match parameters {
        0 => String::new(),
        _ => format!("({nulls})"),
    };
    let explain = format!("explain (verbose, costs off, format json) execute s{arguments}");
    let row = sqlx::query(AssertSqlSafe(explain))
        .fetch_one(&mut *conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    run(conn, "deallocate s").await;
    row.get::<Value, _>(0)[0]["Plan"].take()
}

pub(super) async fn run(conn: &mut PgConnection, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// A connection in a member's transaction.
pub(super) async fn request(database: &Database) -> PgConnection {
    let mut conn = database.request_role().await;
    run(
        &mut conn,
        "set plan_cache_mode = force_generic_plan; set statement_timeout = 0; set jit = off",
    )
    .await;
    conn
}

fn name(subplan: &Value) -> &str {
    subplan["Subplan Name"].as_str().unwrap_or_default()
}

/// Every use of the context that isn't computed once per statement. `output` includes the output of nodes; for a
/// single object it is left out, since the context is used there only once anyway.
fn per_row(plan: &Value, output: bool, found: &mut Vec<String>) {
    for (key, value) in plan.as_object().expect("a node") {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Array(list) if key != "Plans" => list
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join("\n"),
            _ => continue,
        };
        // A condition on the whole node is evaluated once.
        let counts = key != "One-Time Filter" && (output || key != "Output");
        let text = of_active_rows(&text);
        if counts && CONTEXT.iter().any(|context| text.contains(context)) {
            found.push(format!("{} {key}: {text}", plan["Node Type"]));
        }
    }
    let nodes = plan["Plans"].as_array().into_iter().flatten();
    for node in nodes {
        let once = match node["Parent Relationship"].as_str() {
            Some("InitPlan") => true,
            // A hashed sub-plan runs once and is then looked up.
            Some("SubPlan") => is_hashed(plan, name(node)),
            _ => false,
        };
        if !once {
            per_row(node, output, found);
        }
    }
}

fn is_hashed(plan: &Value, name: &str) -> bool {
    plan.to_string().contains(&format!("hashed {name})"))
}

/// Removes conditions on suspended and archived rows, which are few.
fn of_active_rows(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = ["status = 'suspended'", "status = 'archived'"]
        .iter()
        .filter_map(|status| rest.find(status))
        .min()
    {
        kept.push_str(&rest[..at]);
        // Up to the end of the conjunction, which is in parentheses.
        let (mut open, mut end) = (1, rest.len());
        for (i, c) in rest[at..].char_indices() {
            match c {
                '(' => open += 1,
                ')' => open -= 1,
                _ => {}
            }
            // The comparison itself is in parentheses too.
            if open < 0 {
                end = at + i;
                break;
            }
        }
        rest = &rest[end..];
    }
    kept + rest
}

/// Claim: policies, lists and reads get the caller once per statement: as an InitPlan, or as a hashed SubPlan. No
/// function of the context is called and no setting is read once per row, unless the row is suspended or archived.
#[tokio::test]
async fn no_plan_asks_for_the_caller_once_per_row() {
    let database = Database::new(Content::Demo).await;
    let mut conn = request(&database).await;
    let mut wrong = Vec::new();
    for resource in resources().values() {
        for (what, text, parameters) in [
            ("get", resource.sql.get.to_owned(), 1),
            ("get_anonymous", resource.sql.get_anonymous.to_owned(), 1),
            (
                "list",
                resource.list_text(" order by t.id desc limit 21"),
                0,
            ),
        ] {
            if text.is_empty() {
                continue;
            }
            let plan = explain(&mut conn, &text, parameters).await;
            let mut found = Vec::new();
            per_row(&plan, what == "list", &mut found);
            wrong.extend(
                found
                    .iter()
                    .map(|found| format!("{} {what}: {found}", resource.name)),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));

    // The control: the check notices such a policy.
    run(
        &mut *database.superuser().await,
        "drop policy likes_select on app.likes; create policy likes_select on app.likes \
         for select to culturepass_app using (user_id = sec.uid())",
    )
    .await;
    let like = resources()["like"];
    let plan = explain(&mut conn, &like.list_text(""), 0).await;
    let mut found = Vec::new();
    per_row(&plan, false, &mut found);
    assert!(!found.is_empty(), "{plan:#}");
}

/// Claim: statements that set the caller's identity and read or change rows do so in this order, whatever the planner
/// believes: the tables are behind a filter that waits for the result of `sec.enter`.
pub async fn nothing_is_read_before_the_caller_is_known(database: &Database, texts: &[String]) {
    let mut conn = request(database).await;
    let telling: Vec<&String> = (texts.iter())
        .filter(|text| text.contains("sec.enter("))
        .collect();
    let changes = |text: &&&String| !text.starts_with("select");
    assert!(telling.len() > 60, "{}", telling.len());
    assert!(telling.iter().filter(changes).count() > 8, "{telling:?}");
    for text in &telling {
        assert_eq!(early(&mut conn, text).await, Vec::<String>::new(), "{text}");
    }
    // The control: the check notices such a statement.
    let read = (telling.iter()).find(|text| text.starts_with("select"));
    let open = read.map(|text| text.replace(" is not null)", " is null or answer.id is not null)"));
    let change = telling.iter().find(changes);
    let late = change.map(|text| {
        text.replace(
            "(select sec.enter(",
            "t.id is not null or (select sec.enter(",
        )
    });
    for open in [open.expect("a read"), late.expect("a change")] {
        assert!(!early(&mut conn, &open).await.is_empty(), "{open}");
    }
}

/// Tables that are read before the caller is known.
async fn early(conn: &mut PgConnection, text: &str) -> Vec<String> {
    let parameters = (1..200).take_while(|n| text.contains(&format!("${n}")));
    let plan = explain(conn, text, parameters.count()).await;
    let telling = nodes(&plan).into_iter().find_map(|node| {
        let tells = node["Output"].to_string().contains("sec.enter(");
        // `InitPlan 1 (returns $4)`
        let name = node["Subplan Name"].as_str().filter(|_| tells)?;
        name.strip_suffix(')')?.rsplit_once(' ')
    });
    let told = telling.map_or("nobody tells", |(_, told)| told);
    let mut found = Vec::new();
    unguarded(changed_rows(&plan).unwrap_or(&plan), told, &mut found);
    found
}

/// In an update: the node that provides its rows. All other nodes work on those.
fn changed_rows(plan: &Value) -> Option<&Value> {
    let rows = |node: &&Value| node["Parent Relationship"] == "Outer";
    let parts = plan["Plans"]
        .as_array()
        .filter(|_| plan["Node Type"] == "ModifyTable")?;
    parts.iter().find(rows)
}

fn unguarded(plan: &Value, told: &str, found: &mut Vec<String>) {
    if plan["One-Time Filter"] == told {
        return;
    }
    found.extend(plan["Relation Name"].as_str().map(str::to_owned));
    for node in plan["Plans"].as_array().into_iter().flatten() {
        unguarded(node, told, found);
    }
}

/// All nodes of a plan.
pub(super) fn nodes(plan: &Value) -> Vec<&Value> {
    let mut all = vec![plan];
    for node in plan["Plans"].as_array().into_iter().flatten() {
        all.extend(nodes(node));
    }
    all
}

/// Whether the plan sorts even though sorting is disabled.
pub(super) fn sorts(plan: &Value) -> bool {
    let is_sort = |node: &&Value| {
        node["Node Type"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("Sort"))
    };
    nodes(plan).iter().any(is_sort)
}

/// The first page and the next one in this order, as the engine writes them.
fn pages(resource: &Resource, column: Option<(&str, &str)>) -> [(String, usize); 2] {
    let list = |rest: &str| {
        let order =
            &rest[rest.find(" order by").expect("an order")..rest.find(" limit").expect("a limit")];
        match resource.sql.list_end {
            "" => resource.list_text(rest),
            _ => format!("{}{order}", resource.list_text(rest)),
        }
    };
    match column {
        None => [
            (list(" order by t.id desc limit 21"), 0),
            (list(" where t.id < $1 order by t.id desc limit 21"), 1),
        ],
        Some((column, id)) => [
            (list(&format!(" order by {column}, {id} limit 21")), 0),
            (
                list(&format!(
                    " where ({column}, {id}) > ($1, $2) order by {column}, {id} limit 21"
                )),
                2,
            ),
        ],
    }
}

/// Makes the planner believe that tables have 200,000 rows on their current pages.
pub(super) async fn pretend_to_be_large(database: &Database) {
    let text = "analyze;
        update pg_class set reltuples = 200000, relpages = greatest(pg_relation_size(oid) / 8192, 1)
        where relnamespace in ('app'::regnamespace, 'search'::regnamespace, 'counters'::regnamespace) and relkind = 'r'";
    run(&mut *database.superuser().await, text).await;
}

/// Whether the list's own table is read completely.
pub(super) fn reads_all(plan: &Value, table: &str) -> bool {
    nodes(plan).into_iter().any(|node| {
        node["Node Type"] == "Seq Scan" && node["Relation Name"] == table && node["Alias"] == "t"
    })
}

/// Claim: on 200,000 rows the planner answers every order of every entity from an index and stops when the page is
/// full, or sorts the caller's few rows; every filter can be answered in the order of the list; and unique values are
/// looked up.
#[tokio::test]
async fn no_order_and_no_filter_reads_a_large_table() {
    let database = Database::new(Content::Sample).await;
    pretend_to_be_large(&database).await;
    let mut conn = request(&database).await;
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for resource in resources().values() {
        let orders = resource
            .sorts
            .iter()
            .map(|sort| Some((sort.sql, sort.id())));
        for column in orders.chain([None, Some(("t.id", "t.id"))]) {
            for (text, parameters) in pages(resource, column) {
                asked += 1;
                let plan = explain(&mut conn, &text, parameters).await;
                if reads_all(&plan, resource.plural) {
                    wrong.push(format!("{} {column:?}", resource.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The control: the check notices such a plan.
    let [(text, _), _] = pages(resources()["event"], Some(("t.updated_at", "t.id")));
    let plan = explain(&mut conn, &text, 0).await;
    assert!(reads_all(&plan, "events"), "{plan:#}");

    let in_order = "set enable_sort = off; set enable_bitmapscan = off; set enable_seqscan = off";
    run(&mut conn, in_order).await;
    for resource in resources().values() {
        let (_, entity) = model().entity(resource.name).expect("an entity");
        let live = match resource.lifecycle {
            Lifecycle::SoftDelete => "t.status <> 'archived' and ",
            _ => "",
        };
        let plain = |kind: Kind| !matches!(kind, Kind::Search | Kind::Point);
        for filter in resource.filters.iter().filter(|f| plain(f.kind)) {
            asked += 1;
            let text = resource.list_text(&format!(
                " where {live}{} = $1 order by t.id desc limit 21",
                filter.sql
            ));
            let unique = entity.field(filter.param).is_some_and(|f| f.unique);
            // A single row needs no order.
            let sort = if unique { "on" } else { "off" };
            run(&mut conn, &format!("set enable_sort = {sort}")).await;
            let plan = explain(&mut conn, &text, 1).await;
            let looked_up = nodes(&plan).iter().any(|node| {
                let condition = node["Index Cond"].as_str();
                condition.is_some_and(|condition| condition.contains(filter.param))
            });
            if (!unique && sorts(&plan)) || (unique && !looked_up) {
                wrong.push(format!("{} {}: {plan:#}", resource.name, filter.param));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(asked > 300, "{asked}");
}

/// Claim: columns with a read rule are evaluated for the rows of the page only, not for all that are sorted.
#[tokio::test]
async fn a_page_is_cut_before_private_columns_are_asked_for() {
    let database = Database::new(Content::Sample).await;
    let mut conn = database.superuser().await;
    let mut guarded = 0;
    for resource in resources().values().filter(|r| r.guarded) {
        // An order that no index has.
        let (rest, order) = (
            " order by t.version + 1, t.id limit 3",
            " order by t.version + 1, t.id",
        );
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
            "select count(*) from app.{}",
            resource.plural
        )))
        .fetch_one(&mut conn)
        .await
        .expect("a count");
        if rows < 6 || resource.lifecycle == Lifecycle::AppendOnly {
            continue;
        }
        guarded += 1;
        run(&mut conn, "begin; set local track_functions = 'all'").await;
        let calls = format!(
            "select coalesce(sum(calls), 0)::bigint from pg_stat_xact_user_functions where funcname = '{}_private'",
            resource.name
        );
        let counted = async |conn: &mut PgConnection| -> i64 {
            let row = sqlx::query(AssertSqlSafe(calls.clone()))
                .fetch_one(conn)
                .await;
            row.expect("calls").get(0)
        };
        let before = counted(&mut conn).await;
        run(&mut conn, &format!("{}{order}", resource.list_text(rest))).await;
        let after = counted(&mut conn).await;
        run(&mut conn, "rollback").await;
        assert_eq!(after - before, 3, "{}", resource.name);
    }
    assert!(guarded >= 2, "{guarded}");
}

/// Claim: every order that a client may request, and the default one, is that of an index, on the first page as on
/// later ones. (Sorting is made so expensive here that it only remains where nothing else is possible.)
#[tokio::test]
async fn every_order_is_that_of_an_index() {
    let database = Database::new(Content::Demo).await;
    let mut conn = request(&database).await;
    run(
        &mut conn,
        "set enable_sort = off; set enable_incremental_sort = off",
    )
    .await;
    let mut wrong = Vec::new();
    for resource in resources().values() {
        let orders = resource
            .sorts
            .iter()
            .map(|sort| Some((sort.sql, sort.id())));
        for column in orders.chain([None]) {
            for (text, parameters) in pages(resource, column) {
                let plan = explain(&mut conn, &text, parameters).await;
                if sorts(&plan) {
                    wrong.push(format!("{} {column:?}: {text}", resource.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let event = resources()["event"];
    let [(text, _), _] = pages(event, Some(("t.description", "t.id")));
    assert!(
        sorts(&explain(&mut conn, &text, 0).await),
        "the check notices a plan that sorts"
    );
}

/// Claim: on a table with many rows the planner chooses that index by itself, and a late page reads as little as the
/// first one.
#[tokio::test]
async fn a_deep_page_costs_what_the_first_one_does() {
    let database = Database::new(Content::Demo).await;
    let mut superuser = database.superuser().await;
    run(
        &mut superuser,
        "insert into app.events (city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state)
         select e.city_id, e.host_type, e.host_id, 'Evening ' || g, 'evening-' || g, now() + g * interval '1 minute',
           now() + (g + 60) * interval '1 minute', 'UTC', 'published'
         from (select * from app.events where host_type = 'organization' and state = 'published' limit 1) e, generate_series(1, 6000) g;
         analyze app.events",
    )
    .await;
    let mut conn = request(&database).await;
    let event = resources()["event"];
    let [(first, _), _] = pages(event, Some(("t.starts_at", "t.id")));
    let plan = explain(&mut conn, &first, 0).await;
    assert!(!sorts(&plan), "{plan:#}");
    let uses = |index: &str| nodes(&plan).iter().any(|node| node["Index Name"] == index);
    assert!(uses("events_starts_at_id_idx"), "{plan:#}");

    let blocks = async |conn: &mut PgConnection, text: &str| -> i64 {
        let explain = format!("explain (analyze, buffers, timing off, format json) {text}");
        let row = sqlx::query(AssertSqlSafe(explain))
            .fetch_one(conn)
            .await
            .expect(text);
        let plan = &row.get::<Value, _>(0)[0]["Plan"];
        let count = |key: &str| plan[key].as_i64().unwrap_or(0);
        count("Shared Hit Blocks") + count("Shared Read Blocks")
    };
    let after = |row: i64| {
        event.list_text(&format!(
            " where (t.starts_at, t.id) > (now() + {row} * interval '1 minute', '{}') order by t.starts_at, t.id limit 21",
            uuid::Uuid::nil()
        ))
    };
    // The first run fills the caches of the catalogue.
    blocks(&mut conn, &after(1)).await;
    let near = blocks(&mut conn, &after(1)).await;
    let far = blocks(&mut conn, &after(5_900)).await;
    assert!(far <= 2 * near + 20, "{far} blocks, not about {near}");
    let by_offset = event.list_text(" order by t.starts_at, t.id limit 21 offset 5900");
    let by_offset = blocks(&mut conn, &by_offset).await;
    assert!(
        by_offset > 2 * near + 20,
        "the control: an offset reads only {by_offset} blocks, not far more than {near}"
    );
}
