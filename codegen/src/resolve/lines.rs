//! An entity's lines and those of its mixins in one list, in the order of the model.

use crate::diag::{Collector, Diagnostic};
use crate::model::Lifecycle;
use crate::names;
use crate::phrase::{
    CheckPhrase, DerivedPhrase, FieldLine, FieldPhrase, HasPhrase, RelationLine, RelationPhrase,
    Word,
};
use crate::spec::{Body, EntitySpec, Spec};
use std::collections::HashMap;

pub struct Lines<'a> {
    pub spec: &'a EntitySpec,
    pub fields: Vec<(&'a Word, &'a FieldPhrase)>,
    pub belongs: Vec<(&'a Word, &'a RelationPhrase)>,
    pub has: Vec<(&'a Word, &'a HasPhrase)>,
    pub derived: Vec<(&'a Word, &'a DerivedPhrase)>,
    pub check: Vec<(&'a Word, &'a CheckPhrase)>,
    /// Columns that the spec allows to be dropped.
    pub dropped: Vec<String>,
}

pub fn merge<'a>(spec: &'a Spec, entity: &'a EntitySpec, errors: &Collector) -> Lines<'a> {
    let mut lines = Lines {
        spec: entity,
        fields: Vec::new(),
        belongs: Vec::new(),
        has: Vec::new(),
        derived: Vec::new(),
        check: Vec::new(),
        dropped: Vec::new(),
    };
    let mut bodies: Vec<&Body> = Vec::new();
    for word in &entity.mixins {
        match spec.app.mixins.iter().find(|(name, _)| name.it == word.it) {
            Some((_, body)) => bodies.push(body),
            None => errors.push(
                Diagnostic::at(word.span, format!("unknown mixin `{}`", word.it)).help(
                    names::suggest(
                        &word.it,
                        spec.app.mixins.iter().map(|(name, _)| name.it.as_str()),
                        "mixins",
                    ),
                ),
            ),
        }
    }
    bodies.insert(
        if entity.mixins_first { bodies.len() } else { 0 },
        &entity.body,
    );
    for body in bodies {
        add(&mut lines, body);
    }
    refuse_twice(&lines, errors);
    lines
}

fn add<'a>(lines: &mut Lines<'a>, body: &'a Body) {
    for (name, line) in &body.fields {
        match line {
            FieldLine::Field(phrase) => lines.fields.push((name, phrase)),
            FieldLine::Drop(_) => lines.dropped.push(name.it.clone()),
        }
    }
    for (name, line) in &body.belongs {
        match line {
            RelationLine::Relation(phrase) => lines.belongs.push((name, phrase)),
            RelationLine::Drop(_) => lines
                .dropped
                .extend([format!("{}_id", name.it), format!("{}_type", name.it)]),
        }
    }
    lines
        .has
        .extend(body.has.iter().map(|(name, it)| (name, it)));
    lines
        .derived
        .extend(body.derived.iter().map(|(name, it)| (name, it)));
    lines
        .check
        .extend(body.check.iter().map(|(name, it)| (name, it)));
}

/// Fields, relations, their columns and derived values must have different names, since they are properties of one
/// row.
fn refuse_twice(lines: &Lines, errors: &Collector) {
    let mut seen: HashMap<String, &Word> = HashMap::new();
    let relation_columns = lines.belongs.iter().flat_map(|(name, phrase)| {
        let kind = phrase
            .polymorphic
            .then(|| (format!("{}_type", name.it), *name));
        [(name.it.clone(), *name), (format!("{}_id", name.it), *name)]
            .into_iter()
            .chain(kind)
    });
    let own = lines
        .fields
        .iter()
        .map(|(name, _)| *name)
        .chain(lines.derived.iter().map(|(name, _)| *name));
    for (column, word) in own
        .map(|word| (word.it.clone(), word))
        .chain(relation_columns)
    {
        // Entities without soft delete have no `status` of their own, so a field may have that name.
        let free = column == "status" && lines.spec.lifecycle.it != Lifecycle::SoftDelete;
        if names::is_builtin_column(&column) && !free {
            errors.push(
                Diagnostic::at(
                    word.span,
                    format!("`{column}` is a column that every entity has"),
                )
                .help("leave it out, or choose another name (`state` for what a row goes through)"),
            );
        } else if let Some(first) = seen.insert(column.clone(), word) {
            errors.push(
                Diagnostic::at(word.span, format!("`{column}` is a column twice"))
                    .also(first.span, "first from here")
                    .help("rename one of the two"),
            );
        }
        if lines.dropped.contains(&column) {
            errors.push(
                Diagnostic::at(word.span, format!("`{column}` is here and dropped too"))
                    .help("remove the line that says `drop`"),
            );
        }
    }
    let mut seen: HashMap<&str, &Word> = HashMap::new();
    for word in lines
        .has
        .iter()
        .map(|(name, _)| *name)
        .chain(lines.check.iter().map(|(name, _)| *name))
    {
        if let Some(first) = seen.insert(&word.it, word) {
            errors.push(
                Diagnostic::at(word.span, format!("`{}` is here twice", word.it))
                    .also(first.span, "first from here")
                    .help("rename one of the two"),
            );
        }
    }
}
