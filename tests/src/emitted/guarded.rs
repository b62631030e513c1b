//! Uses a field or relation with a `read` rule, of every kind, in every place that a spec allows. The generator either
//! refuses the use and says how to correct it, or everything generated works for callers who may read it and for
//! others, and only the former get its value.

use super::texts::statements;
use crate::migrations::{blank::Blank, repository, rows::ROWS};
use codegen::emit;
use codegen::model::Model;
use codegen::tree::Tree;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, postgres::PgDatabaseError};
use std::fmt::Write;

struct Kind {
    name: &'static str,
    /// A line of `fields` or of `belongs`.
    line: &'static str,
    relation: bool,
    /// A condition that holds for the row.
    holds: &'static str,
    /// A value that a transition can set.
    value: Option<&'static str>,
    /// The secret as an SQL literal.
    sql: &'static str,
}

#[rustfmt::skip]
const KINDS: [Kind; 8] = [
    Kind { name: "text", line: "secret: text(1..80)?", relation: false, holds: "secret != null", value: Some("\"other\""), sql: "secret = 'zebra-97319731'" },
    Kind { name: "int", line: "secret: int?", relation: false, holds: "secret > 3", value: Some("5"), sql: "secret = 97319731" },
    Kind { name: "bool", line: "secret: bool = false", relation: false, holds: "secret", value: Some("true"), sql: "secret = true" },
    Kind { name: "choice", line: "secret: enum(zebra_97319731, other) = other", relation: false, holds: "secret in (zebra_97319731)", value: Some("other"), sql: "secret = 'zebra_97319731'" },
    Kind { name: "time", line: "secret: time?", relation: false, holds: "secret == null or secret < now()", value: Some("now()"), sql: "secret = '1973-01-09 07:31:31Z'" },
    Kind { name: "states", line: "secret: states(zebra_97319731, other) = other", relation: false, holds: "secret == zebra_97319731", value: None, sql: "secret = 'zebra_97319731'" },
    Kind { name: "relation", line: "secret: city?", relation: true, holds: "secret != null", value: None, sql: "secret_id = '00000000-0000-7000-8000-00000000c003'" },
    Kind { name: "one_of", line: "secret: one of city | organization?", relation: true, holds: "secret != null", value: None, sql: "secret_type = 'city', secret_id = '00000000-0000-7000-8000-00000000c003'" },
];

/// Texts by which the secrets above are recognized in a row.
const MARKS: [&str; 3] = ["97319731", "1973-01-09", "00000000c003"];

/// The parts of the entity beside its secret: `{holds}` and `{value}` are filled in, and `modifier` is added to the
/// secret's line.
struct Use {
    name: &'static str,
    modifier: &'static str,
    fields: &'static str,
    sections: &'static str,
    access: &'static str,
}

