//! The database accepts every hand-written statement, and the role that runs it may run it in the name of its module.
//!
//! The texts are found in the source code: every literal that begins like a statement. So none has to be put on a
//! list, and none can be forgotten.

use super::functions::{Functions, Role};
use crate::support::{Database, database::Content, model, root};
use codegen::model::Model;
use proc_macro2::{TokenStream, TokenTree};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// In whose name a statement runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Runner {
    /// In a request's transaction; hooks run in that of the caller.
    Request,
    Job(&'static str),
}

pub struct Text {
    pub file: PathBuf,
    pub runner: Runner,
    pub sql: String,
}

/// Folders and files of hand-written code, and in whose name their statements run.
fn runners() -> Vec<(&'static str, Runner)> {
    let modules = app::modules::NAMES
        .iter()
        .map(|(folder, name)| (*folder, Runner::Job(name)));
    let mut all: Vec<(&'static str, Runner)> = modules.collect();
    // Code that belongs to no module runs in the transaction of any.
    let shared: Vec<_> = all
        .iter()
        .map(|(_, module)| ("clock.rs", *module))
        .collect();
    all.extend(shared);
    all.push(("hooks", Runner::Request));
    all
}

/// Calls a function that requests may not call, on rows that a null doesn't match.
pub const HIDDEN_FROM_NULLS: &str =
    "select id from app.cities where id = $1 and app.first_id(created_at) is not null";

#[tokio::test]
async fn every_hand_written_statement_runs_with_the_rights_of_its_role() {
    let texts = texts();
    assert!(texts.len() > 30, "{} texts", texts.len());
    // Requests run some of the modules' statements too: reads as the caller, and queries of hooks.
    let of_requests = texts.iter().filter(|text| text.runner == Runner::Request);
    let files: BTreeSet<&Path> = of_requests.map(|text| text.file.as_path()).collect();
    for file in ["hooks/accept.rs", "ratings.rs", "payments/connect.rs"] {
        assert!(files.contains(Path::new(file)), "{file}: {files:?}");
    }
    let database = Database::new(Content::Empty).await;
    let mut request = database.request_role().await;
    let mut job = database.job_role().await;
    let mut wrong = Vec::new();
    for text in &texts {
        let conn = match text.runner {
            Runner::Request => &mut request,
            Runner::Job(_) => &mut job,
        };
        let undeclared = undeclared(model(), text);
        if let Err(why) = explain(conn, text.runner, &text.sql).await {
            wrong.push(format!(
                "{} {:?}: {why}\n{}",
                text.file.display(),
                text.runner,
                text.sql
            ));
        }
        for table in undeclared {
            wrong.push(format!(
                "{} {:?}: app.yaml does not say that it uses `{table}`; no row would be found\n{}",
                text.file.display(),
                text.runner,
                text.sql
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));

    // The control: invalid statements are noticed.
    let broken = [
        ("sessions", "select nothing from app.users where id = $1"),
        ("sessions", "update app.users set display_name = $1"),
        ("sessions", "delete from app.users where id = $1"),
        ("audit", "select * from audit.audit_logs"),
    ];
    for (module, sql) in broken {
        assert!(
            explain(&mut job, Runner::Job(module), sql).await.is_err(),
            "{sql}"
        );
    }
    // Also in parts that nulls would rule out.
    for sql in ["select app.first_id($1)", HIDDEN_FROM_NULLS] {
        let refused = explain(&mut request, Runner::Request, sql).await;
        let refused = refused.expect_err(sql).to_string();
        assert!(
            refused.contains("permission denied for function"),
            "{sql}: {refused}"
        );
    }
    let sql = "select id from app.venues".to_owned();
    let file = PathBuf::new();
    let unseen = Text {
        file,
        runner: Runner::Job("sessions"),
        sql,
    };
    assert_eq!(undeclared(model(), &unseen), ["venues"]);
}

/// Prepares a statement without types and explains it with nulls: privileges are checked, nothing is changed. The plan
/// is a generic one, because one for nulls would omit what they rule out, and the functions in that part would not be
/// checked. The search path is that of the server's connections.
pub async fn explain(
    conn: &mut PgConnection,
    runner: Runner,
    sql: &str,
) -> Result<Value, sqlx::Error> {
    sqlx::raw_sql("deallocate all").execute(&mut *conn).await?;
    let mut transaction = conn.begin().await?;
    if let Runner::Job(module) = runner {
        sqlx::query("select sec.enter_job($1, null, null, gen_random_uuid())")
            .bind(module)
            // The driver must not remember named statements, because `deallocate all` removes them.
            .persistent(false)
            .execute(&mut *transaction)
            .await?;
    }
    let parameters = (1..).take_while(|n| sql.contains(&format!("${n}"))).count();
    let nulls = match parameters {
        0 => String::new(),
        many => format!("({})", vec!["null"; many].join(", ")),
    };
    let settings = "set local plan_cache_mode = force_generic_plan; set local search_path = pg_catalog, pg_temp";
    for text in [settings.to_owned(), format!("prepare s as {sql}")] {
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut *transaction)
            .await?;
    }
    let question = format!("explain (format json) execute s{nulls}");
    let mut plan: Value = sqlx::query_scalar(AssertSqlSafe(question))
        .persistent(false)
        .fetch_one(&mut *transaction)
        .await?;
    transaction.rollback().await?;
    Ok(plan[0]["Plan"].take())
}

/// Tables that a module uses in a statement without declaring them in `app.yaml`, so that policies would hide all
/// rows.
fn undeclared(model: &Model, text: &Text) -> Vec<String> {
    let Runner::Job(name) = text.runner else {
        return Vec::new();
    };
    let module = model.modules.iter().position(|m| m.name == name);
    let named = |plural: &str| {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let after = text.sql.split("app.").skip(1);
        after.filter(|rest| !rest.is_empty()).any(|rest| {
            rest.strip_prefix(plural)
                .is_some_and(|rest| !rest.starts_with(word))
        })
    };
    let entities = model.entities.iter().enumerate();
    entities
        .filter(|(_, entity)| named(&entity.plural))
        .filter(|(id, entity)| {
            module.is_none_or(|at| {
                let module = &model.modules[at];
                entity.module != Some(at)
                    && !module.reads.contains(id)
                    && !module.writes.contains(id)
            })
        })
        .map(|(_, entity)| entity.plural.clone())
        .collect()
}

/// All hand-written statements, once for each role and module that run them.
pub fn texts() -> Vec<Text> {
    let folder = root().join("runtime/app/src");
    let mut files = Vec::new();
    collect(&folder, &mut files);
    let runners = runners();
    let mut functions = Functions::default();
    for file in &files {
        let path = file.strip_prefix(&folder).expect("below");
        functions.add(path, &production(file));
    }
    let mut found = Vec::new();
    for file in files {
        let path = file.strip_prefix(&folder).expect("below").to_owned();
        let first = path.iter().next().and_then(|part| part.to_str());
        let first = first.unwrap_or_default();
        let is_in = |prefix: &str| first == prefix || first.strip_suffix(".rs") == Some(prefix);
        let own = runners.iter().filter(|(prefix, _)| is_in(prefix));
        let own: Vec<Runner> = own.map(|(_, runner)| *runner).collect();
        for sql in of_file(&file) {
            assert!(
                !own.is_empty(),
                "{}: statements belong into the folder of a module, or into that of the hooks:\n{sql}",
                path.display()
            );
            // Checked as each role that runs the statement.
            for role in functions.roles(&path, |body| statements(body).contains(&sql)) {
                let runners = match role {
                    Role::Request => &[Runner::Request][..],
                    Role::Job => &own[..],
                };
                found.extend(runners.iter().map(|runner| Text {
                    file: path.clone(),
                    runner: *runner,
                    sql: sql.clone(),
                }));
            }
        }
    }
    // The engine's own module.
    let file = root().join("runtime/kernel/src/audit.rs");
    let runner = Runner::Job("audit");
    let texts = of_file(&file).into_iter();
    found.extend(texts.map(|sql| Text {
        file: file.clone(),
        runner,
        sql,
    }));
    found
}

pub fn of_file(file: &Path) -> Vec<String> {
    let text = production(file);
    // Statements that are composed at run time couldn't be found here.
    for word in ["AssertSqlSafe", "QueryBuilder", "raw_sql"] {
        assert!(!text.contains(word), "{}: {word}", file.display());
    }
    statements(text.parse().expect("Rust"))
}

/// The code without its tests.
fn production(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("a text");
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.to_owned()
}

/// Literals that begin like a statement.
fn statements(tokens: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    let mut attribute = false;
    for token in tokens {
        match token {
            // Doc comments are texts too, and may begin with a verb.
            TokenTree::Group(_) if attribute => {}
            TokenTree::Group(group) => found.extend(statements(group.stream())),
            TokenTree::Punct(sign)
                if sign.as_char() == '#' || attribute && sign.as_char() == '!' =>
            {
                attribute = true;
                continue;
            }
            TokenTree::Literal(literal) => {
                let text = syn::parse_str::<syn::LitStr>(&literal.to_string());
                let is_statement = |text: &String| {
                    // However it is written: in capitals, or after a comment or parenthesis.
                    let lines = text
                        .lines()
                        .map(str::trim)
                        .filter(|line| !line.starts_with("--"));
                    let first = lines
                        .flat_map(str::split_whitespace)
                        .next()
                        .unwrap_or_default();
                    let first = first.trim_start_matches('(').to_lowercase();
                    let verbs = [
                        "select", "insert", "update", "delete", "with", "merge", "values", "table",
                    ];
                    verbs.contains(&first.as_str()) && text.trim().contains(char::is_whitespace)
                };
                found.extend(text.map(|text| text.value()).ok().filter(is_statement));
            }
            _ => {}
        }
        attribute = false;
    }
    found
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => collect(&path, files),
            false if path.extension().is_some_and(|end| end == "rs") => files.push(path),
            false => {}
        }
    }
}
