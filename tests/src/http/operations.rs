//! The operations of an entity, derived from its descriptor, and those of the document for comparison.

use crate::support::{model, resources, root};
use codegen::model::{Model, Relation};
use kernel::{
    resource::{Child, Resource, Transition},
    rule::Rule,
};
use reqwest::Method;
use serde_json::{Map, Value};
use std::sync::LazyLock;

#[derive(Clone, Copy)]
pub enum Kind {
    List,
    Get,
    Create,
    Replace,
    Merge,
    Archive,
    /// `GET /events/archived`
    Archived,
    Restore,
    Suspend,
    Unsuspend,
    Transition(&'static Transition),
    Nested(&'static Child),
}

#[derive(Clone, Copy)]
pub struct Operation {
    pub resource: &'static Resource,
    pub kind: Kind,
}

/// The operations of an entity, in the order of the document.
pub fn of(resource: &'static Resource) -> Vec<Operation> {
    let rules = &resource.rules;
    let mut kinds = Vec::new();
    let mut add = |exists: bool, rule: &Rule, kind: Kind| {
        if exists && !is_nobody(rule) {
            kinds.push(kind);
        }
    };
    add(true, rules.read, Kind::List);
    add(resource.create.is_some(), rules.create, Kind::Create);
    add(true, rules.read, Kind::Get);
    add(resource.update.is_some(), rules.update, Kind::Replace);
    add(resource.update.is_some(), rules.update, Kind::Merge);
    let sql = &resource.sql;
    add(!sql.archive.is_empty(), rules.delete, Kind::Archive);
    add(!sql.restore.is_empty(), rules.restore, Kind::Archived);
    add(!sql.restore.is_empty(), rules.restore, Kind::Restore);
    add(!sql.suspend.is_empty(), rules.suspend, Kind::Suspend);
    add(!sql.unsuspend.is_empty(), rules.suspend, Kind::Unsuspend);
    for transition in resource.transitions {
        add(true, &Rule::Anyone, Kind::Transition(transition));
    }
    for child in resource.children {
        let open = resources()
            .get(child.entity)
            .is_some_and(|child| !is_nobody(child.rules.read));
        add(open, &Rule::Anyone, Kind::Nested(child));
    }
    kinds
        .into_iter()
        .map(|kind| Operation { resource, kind })
        .collect()
}

/// The operations of all entities.
pub fn all() -> Vec<Operation> {
    generated::hooks::RESOURCES
        .into_iter()
        .flat_map(of)
        .collect()
}

impl Operation {
    pub fn method(&self) -> Method {
        match self.kind {
            Kind::List | Kind::Archived | Kind::Get | Kind::Nested(_) => Method::GET,
            Kind::Replace => Method::PUT,
            Kind::Merge => Method::PATCH,
            Kind::Archive => Method::DELETE,
            _ => Method::POST,
        }
    }

    /// The path with placeholders: `/events/{id}/publish`.
    pub fn template(&self) -> String {
        let base = format!("/{}", self.resource.path);
        match self.kind {
            Kind::List | Kind::Create => base,
            Kind::Archived => format!("{base}/archived"),
            Kind::Get | Kind::Replace | Kind::Merge | Kind::Archive => format!("{base}/{{id}}"),
            Kind::Nested(child) => format!("{base}/{{id}}/{}", child.path),
            _ => format!("{base}/{{id}}/{}", self.name().replace('_', "-")),
        }
    }

    pub fn path(&self, id: &str) -> String {
        self.template().replace("{id}", id)
    }

    /// The method and the path with placeholders: `PATCH /events/{id}`.
    pub fn title(&self) -> String {
        format!("{} {}", self.method(), self.template())
    }

    /// The action's name in the database's context and in the audit log.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::List | Kind::Get | Kind::Nested(_) => "read",
            Kind::Create => "create",
            Kind::Replace | Kind::Merge => "update",
            Kind::Archive => "archive",
            // The list of archived rows is for callers who may restore.
            Kind::Archived | Kind::Restore => "restore",
            Kind::Suspend => "suspend",
            Kind::Unsuspend => "unsuspend",
            Kind::Transition(transition) => transition.name,
        }
    }

    pub fn rule(&self) -> &'static Rule {
        let rules = &self.resource.rules;
        match self.kind {
            Kind::List | Kind::Get | Kind::Nested(_) => rules.read,
            Kind::Create => rules.create,
            Kind::Replace | Kind::Merge => rules.update,
            Kind::Archive => rules.delete,
            Kind::Archived | Kind::Restore => rules.restore,
            Kind::Suspend | Kind::Unsuspend => rules.suspend,
            Kind::Transition(transition) => transition.rule,
        }
    }

    /// Whether the operation is about an existing object.
    pub fn has_id(&self) -> bool {
        !matches!(self.kind, Kind::List | Kind::Archived | Kind::Create)
    }

    pub fn mutates(&self) -> bool {
        !matches!(
            self.kind,
            Kind::List | Kind::Archived | Kind::Get | Kind::Nested(_)
        )
    }

    /// For a nested list: the child, and its relation to the parent.
    pub fn below(&self) -> Option<(&'static Resource, &'static Relation)> {
        let Kind::Nested(child) = self.kind else {
            return None;
        };
        let parent = entity(model(), self.resource);
        let has = parent
            .has
            .iter()
            .find(|has| has.name.replace('_', "-") == child.path)?;
        let via = model().entities[has.child].relation(&has.via)?;
        Some((resources()[child.entity], via))
    }

    pub fn wants_reason(&self) -> bool {
        matches!(self.kind, Kind::Transition(transition) if transition.reason)
    }
}

fn is_nobody(rule: &Rule) -> bool {
    match rule {
        Rule::Nobody => true,
        Rule::Ref(rule) => is_nobody(rule),
        _ => false,
    }
}

/// The parsed `generated/openapi.json`.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
        let text = std::fs::read(root().join("generated/openapi.json")).expect("the document");
        serde_json::from_slice(&text).expect("JSON")
    });
    &DOCUMENT
}

/// Title (`PATCH /events/{id}`) and description of every operation in a document.
pub fn documented(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, said)| (format!("{} {path}", method.to_uppercase()), said))
    });
    operations.collect()
}

/// The permission of a kind of caller according to the document: `yes` or `depends`; None: refused. A kind that is not
/// listed has the permission of the more general kind that is.
pub fn may<'d>(said: &'d Value, caller: &str) -> Option<&'d str> {
    let needs_less: &[&str] = match caller {
        "anonymous" => &[],
        "signed in" => &["anonymous"],
        _ => &["signed in", "anonymous"],
    };
    let mut names = std::iter::once(&caller).chain(needs_less);
    let may = names.find_map(|name| said["x-access"][*name].as_str());
    may.filter(|may| *may != "no")
}

/// The keys of a body: `Create`, `Replace` or `Patch` of an entity.
pub fn body_keys(kind: &str, entity: &str) -> Vec<&'static str> {
    let properties = body_properties(kind, entity);
    properties
        .map(|properties| properties.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

/// The properties of a body, with their schemas.
pub fn body_properties(kind: &str, entity: &str) -> Option<&'static Map<String, Value>> {
    let name = format!("{kind}{}", pascal(entity));
    document()["components"]["schemas"][&name]["properties"].as_object()
}

/// `ticket_type` → `TicketType`
fn pascal(name: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(capital).collect()
}

/// The model's entity that belongs to a descriptor.
pub fn entity<'m>(model: &'m Model, resource: &Resource) -> &'m codegen::model::Entity {
    model.entity(resource.name).expect("an entity").1
}