#[rustfmt::skip]
const USES: [Use; 26] = [
    Use { name: "alone", modifier: "", fields: "", sections: "", access: "" },
    Use { name: "when", modifier: "", fields: "  done: bool = false, system\n", sections: "transitions:\n  go: set done = true, by signed_in, when {holds}\n", access: "" },
    Use { name: "by", modifier: "", fields: "  done: bool = false, system\n", sections: "transitions:\n  go: set done = true, by signed_in and ({holds})\n", access: "" },
    Use { name: "set", modifier: ", system", fields: "", sections: "transitions:\n  go: set secret = {value}, by signed_in\n", access: "" },
    Use { name: "from", modifier: "", fields: "", sections: "transitions:\n  go: other -> zebra_97319731, by signed_in\n", access: "" },
    Use { name: "flag", modifier: "", fields: "", sections: "derived:\n  told: {holds}\n", access: "" },
    Use { name: "flag_filter", modifier: "", fields: "", sections: "derived:\n  told: {holds}, filter\n", access: "" },
    Use { name: "row_check", modifier: "", fields: "", sections: "check:\n  good: {holds} or open\n", access: "" },
    Use { name: "field_check", modifier: "", fields: "  other: int?, check {holds} or other == null\n", sections: "", access: "" },
    Use { name: "unique", modifier: ", unique", fields: "", sections: "", access: "" },
    Use { name: "unique_pair", modifier: "", fields: "", sections: "unique: [[name, secret]]\n", access: "" },
    Use { name: "index", modifier: "", fields: "", sections: "index: [[name, secret]]\n", access: "" },
    Use { name: "filter", modifier: ", filter", fields: "", sections: "", access: "" },
    Use { name: "sort", modifier: ", sort", fields: "", sections: "", access: "" },
    Use { name: "search", modifier: ", search", fields: "", sections: "", access: "" },
    Use { name: "keep", modifier: "", fields: "", sections: "keep:\n  last: one per owner where {holds}\n", access: "" },
    Use { name: "fixed", modifier: ", fixed", fields: "", sections: "", access: "" },
    Use { name: "redact", modifier: ", redact", fields: "", sections: "", access: "" },
    Use { name: "slug", modifier: "", fields: "  short: slug from secret\n", sections: "", access: "" },
    Use { name: "write_rule", modifier: "", fields: "  other: int?, write owner and ({holds})\n", sections: "", access: "" },
    Use { name: "read_rule", modifier: "", fields: "  other: int?, read owner or ({holds})\n", sections: "", access: "" },
    Use { name: "read", modifier: "", fields: "", sections: "", access: "  read: open or ({holds})\n" },
    Use { name: "update", modifier: "", fields: "", sections: "", access: "  update: owner or ({holds})\n" },
    Use { name: "create", modifier: "", fields: "", sections: "", access: "  create: signed_in and ({holds})\n" },
    Use { name: "delete", modifier: "", fields: "", sections: "", access: "  delete: owner and ({holds})\n" },
    Use { name: "movable", modifier: ", movable", fields: "", sections: "", access: "" },
];

/// An entity below each `gig_…`, so that rules and counters of other entities refer to the secret.
const BELOW: [(&str, &str); 3] = [
    (
        "of",
        "access:\n  told: told of gig\n  read: told or me is owner\n  create: told\n  update: told\n",
    ),
    (
        "read_of",
        "access:\n  read: read of gig\n  create: update of gig\n  update: update of gig\n",
    ),
    (
        "untold_of",
        "access:\n  read: untold of gig\n  create: signed_in\n  update: told of gig\n",
    ),
];

fn gig(kind: &Kind, what: &Use) -> Option<String> {
    let (sections, value) = (what.sections, kind.value);
    if sections.contains("{value}") && value.is_none() {
        return None;
    }
    let is_state = kind.name == "states";
    if (what.name == "from" && !is_state) || (what.name == "movable" && !kind.relation) {
        return None;
    }
    let secret = format!("  {}{}, read owner\n", kind.line, what.modifier);
    let (fields, belongs) = match kind.relation {
        true => ("", secret.as_str()),
        false => (secret.as_str(), ""),
    };
    // States always need a transition.
    let more = match (
        is_state && what.name != "from",
        sections.contains("transitions:"),
    ) {
        (false, _) => String::new(),
        (true, true) => "  hide: other -> zebra_97319731, by owner\n".to_owned(),
        (true, false) => "transitions:\n  hide: other -> zebra_97319731, by owner\n".to_owned(),
    };
    let mut text = format!(
        "entity: gig_{0}\ndoc: Has a secret.\nfields:\n  name: text(1..80)\n  open: bool = true\n{fields}{1}belongs:\n  owner: user, set me\n{belongs}{sections}{more}access:\n  owner: me is owner\n",
        what.name, what.fields
    );
    for (action, rule) in [
        ("read", "anyone"),
        ("create", "signed_in"),
        ("update", "owner"),
        ("delete", "owner"),
    ] {
        if what.access.starts_with(&format!("  {action}:")) {
            text.push_str(what.access);
        } else {
            let _ = writeln!(text, "  {action}: {rule}");
        }
    }
    Some(
        text.replace("{holds}", kind.holds)
            .replace("{value}", value.unwrap_or_default()),
    )
}

