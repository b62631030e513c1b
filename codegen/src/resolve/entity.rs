//! Last stage for one entity: derived values, column lists, transitions, access and field rules.

use super::columns::{self, Class};
use super::fields::literal_fits;
use super::lines::Lines;
use super::places::{Part, Places};
use super::rules::{Kind, Resolver};
use crate::diag::{Collector, Diagnostic};
use crate::model::*;
use crate::names;
use crate::phrase::{ChangePhrase, DerivedForm, FieldModifier, RelationModifier, TransitionPhrase, Word};

/// Names and kinds of derived values, so that rules can compare the counters; filters come with the rules.
pub fn derived(model: &mut Model, id: EntityId, lines: &Lines, places: &mut Places, errors: &Collector) {
    let mut derived = Vec::new();
    for (name, phrase) in &lines.derived {
        places.put(id, Part::Derived, &name.it, name.span);
        let kind = match &phrase.kind {
            DerivedForm::Flag(_) => Some(DerivedKind::Flag { expr: Expr::Nobody }),
            DerivedForm::Count { has, .. } => {
                has_index(model, id, has, errors).map(|has| DerivedKind::Count { has, filter: None })
            }
            DerivedForm::Sum { has, field, .. } => numeric(model, id, has, field, errors)
                .map(|has| DerivedKind::Sum { has, field: field.it.clone(), filter: None }),
            DerivedForm::Avg { has, field, .. } => numeric(model, id, has, field, errors)
                .map(|has| DerivedKind::Avg { has, field: field.it.clone(), filter: None }),
        };
        for (span, word) in [(phrase.sort, "sort"), (phrase.filter, "filter")] {
            if let Some(span) = span {
                places.put(id, Part::Modifier, &format!("{} {word}", name.it), span);
            }
        }
        let (sort, filter) = (phrase.sort.is_some(), phrase.filter.is_some());
        derived.extend(kind.map(|kind| Derived { name: name.it.clone(), kind, sort, filter }));
    }
    model.entities[id].derived = derived;
}

fn has_index(model: &Model, id: EntityId, has: &Word, errors: &Collector) -> Option<usize> {
    let this = &model.entities[id];
    let found = this.has.iter().position(|h| h.name == has.it);
    if found.is_none() {
        errors.push(
            Diagnostic::at(has.span, format!("`{}` has no `{}`", this.name, has.it))
                .help(names::suggest(&has.it, this.has.iter().map(|h| h.name.as_str()), "names in `has`")),
        );
    }
    found
}

/// The child's field must be a required or optional number.
fn numeric(model: &Model, id: EntityId, has: &Word, field: &Word, errors: &Collector) -> Option<usize> {
    let index = has_index(model, id, has, errors)?;
    let child = &model.entities[model.entities[id].has[index].child];
    let numbers = child.fields.iter().filter(|f| columns::class(&f.ty) == Class::Number).map(|f| f.name.as_str());
    if child.field(&field.it).is_some_and(|f| columns::class(&f.ty) == Class::Number) {
        return Some(index);
    }
    errors.push(
        Diagnostic::at(field.span, format!("`{}` has no number `{}`", child.name, field.it))
            .help(names::suggest(&field.it, numbers, "numbers")),
    );
    None
}

/// What this stage found out, put into the model when all entities are done.
#[derive(Default)]
pub struct Parts {
    /// read, write, check by field.
    fields: Vec<[Option<Expr>; 3]>,
    relations: Vec<Option<Expr>>,
    derived: Vec<Option<Expr>>,
    unique: Vec<Vec<String>>,
    exclude: Vec<Exclude>,
    index: Vec<Vec<String>>,
    checks: Vec<NamedExpr>,
    transitions: Vec<Transition>,
    conditions: Vec<NamedExpr>,
    access: Option<Access>,
    creator: Option<usize>,
    hooks: Vec<Hook>,
}

impl Parts {
    pub fn put_into(self, entity: &mut Entity) {
        for (field, [read, write, check]) in entity.fields.iter_mut().zip(self.fields) {
            (field.read, field.write, field.check) = (read, write, check);
        }
        for (relation, read) in entity.belongs.iter_mut().zip(self.relations) {
            relation.read = read;
        }
        for (derived, expr) in entity.derived.iter_mut().zip(self.derived) {
            match (&mut derived.kind, expr) {
                (DerivedKind::Flag { expr: flag }, Some(expr)) => *flag = expr,
                (DerivedKind::Count { filter, .. } | DerivedKind::Sum { filter, .. } | DerivedKind::Avg { filter, .. }, expr) => {
                    *filter = expr;
                }
                (DerivedKind::Flag { .. }, None) => {}
            }
        }
        entity.unique = self.unique;
        entity.exclude = self.exclude;
        entity.index = self.index;
        entity.checks = self.checks;
        entity.transitions = self.transitions;
        entity.conditions = self.conditions;
        entity.creator = self.creator;
        entity.hooks = self.hooks;
        if let Some(access) = self.access {
            entity.access = access;
        }
    }
}

