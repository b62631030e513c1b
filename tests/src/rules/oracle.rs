//! The Rust side of the comparison: `kernel::rule::decide` on a random world, with the meaning of the status that all
//! entities share (who sees suspended and archived rows).
//!
//! Sets (`me in …`) are computed here from the model, independently of the SQL functions.

use super::world::{Row, World};
use chrono::{DateTime, Utc};
use codegen::model::{EntityId, Expr, Lifecycle, Literal, Model, Op, Value as ModelValue};
use kernel::{
    Facts,
    resource::{Lifecycle as Life, Resource},
    rule::decide::{self, decide},
};
use serde_json::Value;
use std::{cell::Cell, collections::HashMap};
use uuid::Uuid;

pub struct Oracle<'a> {
    pub model: &'a Model,
    pub resources: &'a HashMap<&'static str, &'static Resource>,
    pub world: &'a World,
    pub me: Option<Uuid>,
    pub facts: Facts,
    pub now: DateTime<Utc>,
    /// Set while archiving and restoring, when callers who may do so see archived rows.
    archived: Cell<bool>,
    /// Set while restoring, when the caller sees rows that were suspended before they were archived.
    restoring: Cell<bool>,
    sets: HashMap<String, Vec<Uuid>>,
}

impl<'a> Oracle<'a> {
    pub fn new(
        model: &'a Model,
        resources: &'a HashMap<&'static str, &'static Resource>,
        world: &'a World,
        me: Option<Uuid>,
        facts: Facts,
        now: DateTime<Utc>,
    ) -> Self {
        let mut oracle = Self {
            model,
            resources,
            world,
            me,
            facts,
            now,
            archived: Cell::new(false),
            restoring: Cell::new(false),
            sets: HashMap::new(),
        };
        oracle.sets = sets(model)
            .into_iter()
            .map(|set| (set.name.clone(), oracle.members(&set)))
            .collect();
        oracle
    }

    /// Whether the SELECT policy lets the caller see the row.
    pub fn visible(&self, resource: &Resource, row: &Row) -> bool {
        if resource.lifecycle != Life::SoftDelete {
            return decide(resource.rules.read, row, self);
        }
        match status(row) {
            "active" => decide(resource.rules.read, row, self),
            "suspended" => {
                decide(resource.rules.update, row, self)
                    || decide(resource.rules.suspend, row, self)
                    // A row that was suspended before is suspended again, which the caller who restores it sees.
                    || self.restoring.get() && decide(resource.rules.restore, row, self)
            }
            _ if self.archived.get() => {
                decide(resource.rules.delete, row, self)
                    || decide(resource.rules.restore, row, self)
            }
            _ => false,
        }
    }

    /// Like [`visible`](Self::visible), in the context of restoring.
    pub fn visible_restoring(&self, resource: &Resource, row: &Row) -> bool {
        self.within("restore", || self.visible(resource, row))
    }

    /// Whether the caller may perform this action on the row.
    pub fn may(&self, resource: &Resource, action: &str, row: &Row) -> bool {
        self.within(action, || {
            self.visible(resource, row) && self.fits(resource, action, row)
        })
    }

    /// Decides in the context of an action, in which more rows may be visible.
    pub fn within(&self, action: &str, decide: impl FnOnce() -> bool) -> bool {
        self.archived.set(matches!(action, "archive" | "restore"));
        self.restoring.set(action == "restore");
        let decided = decide();
        self.archived.set(false);
        self.restoring.set(false);
        decided
    }

    /// Whether the action is allowed, without considering visibility.
    pub fn fits(&self, resource: &Resource, action: &str, row: &Row) -> bool {
        let soft = resource.lifecycle == Life::SoftDelete;
        let is = |wanted: &str| !soft || status(row) == wanted;
        let rules = &resource.rules;
        match action {
            "update" => is("active") && decide(rules.update, row, self),
            "archive" => is("active") && decide(rules.delete, row, self),
            "restore" => is("archived") && decide(rules.restore, row, self),
            "suspend" => is("active") && decide(rules.suspend, row, self),
            "unsuspend" => is("suspended") && decide(rules.suspend, row, self),
            verb => {
                let transition = resource
                    .transitions
                    .iter()
                    .find(|t| t.name == verb)
                    .expect("a verb of the entity");
                is("active") && decide(transition.rule, row, self)
            }
        }
    }

    fn members(&self, set: &Set) -> Vec<Uuid> {
        let Some(me) = self.me else { return Vec::new() };
        let parent = &self.model.entities[set.parent];
        let has = &parent.has[set.has];
        let child = &self.model.entities[has.child];
        let (via, mine) = (
            child.relation(&has.via).expect("via"),
            child.relation(&set.me).expect("me"),
        );
        let names =
            |relation: &codegen::model::Relation, row: &Row, id: Option<Uuid>, entity: EntityId| {
                let typed = relation.type_column().is_none_or(|c| {
                    text(row, &c) == Some(self.model.entities[entity].name.as_str())
                });
                typed
                    && (id.is_none()
                        || text(row, &relation.id_column()) == id.map(|i| i.to_string()).as_deref())
            };
        let live = |row: &Row| child.lifecycle != Lifecycle::SoftDelete || status(row) == "active";
        let fits = |row: &Row| {
            set.filter
                .as_ref()
                .is_none_or(|filter| holds(filter, row) == Some(true))
        };
        self.world.rows[has.child]
            .iter()
            .filter(|row| {
                live(row)
                    && names(mine, row, Some(me), self.model.identity)
                    && names(via, row, None, set.parent)
                    && fits(row)
            })
            .filter_map(|row| text(row, &via.id_column())?.parse().ok())
            .collect()
    }
}