/// Entities that refer to the secret of another one: conditions, counters and lists below it.
fn others(kind: &Kind) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let condition = format!(
        "access:\n  owner: me is owner\n  told: {}\n  untold: not told\n",
        kind.holds
    );
    let base = gig(kind, &USES[0]).expect("possible");
    let told = base.replace("entity: gig_alone", "entity: gig_told");
    let told = told.replace("access:\n  owner: me is owner\n", &condition);
    for (name, access) in BELOW {
        let below = format!(
            "entity: below_{name}\ndoc: Is below.\nfields:\n  name: text(1..80)\nbelongs:\n  owner: user?, set me\n  gig: gig_told\n{access}"
        );
        files.push((format!("below_{name}"), below));
    }
    files.insert(0, ("gig_told".to_owned(), told));
    files
}

/// The model of the base world with these files.
fn world(files: &[(String, String)]) -> Result<Model, codegen::diag::Diagnostics> {
    let edits: Vec<repository::Edit> = files
        .iter()
        .map(|(name, text)| (name.as_str(), "", text.as_str()))
        .collect();
    repository::try_world(&edits)
}

/// A parent's counters, sums and lists, one by one.
fn above(kind: &Kind) -> Vec<(String, Vec<(String, String)>)> {
    let child = gig(kind, &USES[0])
        .expect("possible")
        .replace("entity: gig_alone", "entity: gig_child");
    let child = child.replace("belongs:\n", "belongs:\n  top: gig_top\n");
    let top = |sections: &str, access: &str| {
        format!(
            "entity: gig_top\ndoc: Is above.\nfields:\n  name: text(1..80)\nhas:\n  parts: gig_child* via top\n{sections}access:\n  read: {access}\n  create: signed_in\n"
        )
    };
    let mut found = Vec::new();
    for (name, sections, access) in [
        (
            "count where",
            format!("derived:\n  told: count(parts where {})\n", kind.holds),
            "anyone".to_owned(),
        ),
        (
            "sum",
            "derived:\n  told: sum(parts.secret)\n".to_owned(),
            "anyone".to_owned(),
        ),
        (
            "avg",
            "derived:\n  told: avg(parts.secret)\n".to_owned(),
            "anyone".to_owned(),
        ),
        (
            "me in where",
            String::new(),
            format!("me in parts as owner where ({})", kind.holds),
        ),
    ] {
        let files = vec![
            ("gig_top".to_owned(), top(&sections, &access)),
            ("gig_child".to_owned(), child.clone()),
        ];
        found.push((name.to_owned(), files));
    }
    found
}

fn refused_well(what: &str, said: &codegen::diag::Diagnostics) {
    for diagnostic in &said.list {
        assert!(
            diagnostic.span.is_some() && diagnostic.help.is_some(),
            "{what}: an error without a place or a help:\n{said}"
        );
    }
}

#[tokio::test]
async fn a_secret_is_refused_or_kept_wherever_it_is_named() {
    let (mut refused, mut accepted) = (Vec::new(), 0);
    for kind in &KINDS {
        let mut files = others(kind);
        for what in &USES {
            let Some(text) = gig(kind, what) else {
                continue;
            };
            let name = format!("{} {}", kind.name, what.name);
            let file = (format!("gig_{}", what.name), text);
            match world(std::slice::from_ref(&file)) {
                Ok(_) => files.push(file),
                Err(said) => {
                    refused_well(&name, &said);
                    refused.push(name);
                }
            }
        }
        for (name, more) in above(kind) {
            match world(&more) {
                // Added once, because two entities can't have the same name.
                Ok(_) if name == "me in where" => files.extend(more),
                Ok(_) => panic!("{} {name} is shown to everybody", kind.name),
                Err(said) => {
                    let name = format!("{} {name}", kind.name);
                    refused_well(&name, &said);
                    refused.push(name);
                }
            }
        }
        accepted += files.len();
        let model = world(&files).unwrap_or_else(|said| panic!("{}: {said}", kind.name));
        run(kind, &model).await;
    }
    // Uses that must always be refused, whatever the kind of field.
    for what in ["flag", "flag_filter", "filter", "sort"] {
        let count = refused
            .iter()
            .filter(|name| name.ends_with(&format!(" {what}")))
            .count();
        assert_eq!(count, KINDS.len(), "{what}: {refused:#?}");
    }
    for one in [
        "text slug",
        "text search",
        "int sum",
        "int avg",
        "text count where",
    ] {
        assert!(
            refused.iter().any(|name| name == one),
            "{one}: {refused:#?}"
        );
    }
    assert!(accepted > 120, "{accepted}");
}