pub fn rules(r: &Resolver, id: EntityId, lines: &Lines, places: &mut Places) -> Parts {
    let mut parts = Parts {
        fields: lines.fields.iter().map(|(_, phrase)| field_rules(r, id, &phrase.modifiers)).collect(),
        ..Parts::default()
    };
    for (_, phrase) in &lines.belongs {
        let read = phrase.modifiers.iter().find_map(|m| match &m.it {
            RelationModifier::Read(rule) => Some(rule),
            _ => None,
        });
        parts.relations.push(read.and_then(|rule| r.rule(id, rule, Kind::Access)));
    }
    for (_, phrase) in &lines.derived {
        let child = |has: &Word| r.model.entities[id].has.iter().find(|h| h.name == has.it).map(|h| h.child);
        parts.derived.push(match &phrase.kind {
            DerivedForm::Flag(rule) => r.rule(id, rule, Kind::Moment),
            DerivedForm::Count { has, filter } | DerivedForm::Sum { has, filter, .. } | DerivedForm::Avg { has, filter, .. } => {
                filter.as_ref().and_then(|rule| r.rule(child(has)?, rule, Kind::Stored))
            }
        });
    }
    for (name, rule) in &lines.check {
        places.put(id, Part::Check, &name.it, name.span);
        let expr = r.rule(id, rule, Kind::Stored);
        parts.checks.extend(expr.map(|expr| NamedExpr { name: name.it.clone(), expr }));
    }
    let spec = lines.spec;
    for (lists, part) in [(&spec.unique, Part::Unique), (&spec.index, Part::Index)] {
        for words in lists {
            let Some(columns) = column_list(r, id, words) else { continue };
            let span = words.first().map(|w| w.span).into_iter().chain(words.last().map(|w| w.span)).reduce(|a, b| a.to(b));
            if let Some(span) = span {
                places.put(id, part, &columns.join(","), span);
            }
            if part == Part::Unique { parts.unique.push(columns) } else { parts.index.push(columns) }
        }
    }
    for phrase in &spec.exclude {
        let columns = column_list(r, id, &phrase.it.columns);
        let ends = column_list(r, id, &[phrase.it.from.clone(), phrase.it.to.clone()]);
        if let (Some(columns), Some([from, to])) = (columns, ends.as_deref()) {
            places.put(id, Part::Exclude, from, phrase.span);
            parts.exclude.push(Exclude { columns, from: from.clone(), to: to.clone() });
        }
    }
    for (name, phrase) in &spec.transitions {
        places.put(id, Part::Transition, &name.it, name.span);
        parts.transitions.extend(transition(r, id, name, phrase));
    }
    if let Some(access) = &spec.access {
        for (index, (name, rule)) in access.conditions.iter().enumerate() {
            places.put(id, Part::Condition, &name.it, name.span);
            let expr = r.condition(id, index, rule).unwrap_or(Expr::Nobody);
            parts.conditions.push(NamedExpr { name: name.it.clone(), expr });
        }
    }
    parts.access = Some(access(r, id, lines, places));
    parts.creator = spec.creator.as_ref().and_then(|role| {
        places.put(id, Part::Key, "creator", role.span);
        r.role(role)
    });
    parts.hooks = hooks(r, id, lines, places);
    for (key, span) in
        [("page", spec.page.as_ref().map(|p| p.span)), ("audit", spec.audit_off), ("internal", spec.internal)]
    {
        if let Some(span) = span {
            places.put(id, Part::Key, key, span);
        }
    }
    if let Some(access) = &spec.access {
        places.put(id, Part::Key, "access", access.span);
    }
    if let Some(module) = &spec.module {
        places.put(id, Part::Key, "module", module.span);
    }
    parts
}

fn field_rules(r: &Resolver, id: EntityId, modifiers: &[crate::phrase::At<FieldModifier>]) -> [Option<Expr>; 3] {
    let mut rules = [None, None, None];
    for modifier in modifiers {
        match &modifier.it {
            FieldModifier::Read(rule) => rules[0] = r.rule(id, rule, Kind::Access),
            FieldModifier::Write(rule) => rules[1] = r.rule(id, rule, Kind::Access),
            FieldModifier::Check(rule) => rules[2] = r.rule(id, rule, Kind::Stored),
            _ => {}
        }
    }
    rules
}

/// Names of fields and relations → columns; a relation to one of several is its pair.
fn column_list(r: &Resolver, id: EntityId, words: &[Word]) -> Option<Vec<String>> {
    let this = &r.model.entities[id];
    let mut list = Vec::new();
    for word in words {
        if let Some(relation) = this.relation(&word.it) {
            list.extend(relation.type_column());
            list.push(relation.id_column());
        } else if let Some(column) = columns::find(r.model, id, &word.it) {
            list.push(column.name);
        } else {
            r.errors.push(
                Diagnostic::at(word.span, format!("`{}` has no field or relation `{}`", this.name, word.it))
                    .help(names::suggest(&word.it, columns::known(this), "fields")),
            );
            return None;
        }
    }
    Some(list)
}

