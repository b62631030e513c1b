//! The parsed form of `app.yaml`.

use super::entity::{Body, MIXIN_KEYS, body};
use super::keys::{Keys, entries, list, name, name_of, phrases, scalar, words};
use super::yaml::{Node, Text};
use crate::diag::{Collector, Diagnostic, Span};
use crate::names;
use crate::phrase::{self, FieldLine, Rule, Word};

pub const APP_KEYS: [&str; 12] = [
    "app",
    "title",
    "doc",
    "identity",
    "assignments",
    "sessions",
    "roles",
    "objects",
    "mixins",
    "modules",
    "tags",
    "dropped",
];
pub const MODULE_KEYS: [&str; 4] = ["doc", "read", "write", "on_request"];
pub const WRITE_KEYS: [&str; 2] = ["create", "update"];

#[derive(Debug)]
pub struct AppSpec {
    pub app: Word,
    pub title: String,
    pub doc: String,
    pub identity: Word,
    pub assignments: Word,
    /// Which assignments count: `where state == accepted`.
    pub counted: Option<Rule>,
    pub sessions: Option<Word>,
    /// Each role with the entities whose rows it is held of; empty for a role held everywhere.
    pub roles: Vec<(Word, Vec<Word>)>,
    pub objects: Vec<(Word, Vec<(Word, FieldLine)>)>,
    pub mixins: Vec<(Word, Body)>,
    pub modules: Vec<ModuleSpec>,
    pub tags: Vec<(Word, Vec<Word>)>,
    /// `entity` or `entity.field`
    pub dropped: Vec<Word>,
    /// The place of the key `tags`, where a missing entity has to be added.
    pub tags_span: Option<Span>,
}

#[derive(Debug)]
pub struct ModuleSpec {
    pub name: Word,
    pub doc: String,
    pub reads: Vec<Word>,
    pub writes: Vec<(Word, WriteSpec)>,
    /// The jobs that requests may enqueue.
    pub requested: Vec<Word>,
}

/// What a module writes of an entity.
#[derive(Debug)]
pub enum WriteSpec {
    All,
    /// `create: [a, b]`, if it inserts rows, and what it updates in existing rows.
    Columns {
        create: Option<Vec<Word>>,
        update: Vec<Word>,
    },
}

pub fn read(tree: &Node, errors: &Collector) -> Option<AppSpec> {
    let keys = Keys::of(tree, "app.yaml", &APP_KEYS, errors)?;
    keys.required("app", "add `app: culturepass`: it names the database roles");
    keys.required("title", "add `title: CulturePass`");
    keys.required(
        "doc",
        "add `doc:` with a sentence or two for the API document",
    );
    keys.required(
        "identity",
        "add `identity: user`: the entity people sign in as",
    );
    keys.required(
        "assignments",
        "add `assignments: role_assignment`: the entity that holds roles",
    );
    let app = name_of(keys.text("app", "write `app: culturepass`"), errors);
    if let Some(app) = &app
        && app.it.len() > 40
    {
        errors.push(
            Diagnostic::at(
                app.span,
                format!("`{}` is too long to name database roles after", app.it),
            )
            .help("40 letters at most"),
        );
    }
    if let Some(app) = &app
        && app.it.starts_with("pg_")
    {
        errors.push(
            Diagnostic::at(
                app.span,
                "PostgreSQL keeps names of roles that start with `pg_` for itself",
            )
            .help("choose another name: roles are called `<app>_app`, `<app>_job` …"),
        );
    }
    let identity = keys.word("identity", "write the name of an entity");
    let assignments = keys.text("assignments", "write the name of an entity");
    let assignments = assignments.and_then(|text| errors.keep(phrase::assignments(text)));
    Some(AppSpec {
        title: text(&keys, "title"),
        doc: text(&keys, "doc"),
        sessions: keys.word("sessions", "write the name of an entity"),
        roles: roles(&keys),
        objects: objects(&keys),
        mixins: mixins(&keys),
        modules: modules(&keys),
        tags: tags(&keys),
        dropped: keys.words("dropped", "write `dropped: [old_entity, event.capacity]`"),
        tags_span: keys.key_span("tags"),
        app: app?,
        identity: identity?,
        counted: assignments.as_ref().and_then(|a| a.counted.clone()),
        assignments: assignments?.entity,
    })
}