/// Runs every statement of every entity as the owner of the rows, as another member and as an anonymous caller.
async fn run(kind: &Kind, model: &Model) {
    let database = Blank::new().await;
    database.run(&repository::script(model)).await;
    database.run(ROWS).await;
    let mut conn = database.connect().await;
    let ids = rows(kind, model, &mut conn).await;
    let mut tree = Tree::default();
    emit::emit(model, &emit::schema::schema(model), &[], &mut tree);
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (entity, id) in &ids {
        let file = tree
            .get(&format!("generated/src/{entity}.rs"))
            .expect("a file");
        // The end of a list comes after what the request adds.
        let end = |file: &str| -> String {
            let mut texts = statements(file).into_iter();
            texts
                .find(|(name, _)| name == "list_end")
                .map_or_else(String::new, |(_, text)| text)
        };
        for (name, text) in statements(file) {
            if name == "list_end" {
                continue;
            }
            let text = match name.strip_prefix("children of ") {
                Some(child) => {
                    let file = tree
                        .get(&format!("generated/src/{child}.rs"))
                        .expect("a file");
                    let list = statements(file)
                        .into_iter()
                        .find(|(name, _)| name == "list");
                    format!("{} where {text} = $1{}", list.expect("a list").1, end(file))
                }
                None if name == "list" => format!("{text}{}", end(file)),
                None => text,
            };
            for (who, caller) in [("owner", Some(1)), ("stranger", Some(6)), ("nobody", None)] {
                match statement(&mut conn, caller, &name, &text, id).await {
                    Ok(shown) => {
                        let is_told = MARKS.iter().any(|mark| shown.contains(mark));
                        seen += usize::from(is_told && who == "owner");
                        if is_told && who != "owner" {
                            wrong.push(format!("{entity} {name} tells {who}: {shown}\n{text}"));
                        }
                    }
                    Err(why) => wrong.push(format!("{entity} {name} as {who}: {why}\n{text}")),
                }
            }
        }
    }
    conn.close().await.expect("close");
    assert!(wrong.is_empty(), "{}: {}", kind.name, wrong.join("\n\n"));
    // The value of a boolean can't be recognized.
    assert!(
        seen > 10 || kind.name == "bool",
        "{}: the owner sees it {seen} times",
        kind.name
    );
}

