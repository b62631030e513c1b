//! Renamed values of enums and states: the steps that convert the rows, and copies of a model that use the names of
//! the other model.
//!
//! Comparisons of what two models mean (who may do what, what is counted, which rows a rule applies to) need those
//! copies: they would take a renamed value for a different one. Knows no SQL beyond the names of tables and columns.

use super::change::RenamedWord;
use super::hints::{former, table};
use crate::model::{
    Assigned, Change, DerivedKind, Entity, EntityId, Expr, Literal, Model, RenamedValue, Ty, Value,
};

/// A renamed value of a field of one model, with its name before and after.
struct Word<'m> {
    entity: EntityId,
    field: &'m str,
    from: &'m str,
    to: &'m str,
}

/// The values to convert in rows.
pub fn words<'m>(old: &'m Model, new: &'m Model) -> impl Iterator<Item = RenamedWord> + 'm {
    renamed(old, new).map(|(_, entity, _, value)| RenamedWord {
        table: table(entity),
        column: value.field.clone(),
        from: value.from.clone(),
        to: value.to.clone(),
    })
}

/// Stated renames whose new name was a value of the old model too, so that it isn't clear which rows are meant.
pub fn both_there<'m>(
    old: &'m Model,
    new: &'m Model,
) -> impl Iterator<Item = (&'m Entity, &'m RenamedValue)> {
    stated(old, new)
        .filter(|(.., values, value)| values.contains(&value.from) && values.contains(&value.to))
        .map(|(_, entity, _, _, value)| (entity, value))
}

/// The old model with the values' new names.
pub fn forward(old: &Model, new: &Model) -> Model {
    let words: Vec<Word> = renamed(old, new)
        .map(|(entity, _, field, value)| Word {
            entity,
            field,
            from: &value.from,
            to: &value.to,
        })
        .collect();
    reworded(old, &words)
}

/// The new model with the values' old names.
pub fn back(old: &Model, new: &Model) -> Model {
    let words: Vec<Word> = renamed(old, new)
        .filter_map(|(_, entity, _, value)| {
            Some(Word {
                entity: new.entity(&entity.name)?.0,
                field: &value.field,
                from: &value.to,
                to: &value.from,
            })
        })
        .collect();
    reworded(new, &words)
}

/// Renamed values, with the entity of the old model, that of the new model, and the field of the old one.
fn renamed<'m>(
    old: &'m Model,
    new: &'m Model,
) -> impl Iterator<Item = (EntityId, &'m Entity, &'m str, &'m RenamedValue)> {
    stated(old, new)
        .filter(|(.., values, value)| values.contains(&value.from) && !values.contains(&value.to))
        .map(|(was, entity, field, _, value)| (was, entity, field, value))
}

type Stated<'m> = (
    EntityId,
    &'m Entity,
    &'m str,
    &'m [String],
    &'m RenamedValue,
);

fn stated<'m>(old: &'m Model, new: &'m Model) -> impl Iterator<Item = Stated<'m>> {
    new.entities.iter().flat_map(move |entity| {
        let was = former(entity, old, new).and_then(|was| old.entity(&was.name));
        entity.renamed.iter().filter_map(move |value| {
            let (id, was) = was?;
            let name = entity.field(&value.field)?.was.as_deref();
            let field = name.and_then(|name| was.field(name));
            let field = field.or_else(|| was.field(&value.field))?;
            Some((id, entity, field.name.as_str(), values(&field.ty)?, value))
        })
    })
}

fn values(ty: &Ty) -> Option<&[String]> {
    match ty {
        Ty::Enum { values } | Ty::States { values } => Some(values),
        _ => None,
    }
}

fn reworded(model: &Model, words: &[Word]) -> Model {
    let mut reworded = model.clone();
    if words.is_empty() {
        return reworded;
    }
    let roles = |word: &&Word| word.entity == model.assignments && word.field == "role";
    for word in words.iter().filter(roles) {
        let renamed = reworded
            .roles
            .iter_mut()
            .filter(|role| role.name == word.from);
        renamed.for_each(|role| role.name = word.to.to_owned());
    }
    if let Some(counted) = &mut reworded.counted {
        expression(model, words, model.assignments, counted);
    }
    for (id, entity) in reworded.entities.iter_mut().enumerate() {
        of_entity(model, words, id, entity);
    }
    reworded
}

