//! Last stage for one entity: all of its rules and lists of columns.

use super::access;
use super::columns;
use super::lines::Lines;
use super::places::{Part, Places};
use super::rules::{Kind, Resolver};
use super::shown;
use super::transition;
use crate::diag::Diagnostic;
use crate::model::*;
use crate::names;
use crate::phrase::{At, DerivedForm, FieldModifier, RelationModifier, Word};

/// The result of this stage, put into the model when all entities are done.
#[derive(Default)]
pub struct Parts {
    /// For each field: its read rule, write rule and check.
    fields: Vec<[Option<Expr>; 3]>,
    relations: Vec<Option<Expr>>,
    derived: Vec<Option<Expr>>,
    unique: Vec<(Vec<String>, Option<Expr>)>,
    exclude: Vec<Exclude>,
    index: Vec<Vec<String>>,
    checks: Vec<Check>,
    keeps: Vec<Keep>,
    firsts: Vec<First>,
    transitions: Vec<Transition>,
    offers: Vec<Offer>,
    conditions: Vec<NamedExpr>,
    access: Option<Access>,
    creator: Option<usize>,
    hooks: Vec<Hook>,
    emits: Vec<String>,
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
                (
                    DerivedKind::Count { filter, .. }
                    | DerivedKind::Sum { filter, .. }
                    | DerivedKind::Avg { filter, .. },
                    expr,
                ) => {
                    *filter = expr;
                }
                (DerivedKind::Flag { .. }, None) => {}
            }
        }
        for (columns, filter) in self.unique {
            entity.unique_where.extend(filter.map(|filter| UniqueWhere {
                columns: columns.clone(),
                filter,
            }));
            entity.unique.push(columns);
        }
        entity.exclude = self.exclude;
        entity.index = self.index;
        entity.checks = self.checks;
        entity.keeps = self.keeps;
        entity.firsts = self.firsts;
        entity.transitions = self.transitions;
        entity.offers = self.offers;
        entity.conditions = self.conditions;
        entity.creator = self.creator;
        entity.hooks = self.hooks;
        entity.emits = self.emits;
        if let Some(access) = self.access {
            entity.access = access;
        }
    }
}

pub fn rules(r: &Resolver, id: EntityId, lines: &Lines, places: &mut Places) -> Parts {
    let spec = lines.spec;
    let parts = Parts {
        fields: lines
            .fields
            .iter()
            .map(|(_, phrase)| field_rules(r, id, &phrase.modifiers))
            .collect(),
        relations: lines
            .belongs
            .iter()
            .map(|(_, phrase)| relation_rule(r, id, &phrase.modifiers))
            .collect(),
        derived: lines
            .derived
            .iter()
            .map(|(_, phrase)| derived_rule(r, id, &phrase.kind))
            .collect(),
        checks: checks(r, id, lines, places),
        keeps: keeps(r, id, lines, places),
        unique: uniques(r, id, lines, places),
        index: indexes(r, id, lines, places),
        exclude: excludes(r, id, lines, places),
        firsts: shown::firsts(r, id, lines, places),
        transitions: transitions(r, id, lines, places),
        offers: shown::offers(r, id, lines, places),
        conditions: conditions(r, id, lines, places),
        access: Some(access::access(r, id, lines, places)),
        creator: spec.creator.as_ref().and_then(|role| r.role(role)),
        hooks: access::hooks(r, id, lines, places),
        emits: access::emits(r, id, lines, places),
    };
    put_keys(id, lines, places);
    parts
}

fn relation_rule(r: &Resolver, id: EntityId, modifiers: &[At<RelationModifier>]) -> Option<Expr> {
    let read = modifiers.iter().find_map(|m| match &m.it {
        RelationModifier::Read(rule) => Some(rule),
        _ => None,
    });
    read.and_then(|rule| r.rule(id, rule, Kind::Access))
}

/// The condition of a flag, or the filter of a counter, which is about the child.
fn derived_rule(r: &Resolver, id: EntityId, form: &DerivedForm) -> Option<Expr> {
    match form {
        DerivedForm::Flag(rule) => r.rule(id, rule, Kind::Moment),
        DerivedForm::Count { has, filter }
        | DerivedForm::Sum { has, filter, .. }
        | DerivedForm::Avg { has, filter, .. } => {
            let rule = filter.as_ref()?;
            let mut known = r.model.entities[id].has.iter();
            let child = known.find(|h| h.name == has.it)?.child;
            r.rule(child, rule, Kind::Stored)
        }
    }
}

fn checks(r: &Resolver, id: EntityId, lines: &Lines, places: &mut Places) -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, phrase) in &lines.check {
        places.put(id, Part::Check, &name.it, name.span);
        let expr = r.rule(id, &phrase.rule, Kind::Stored);
        checks.extend(expr.map(|expr| Check {
            name: name.it.clone(),
            expr,
            doc: phrase.doc.as_ref().map(|doc| doc.it.clone()),
        }));
    }
    checks
}

