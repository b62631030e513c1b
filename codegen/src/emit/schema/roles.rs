//! Database roles, extensions and schemas, on which everything else depends.

use super::{
    names::Roles,
    object::{object, quote},
};
use crate::model::Model;
use crate::objects::{Kind, Object};

const EXTENSIONS: [&str; 4] = ["btree_gist", "pg_trgm", "unaccent", "postgis"];

/// Policies lead to plans with high estimates but little work, for which JIT compilation would take seconds.
const JIT: (&str, &str) = ("jit", "off");

/// Notices are about the input of callers, such as a search without words, and would only fill the log.
const QUIET: (&str, &str) = ("client_min_messages", "warning");

pub fn objects(model: &Model) -> Vec<Object> {
    let roles = Roles(&model.app);
    let mut found = vec![
        role(&roles.owner(), "nologin", &[]),
        role(&roles.authz(), "nologin bypassrls", &[]),
        role(&roles.counter(), "nologin bypassrls", &[]),
        role(&roles.audit(), "nologin", &[]),
        role(&roles.queue(), "nologin", &[]),
        role(
            &roles.app(),
            "login noinherit",
            &[
                ("statement_timeout", "5s"),
                ("lock_timeout", "2s"),
                ("idle_in_transaction_session_timeout", "10s"),
                QUIET,
                JIT,
            ],
        ),
        role(
            &roles.job(),
            "login noinherit",
            &[
                ("lock_timeout", "10s"),
                ("idle_in_transaction_session_timeout", "60s"),
                QUIET,
                JIT,
            ],
        ),
    ];
    found.push(schema(
        "app",
        &roles.owner(),
        &[roles.app(), roles.job(), roles.authz(), roles.counter()],
    ));
    let everybody = [
        roles.app(),
        roles.job(),
        roles.owner(),
        roles.counter(),
        roles.audit(),
        roles.queue(),
    ];
    found.push(schema("sec", &roles.authz(), &everybody));
    found.push(schema(
        "counters",
        &roles.owner(),
        &[roles.app(), roles.job(), roles.authz(), roles.counter()],
    ));
    found.push(schema(
        "audit",
        &roles.audit(),
        &[roles.job(), roles.queue()],
    ));
    found.push(schema(
        "requests",
        &roles.queue(),
        &[roles.app(), roles.job()],
    ));
    found.push(schema(
        "jobs",
        &roles.queue(),
        &[roles.app(), roles.job(), roles.counter()],
    ));
    found.push(schema("search", &roles.authz(), &[]));
    found.extend(EXTENSIONS.map(|name| {
        let create = format!("create extension if not exists {name} with schema public;");
        object(Kind::Extension, name, create, String::new())
    }));
    found
}

/// Roles belong to the cluster, which may contain several databases of the application. So they are created if
/// missing, and never dropped.
fn role(name: &str, attributes: &str, settings: &[(&str, &str)]) -> Object {
    let mut steps = format!("    create role {name} {attributes};\n");
    for (setting, value) in settings {
        steps.push_str(&format!(
            "    alter role {name} set {setting} = {};\n",
            quote(value)
        ));
    }
    let create = format!(
        "do $$\nbegin\n  if not exists (select from pg_catalog.pg_roles where rolname = {}) then\n{steps}  end if;\n\
         exception when duplicate_object or unique_violation then\n  null;\nend\n$$;",
        quote(name)
    );
    object(Kind::Role, name, create, String::new())
}

fn schema(name: &str, owner: &str, users: &[String]) -> Object {
    let mut create = format!("create schema {name};\nalter schema {name} owner to {owner};");
    if !users.is_empty() {
        create.push_str(&format!(
            "\ngrant usage on schema {name} to {};",
            users.join(", ")
        ));
    }
    object(Kind::Schema, name, create, format!("drop schema {name};"))
}