fn transition(r: &Resolver, id: EntityId, name: &Word, phrase: &TransitionPhrase) -> Option<Transition> {
    let this = &r.model.entities[id];
    let change = match &phrase.change {
        ChangePhrase::State { from, to } => {
            let Some(Field { name: field, ty: Ty::States { values }, .. }) = this.states_field() else {
                r.errors.push(
                    Diagnostic::at(name.span, format!("`{}` has no states to go through", this.name))
                        .help("add a field like `state: states(draft, published) = draft`"),
                );
                return None;
            };
            for word in from.iter().chain([to]) {
                if !values.contains(&word.it) {
                    r.errors.push(
                        Diagnostic::at(word.span, format!("`{}` is none of the states", word.it))
                            .help(names::suggest(&word.it, values.iter().map(String::as_str), "states")),
                    );
                    return None;
                }
            }
            let from = from.iter().map(|w| w.it.clone()).collect();
            Change::State { field: field.clone(), from, to: to.it.clone() }
        }
        ChangePhrase::Set { field, value } => {
            let Some(found) = this.field(&field.it) else {
                r.errors.push(
                    Diagnostic::at(field.span, format!("`{}` has no field `{}`", this.name, field.it))
                        .help(names::suggest(&field.it, this.fields.iter().map(|f| f.name.as_str()), "fields")),
                );
                return None;
            };
            if matches!(found.ty, Ty::States { .. }) {
                r.errors.push(
                    Diagnostic::at(field.span, "a state is not set, it is gone to").help("write `draft -> published, by …`"),
                );
                return None;
            }
            if value.it != Literal::Null || !found.optional {
                r.errors.keep(literal_fits(&found.ty, found.optional, &value.it, value.span))?;
            }
            Change::Set { field: field.it.clone(), value: value.it.clone() }
        }
    };
    let by = phrase.by.as_ref().and_then(|rule| r.rule(id, rule, Kind::Access));
    let when = phrase.when.as_ref().map(|rule| r.rule(id, rule, Kind::Moment));
    Some(Transition { name: name.it.clone(), change, by: by?, when: when.flatten(), reason: phrase.reason })
}

fn access(r: &Resolver, id: EntityId, lines: &Lines, places: &mut Places) -> Access {
    let mut access = Access { read: None, create: None, update: None, delete: None, restore: None, suspend: None };
    let Some(spec) = &lines.spec.access else { return access };
    for (action, rule) in &spec.grants {
        places.put(id, Part::Access, &action.it, action.span);
        if let (Some(slot), Some(expr)) = (access.slot(&action.it), r.rule(id, rule, Kind::Access)) {
            // `nobody` is what an action without a rule is anyway.
            *slot = (expr != Expr::Nobody).then_some(expr);
        }
    }
    let soft = r.model.entities[id].lifecycle == Lifecycle::SoftDelete;
    let restore_given = spec.grants.iter().any(|(action, _)| action.it == "restore");
    if soft && !restore_given {
        access.restore.clone_from(&access.delete);
    }
    for (action, rule) in &spec.denies {
        places.put(id, Part::Deny, &action.it, action.span);
        let Some(deny) = r.rule(id, rule, Kind::Access) else { continue };
        let actions: &[&str] =
            if action.it == "delete" && soft && !restore_given { &["delete", "restore"] } else { &[action.it.as_str()] };
        for action_name in actions {
            let Some(slot) = access.slot(action_name) else { continue };
            match slot.take() {
                Some(grant) => *slot = Some(Expr::All(vec![grant, Expr::Not(Box::new(deny.clone()))])),
                None => r.errors.push(
                    Diagnostic::at(action.span, format!("nobody is granted `{action_name}`, so there is nothing to deny"))
                        .help("remove the line, or grant the action first"),
                ),
            }
        }
    }
    access
}

impl Access {
    fn slot(&mut self, action: &str) -> Option<&mut Option<Expr>> {
        Some(match action {
            "read" => &mut self.read,
            "create" => &mut self.create,
            "update" => &mut self.update,
            "delete" => &mut self.delete,
            "restore" => &mut self.restore,
            "suspend" => &mut self.suspend,
            _ => return None,
        })
    }
}

fn hooks(r: &Resolver, id: EntityId, lines: &Lines, places: &mut Places) -> Vec<Hook> {
    let verbs: Vec<&str> = lines.spec.transitions.iter().map(|(name, _)| name.it.as_str()).collect();
    let mut hooks = Vec::new();
    for word in &lines.spec.hooks {
        places.put(id, Part::Hook, &word.it, word.span);
        hooks.push(match word.it.as_str() {
            "create" => Hook::Create,
            "update" => Hook::Update,
            "archive" => Hook::Archive,
            verb if verbs.contains(&verb) => Hook::Transition(verb.to_owned()),
            other => {
                let known = ["create", "update", "archive"].into_iter().chain(verbs.iter().copied());
                let help = match other {
                    "delete" => "write `archive`".to_owned(),
                    _ => names::suggest(other, known, "actions"),
                };
                r.errors.push(Diagnostic::at(word.span, format!("there is no action `{other}` to hook into")).help(help));
                continue;
            }
        });
    }
    hooks
}