fn keeps(r: &Resolver, id: EntityId, lines: &Lines, places: &mut Places) -> Vec<Keep> {
    let this = &r.model.entities[id];
    let mut keeps = Vec::new();
    for (name, phrase) in &lines.spec.keep {
        places.put(id, Part::Keep, &name.it, name.span);
        let filter = phrase.filter.as_ref();
        let filter = filter.map(|rule| r.rule(id, rule, Kind::Stored));
        let unknown = phrase
            .per
            .as_ref()
            .filter(|per| this.relation(&per.it).is_none());
        if let Some(per) = unknown {
            let relations = this.belongs.iter().map(|relation| relation.name.as_str());
            r.errors.push(
                Diagnostic::at(
                    per.span,
                    format!("`{}` has no relation `{}`", this.name, per.it),
                )
                .help(names::suggest(&per.it, relations, "relations")),
            );
        } else if let Some(filter) = filter.map_or(Some(None), |found| found.map(Some)) {
            keeps.push(Keep {
                name: name.it.clone(),
                per: phrase.per.as_ref().map(|per| per.it.clone()),
                filter,
                doc: phrase.doc.as_ref().map(|doc| doc.it.clone()),
            });
        }
    }
    keeps
}

fn uniques(
    r: &Resolver,
    id: EntityId,
    lines: &Lines,
    places: &mut Places,
) -> Vec<(Vec<String>, Option<Expr>)> {
    let mut found = Vec::new();
    for phrase in &lines.spec.unique {
        let filter = phrase.filter.as_ref();
        let filter = filter.map(|rule| r.rule(id, rule, Kind::Stored));
        let columns = placed_list(r, id, &phrase.columns, Part::Unique, places);
        if let (Some(columns), None | Some(Some(_))) = (columns, &filter) {
            found.push((columns, filter.flatten()));
        }
    }
    found
}

fn indexes(r: &Resolver, id: EntityId, lines: &Lines, places: &mut Places) -> Vec<Vec<String>> {
    let lists = lines.spec.index.iter();
    lists
        .filter_map(|words| placed_list(r, id, words, Part::Index, places))
        .collect()
}

/// Resolves a list of `unique` or `index`. Its position is the range from its first word to its last.
fn placed_list(
    r: &Resolver,
    id: EntityId,
    words: &[Word],
    part: Part,
    places: &mut Places,
) -> Option<Vec<String>> {
    let columns = column_list(r, id, words)?;
    if let (Some(first), Some(last)) = (words.first(), words.last()) {
        places.put(id, part, &columns.join(","), first.span.to(last.span));
    }
    Some(columns)
}

fn excludes(r: &Resolver, id: EntityId, lines: &Lines, places: &mut Places) -> Vec<Exclude> {
    let mut excludes = Vec::new();
    for phrase in &lines.spec.exclude {
        let columns = column_list(r, id, &phrase.it.columns);
        let ends = column_list(r, id, &[phrase.it.from.clone(), phrase.it.to.clone()]);
        let filter = phrase.it.filter.as_ref();
        let filter = filter.map(|rule| r.rule(id, rule, Kind::Stored));
        if let (Some(columns), Some([from, to]), None | Some(Some(_))) =
            (columns, ends.as_deref(), &filter)
        {
            let exclude = Exclude {
                columns,
                from: from.clone(),
                to: to.clone(),
                filter: filter.flatten(),
            };
            places.put(id, Part::Exclude, &exclude.place(), phrase.span);
            excludes.push(exclude);
        }
    }
    excludes
}

fn transitions(r: &Resolver, id: EntityId, lines: &Lines, places: &mut Places) -> Vec<Transition> {
    let mut transitions = Vec::new();
    for (name, phrase) in &lines.spec.transitions {
        places.put(id, Part::Transition, &name.it, name.span);
        transitions.extend(transition::transition(r, id, name, phrase));
    }
    transitions
}

/// One entry for each line, including invalid ones, because rules refer to them by index.
fn conditions(r: &Resolver, id: EntityId, lines: &Lines, places: &mut Places) -> Vec<NamedExpr> {
    let access = lines.spec.access.iter();
    let mut conditions = Vec::new();
    for (index, (name, rule)) in access.flat_map(|a| &a.conditions).enumerate() {
        places.put(id, Part::Condition, &name.it, name.span);
        conditions.push(NamedExpr {
            name: name.it.clone(),
            expr: r.condition(id, index, rule).unwrap_or(Expr::Nobody),
        });
    }
    conditions
}

fn put_keys(id: EntityId, lines: &Lines, places: &mut Places) {
    let spec = lines.spec;
    for (key, span) in [
        ("creator", spec.creator.as_ref().map(|c| c.span)),
        ("was", spec.was.as_ref().map(|w| w.span)),
        ("page", spec.page.as_ref().map(|p| p.span)),
        ("quota", spec.quota.as_ref().map(|q| q.span)),
        ("audit", spec.audit_off),
        ("wal", spec.wal_off),
        ("internal", spec.internal),
        ("access", spec.access.as_ref().map(|a| a.span)),
        ("module", spec.module.as_ref().map(|m| m.span)),
    ] {
        if let Some(span) = span {
            places.put(id, Part::Key, key, span);
        }
    }
}

fn field_rules(r: &Resolver, id: EntityId, modifiers: &[At<FieldModifier>]) -> [Option<Expr>; 3] {
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

/// Resolves names of fields and relations to columns; a `one of` relation has two.
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
                Diagnostic::at(
                    word.span,
                    format!("`{}` has no field or relation `{}`", this.name, word.it),
                )
                .help(names::suggest(&word.it, columns::known(this), "fields")),
            );
            return None;
        }
    }
    Some(list)
}