fn text(keys: &Keys, key: &str) -> String {
    keys.text(key, "write a sentence")
        .map(|t| t.value.clone())
        .unwrap_or_default()
}

fn roles(keys: &Keys) -> Vec<(Word, Vec<Word>)> {
    let help = "one `name: everywhere` or `name: of organization | community` per line";
    let Some(node) = keys.get("roles") else {
        return Vec::new();
    };
    let mut roles: Vec<(Word, Vec<Word>)> = Vec::new();
    for (key, value) in entries(node, "`roles`", help, keys.errors) {
        let Some(text) = scalar(
            value,
            &format!("the phrase of `{}`", key.value),
            help,
            keys.errors,
        ) else {
            continue;
        };
        let scopes = keys.errors.keep(phrase::role(text));
        let Some(word) = role_name(key, keys.errors) else {
            continue;
        };
        let snake = names::snake(&word.it);
        let alike = |(r, _): &&(Word, Vec<Word>)| {
            names::snake(&r.it) == snake || names::pascal(&r.it) == names::pascal(&word.it)
        };
        if let Some((first, _)) = roles.iter().find(alike) {
            keys.errors.push(
                Diagnostic::at(
                    word.span,
                    format!(
                        "`{}` and `{}` are alike in generated code: `{snake}`",
                        word.it, first.it
                    ),
                )
                .also(first.span, "first written here")
                .help("rename one of the two"),
            );
            continue;
        }
        roles.extend(scopes.map(|scopes| (word, scopes)));
    }
    roles
}

/// Roles may have capitals.
fn role_name(key: &Text, errors: &Collector) -> Option<Word> {
    let it = key.value.clone();
    if !names::is_word(&it)
        || names::is_rule_word(&it)
        || names::is_yaml_word(&it)
        || names::snake(&it).len() > 40
    {
        errors.push(
            Diagnostic::at(key.span, format!("`{}` can't be a role", it.escape_debug()))
                .help("write it like `orgAdmin`: letters, digits and `_`, 40 at most"),
        );
        return None;
    }
    Some(Word { it, span: key.span })
}

fn objects(keys: &Keys) -> Vec<(Word, Vec<(Word, FieldLine)>)> {
    let help = "one object per line, its fields below it";
    let Some(node) = keys.get("objects") else {
        return Vec::new();
    };
    entries(node, "`objects`", help, keys.errors)
        .iter()
        .filter_map(|(key, value)| {
            let fields = phrases(
                value,
                &format!("the object `{}`", key.value),
                "name: type",
                phrase::field,
                keys.errors,
            );
            Some((name(key, keys.errors)?, fields))
        })
        .collect()
}

fn mixins(keys: &Keys) -> Vec<(Word, Body)> {
    let help = "one mixin per line, `fields:` below it";
    let Some(node) = keys.get("mixins") else {
        return Vec::new();
    };
    entries(node, "`mixins`", help, keys.errors)
        .iter()
        .filter_map(|(key, value)| {
            let name = name(key, keys.errors);
            let inner = Keys::of(
                value,
                &format!("the mixin `{}`", key.value),
                &MIXIN_KEYS,
                keys.errors,
            )?;
            let body = body(&inner);
            Some((name?, body))
        })
        .collect()
}