impl decide::World for Oracle<'_> {
    fn me(&self) -> Option<Uuid> {
        self.me
    }
    fn facts(&self) -> &Facts {
        &self.facts
    }
    fn now(&self) -> DateTime<Utc> {
        self.now
    }
    fn set(&self, name: &str) -> Vec<Uuid> {
        self.sets
            .get(name)
            .unwrap_or_else(|| panic!("no set {name}"))
            .clone()
    }
    fn held(&self, person: Uuid, scope: Option<Uuid>) -> Vec<&Row> {
        let holder = self
            .model
            .holder(&self.model.entities[self.model.assignments]);
        let column = holder.expect("whose it is").id_column();
        let (person, scope) = (person.to_string(), scope.map(|scope| scope.to_string()));
        let counts = |row: &&Row| {
            text(row, &column) == Some(&person)
                && scope
                    .as_deref()
                    .is_none_or(|scope| text(row, "scope_id") == Some(scope))
                && (status(row) != "archived" || text(row, "archived_with") == Some(&person))
                && (self.model.counted.as_ref()).is_none_or(|rule| holds(rule, row) == Some(true))
        };
        self.world.rows[self.model.assignments]
            .iter()
            .filter(counts)
            .collect()
    }
    fn readable(&self, entity: &str, id: Uuid) -> Option<&Row> {
        let (at, _) = self.model.entity(entity)?;
        let row = self.world.row(at, &id.to_string())?;
        self.visible(self.resources[entity], row).then_some(row)
    }
}

struct Set {
    name: String,
    parent: EntityId,
    has: usize,
    me: String,
    filter: Option<Expr>,
}

fn sets(model: &Model) -> Vec<Set> {
    let mut found = Vec::new();
    for (parent, entity) in model.entities.iter().enumerate() {
        let access = &entity.access;
        let rules = [
            &access.read,
            &access.create,
            &access.update,
            &access.delete,
            &access.restore,
            &access.suspend,
        ];
        let conditions = entity.conditions.iter().map(|c| &c.expr);
        let verbs = entity.transitions.iter().map(|t| &t.by);
        for expr in rules.into_iter().flatten().chain(conditions).chain(verbs) {
            collect(model, parent, expr, &mut found);
        }
    }
    found
}

fn collect(model: &Model, parent: EntityId, expr: &Expr, found: &mut Vec<Set>) {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts
            .iter()
            .for_each(|part| collect(model, parent, part, found)),
        Expr::Not(part) => collect(model, parent, part, found),
        Expr::MeIn { has, me, filter } => {
            let name =
                codegen::emit::schema::sets::name(model, parent, *has, me, filter.as_deref());
            if !found.iter().any(|set| set.name == name) {
                found.push(Set {
                    name,
                    parent,
                    has: *has,
                    me: me.clone(),
                    filter: filter.as_deref().cloned(),
                });
            }
        }
        _ => {}
    }
}

/// Evaluates a condition on the child's own fields.
fn holds(expr: &Expr, row: &Row) -> Option<bool> {
    match expr {
        Expr::All(parts) => parts
            .iter()
            .map(|p| holds(p, row))
            .try_fold(true, |all, part| Some(all && part?)),
        Expr::Any(parts) => Some(parts.iter().any(|p| holds(p, row) == Some(true))),
        Expr::Not(part) => holds(part, row).map(|b| !b),
        Expr::Flag(column) => row.get(column)?.as_bool(),
        Expr::IsNull(ModelValue::Column(column)) => {
            Some(row.get(column).is_none_or(Value::is_null))
        }
        Expr::In {
            value: ModelValue::Column(column),
            list,
        } => {
            let own = text(row, column)?;
            Some(
                list.iter()
                    .any(|item| matches!(item, Literal::Text(word) if word == own)),
            )
        }
        Expr::Compare {
            left: ModelValue::Column(column),
            op,
            right: ModelValue::Literal(Literal::Text(word)),
        } => {
            let equal = text(row, column)? == word;
            match op {
                Op::Eq => Some(equal),
                Op::Ne => Some(!equal),
                _ => panic!("order of words in a set's filter"),
            }
        }
        Expr::Compare {
            left: ModelValue::Column(left),
            op,
            right: ModelValue::Column(right),
        } => {
            // Null compared with anything is null, and the condition does not hold.
            let (left, right) = (text(row, left)?, text(row, right)?);
            match op {
                Op::Eq => Some(left == right),
                Op::Ne => Some(left != right),
                _ => panic!("order of two columns in a set's filter"),
            }
        }
        other => panic!("a set's filter this oracle does not know: {other:?}"),
    }
}

pub fn status(row: &Row) -> &str {
    text(row, "status").unwrap_or("active")
}

pub fn text<'r>(row: &'r Row, column: &str) -> Option<&'r str> {
    row.get(column).and_then(Value::as_str)
}