/// Inserts one row with its secret in each entity of the test, as a superuser.
async fn rows(kind: &Kind, model: &Model, conn: &mut PgConnection) -> Vec<(String, String)> {
    let owner = "'00000000-0000-7000-8000-00000000a001'";
    let mut ids: Vec<(String, String)> = Vec::new();
    // Parents first.
    let mut names: Vec<&str> = model.entities.iter().map(|e| e.name.as_str()).collect();
    names.retain(|name| name.starts_with("gig_") || name.starts_with("below_"));
    names.sort_by_key(|name| (name.starts_with("below_"), *name == "gig_child"));
    for name in names {
        let (_, entity) = model.entity(name).expect("an entity");
        let parent = |of: &str| {
            let found = ids.iter().find(|(known, _)| known == of);
            found.map(|(_, id)| format!("'{id}'"))
        };
        let (mut columns, mut values) = (vec!["name"], vec!["'a row'".to_owned()]);
        for (relation, column, value) in [
            ("owner", "owner_id", Some(owner.to_owned())),
            ("gig", "gig_id", parent("gig_told")),
            ("top", "top_id", parent("gig_top")),
        ] {
            if let (Some(_), Some(value)) = (entity.relation(relation), value) {
                columns.push(column);
                values.push(value);
            }
        }
        let sql = format!(
            "insert into app.{} ({}) values ({}) returning id::text",
            entity.plural,
            columns.join(", "),
            values.join(", ")
        );
        let id: String = sqlx::query_scalar(AssertSqlSafe(sql.clone()))
            .fetch_one(&mut *conn)
            .await
            .unwrap_or_else(|why| panic!("{why}\n{sql}"));
        if entity.field("secret").is_some() || entity.relation("secret").is_some() {
            let sql = format!("update app.{} set {}", entity.plural, kind.sql);
            sqlx::raw_sql(AssertSqlSafe(sql.clone()))
                .execute(&mut *conn)
                .await
                .unwrap_or_else(|why| panic!("{why}\n{sql}"));
        }
        ids.push((name.to_owned(), id));
    }
    ids
}

/// The rows as text. Only missing privileges and invalid SQL are errors.
async fn statement(
    conn: &mut PgConnection,
    caller: Option<u32>,
    name: &str,
    text: &str,
    id: &str,
) -> Result<String, String> {
    let caller = caller.map_or("null".to_owned(), |n| {
        format!("'00000000-0000-7000-8000-00000000a{n:03}'")
    });
    let action = if name == "transition" { "go" } else { name };
    let start = format!(
        "set local role fixture_app; select sec.enter({caller}, null, '{action}', gen_random_uuid())"
    );
    let parameters = (1..)
        .take_while(|n| text.contains(&format!("${n}")))
        .count();
    let ids = match name {
        "by_ids" => vec![format!("array['{id}'::uuid]")],
        "create" => vec!["null".to_owned(); parameters],
        _ => [format!("'{id}'")]
            .into_iter()
            .chain(vec!["null".to_owned(); parameters.saturating_sub(1)])
            .take(parameters)
            .collect(),
    };
    let values = if ids.is_empty() {
        String::new()
    } else {
        format!("({})", ids.join(", "))
    };
    let mut transaction = conn.begin().await.map_err(|e| e.to_string())?;
    let told = |error: &sqlx::Error| format!("{error}");
    sqlx::raw_sql(AssertSqlSafe(start))
        .execute(&mut *transaction)
        .await
        .map_err(|e| told(&e))?;
    sqlx::raw_sql(AssertSqlSafe(format!("prepare s as {text}")))
        .execute(&mut *transaction)
        .await
        .map_err(|e| told(&e))?;
    let found = sqlx::raw_sql(AssertSqlSafe(format!("execute s{values}")))
        .fetch_all(&mut *transaction)
        .await;
    transaction.rollback().await.map_err(|e| e.to_string())?;
    sqlx::raw_sql("deallocate all")
        .execute(&mut *conn)
        .await
        .map_err(|e| e.to_string())?;
    match found {
        Ok(rows) => Ok(rows.iter().map(shown).collect()),
        Err(error) => {
            let database = error.as_database_error().ok_or(told(&error))?;
            let routine = database
                .try_downcast_ref::<PgDatabaseError>()
                .and_then(|e| e.routine());
            let code = database.code().unwrap_or_default().into_owned();
            let refused = match code.as_str() {
                "42501" => !routine.unwrap_or_default().starts_with("aclcheck_error"),
                // Violated checks, keys and not-null constraints.
                code => code.starts_with("23"),
            };
            if refused {
                Ok(String::new())
            } else {
                Err(told(&error))
            }
        }
    }
}

/// All columns of any type: answers of unprepared statements are text.
fn shown(row: &sqlx::postgres::PgRow) -> String {
    (0..row.len())
        .filter_map(|n| row.try_get_raw(n).ok()?.as_str().ok().map(str::to_owned))
        .collect::<Vec<_>>()
        .join("|")
}