fn modules(keys: &Keys) -> Vec<ModuleSpec> {
    let help = "one `name: {doc: …, read: [entity], write: {entity: [field]}}` per line";
    let Some(node) = keys.get("modules") else {
        return Vec::new();
    };
    let mut modules = Vec::new();
    for (key, value) in entries(node, "`modules`", help, keys.errors) {
        let name = name(key, keys.errors);
        let what = format!("the module `{}`", key.value);
        let Some(inner) = Keys::of(value, &what, &MODULE_KEYS, keys.errors) else {
            continue;
        };
        inner.required(
            "doc",
            "add `doc:` with a sentence that says what the module does",
        );
        let module = ModuleSpec {
            name: match name {
                Some(name) => name,
                None => continue,
            },
            doc: text(&inner, "doc"),
            reads: inner.words("read", "write a list of entities"),
            writes: writes(&inner),
            requested: job_names(&inner),
        };
        modules.push(module);
    }
    modules
}

/// `[entity]`, or `entity: [field]`, `entity: all`, `entity: {create: [field], update: [field]}`.
fn writes(keys: &Keys) -> Vec<(Word, WriteSpec)> {
    let help = "write `entity: [field, field]`, `entity: {create: [field], update: [field]}` or `entity: all`";
    let node = match keys.get("write") {
        None => return Vec::new(),
        Some(node @ Node::List(..)) => {
            let entities = words(node, "`write`", help, keys.errors);
            return entities.into_iter().map(|e| (e, WriteSpec::All)).collect();
        }
        Some(node) => node,
    };
    let mut found = Vec::new();
    for (key, value) in entries(node, "`write`", help, keys.errors) {
        let written = match value {
            Node::Scalar(text) if text.value == "all" => WriteSpec::All,
            Node::Map(..) => {
                let what = format!("what is written of `{}`", key.value);
                let Some(inner) = Keys::of(value, &what, &WRITE_KEYS, keys.errors) else {
                    continue;
                };
                WriteSpec::Columns {
                    create: inner.get("create").map(|_| inner.words("create", help)),
                    update: inner.words("update", help),
                }
            }
            node => {
                let what = format!("what is written of `{}`", key.value);
                WriteSpec::Columns {
                    create: None,
                    update: words(node, &what, help, keys.errors),
                }
            }
        };
        found.extend(name(key, keys.errors).map(|entity| (entity, written)));
    }
    found
}

/// `on_request: [digest]`
fn job_names(keys: &Keys) -> Vec<Word> {
    let help = "write a list of names of jobs";
    let Some(node) = keys.get("on_request") else {
        return Vec::new();
    };
    let items = list(node, "`on_request`", help, keys.errors);
    let texts = items
        .iter()
        .filter_map(|item| scalar(item, "an item of the list", help, keys.errors));
    let names: Vec<Word> = texts.filter_map(|text| name(text, keys.errors)).collect();
    // Reports duplicates.
    keys.words("on_request", help);
    names
}

/// A mapping in reading order, or a list of them.
fn tags(keys: &Keys) -> Vec<(Word, Vec<Word>)> {
    let help = "one `Places: [country, city]` per line";
    let mut tags: Vec<(Word, Vec<Word>)> = Vec::new();
    let mappings = match keys.get("tags") {
        None => &[],
        Some(Node::List(items, _)) => items.as_slice(),
        Some(node) => std::slice::from_ref(node),
    };
    for mapping in mappings {
        for (key, value) in entries(mapping, "`tags`", help, keys.errors) {
            if let Some((first, _)) = tags.iter().find(|(t, _)| t.it == key.value) {
                keys.errors.push(
                    Diagnostic::at(key.span, format!("the tag `{}` is here twice", key.value))
                        .also(first.span, "first written here")
                        .help("join the two lists"),
                );
                continue;
            }
            let entities = words(
                value,
                &format!("the tag `{}`", key.value),
                help,
                keys.errors,
            );
            tags.push((
                Word {
                    it: key.value.clone(),
                    span: key.span,
                },
                entities,
            ));
        }
    }
    tags
}