fn of_entity(model: &Model, words: &[Word], id: EntityId, entity: &mut Entity) {
    let own = |field: &str, text: &mut String| replace(words, id, field, text);
    for field in &mut entity.fields {
        if let Ty::Enum { values } | Ty::States { values } = &mut field.ty {
            values.iter_mut().for_each(|value| own(&field.name, value));
        }
        if let Some(Literal::Text(text)) = &mut field.default {
            own(&field.name, text);
        }
    }
    for transition in &mut entity.transitions {
        let first = match &mut transition.change {
            Change::State { field, from, to } => {
                from.iter_mut()
                    .chain([to])
                    .for_each(|state| own(field, state));
                None
            }
            Change::Set(set) => Some(set),
        };
        for set in first.into_iter().chain(&mut transition.sets) {
            if let Assigned::Value(Literal::Text(text)) = &mut set.value {
                own(&set.column, text);
            }
        }
    }
    let children: Vec<EntityId> = entity.has.iter().map(|has| has.child).collect();
    for derived in &mut entity.derived {
        match &mut derived.kind {
            DerivedKind::Count { has, filter }
            | DerivedKind::Sum { has, filter, .. }
            | DerivedKind::Avg { has, filter, .. } => {
                let child = children[*has];
                filter
                    .iter_mut()
                    .for_each(|f| expression(model, words, child, f));
            }
            DerivedKind::Flag { expr } => expression(model, words, id, expr),
        }
    }
    for first in &mut entity.firsts {
        let filter = first.filter.iter_mut();
        filter.for_each(|f| expression(model, words, children[first.has], f));
    }
    for expr in expressions(entity) {
        expression(model, words, id, expr);
    }
}

/// All expressions that are evaluated on rows of the entity itself.
fn expressions(entity: &mut Entity) -> impl Iterator<Item = &mut Expr> {
    let access = &mut entity.access;
    let access = [
        &mut access.read,
        &mut access.create,
        &mut access.update,
        &mut access.delete,
        &mut access.restore,
        &mut access.suspend,
    ];
    let fields = entity.fields.iter_mut();
    let fields = fields.flat_map(|f| [&mut f.read, &mut f.write, &mut f.check]);
    let relations = entity.belongs.iter_mut().map(|r| &mut r.read);
    let keeps = entity.keeps.iter_mut().map(|k| &mut k.filter);
    let excludes = entity.exclude.iter_mut().map(|e| &mut e.filter);
    let optional = access.into_iter().chain(fields).chain(relations);
    let optional = optional.chain(keeps).chain(excludes).flatten();
    let transitions = entity.transitions.iter_mut();
    let transitions =
        transitions.flat_map(|t| [Some(&mut t.by), t.when.as_mut()].into_iter().flatten());
    let offers = entity.offers.iter_mut();
    let offers = offers.flat_map(|o| [Some(&mut o.by), o.when.as_mut()].into_iter().flatten());
    let lists = entity.unique_where.iter_mut().map(|u| &mut u.filter);
    let checks = entity.checks.iter_mut().map(|c| &mut c.expr);
    let conditions = entity.conditions.iter_mut().map(|c| &mut c.expr);
    optional
        .chain(transitions)
        .chain(offers)
        .chain(lists)
        .chain(checks)
        .chain(conditions)
}

fn expression(model: &Model, words: &[Word], id: EntityId, expr: &mut Expr) {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => {
            parts
                .iter_mut()
                .for_each(|part| expression(model, words, id, part));
        }
        Expr::Not(part) => expression(model, words, id, part),
        Expr::MeIn {
            has,
            filter: Some(filter),
            ..
        } => {
            let child = model.entities[id].has[*has].child;
            expression(model, words, child, filter);
        }
        Expr::Compare { left, right, .. } => {
            if let (Some((id, field)), Value::Literal(word)) =
                (column(model, id, left), &mut *right)
            {
                literal(words, id, &field, word);
            } else if let (Value::Literal(word), Some((id, field))) =
                (left, column(model, id, right))
            {
                literal(words, id, &field, word);
            }
        }
        Expr::In { value, list } => {
            if let Some((id, field)) = column(model, id, value) {
                list.iter_mut()
                    .for_each(|word| literal(words, id, &field, word));
            }
        }
        _ => {}
    }
}

/// The entity and the field that a value is read from; `None` for anything but a column.
fn column(model: &Model, id: EntityId, value: &Value) -> Option<(EntityId, String)> {
    match value {
        Value::Column(name) => Some((id, name.clone())),
        Value::Related { relation, column } => {
            let relation = model.entities[id].relation(relation)?;
            Some((*relation.targets.first()?, column.clone()))
        }
        _ => None,
    }
}

fn literal(words: &[Word], id: EntityId, field: &str, literal: &mut Literal) {
    if let Literal::Text(text) = literal {
        replace(words, id, field, text);
    }
}

fn replace(words: &[Word], id: EntityId, field: &str, text: &mut String) {
    let word = words
        .iter()
        .find(|w| w.entity == id && w.field == field && w.from == text);
    if let Some(word) = word {
        *text = word.to.to_owned();
    }
}
