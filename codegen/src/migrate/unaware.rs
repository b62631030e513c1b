//! Rules that refuse rows of the running version, which knows nothing of the new columns that they name and leaves them
//! null.
//!
//! A null satisfies a comparison and never clashes, but `!= null` asks for a value, and `unique` and `exclude` take a
//! missing reference for a value. Knows no SQL beyond the names of constraints.

use std::collections::BTreeSet;

use crate::emit::schema::{names, unique_sets};
use crate::model::{Entity, Expr};

/// Names of the constraints that may refuse a row whose new columns are all null. Rules that name no new column are
/// left out.
pub fn refusing(was: &Entity, entity: &Entity) -> Vec<String> {
    let new = Fresh::of(was, entity);
    let fields = entity.fields.iter();
    let own = fields.filter_map(|f| Some((&f.name, f.check.as_ref()?)));
    let checks = own.chain(entity.checks.iter().map(|check| (&check.name, &check.expr)));
    let mut found: Vec<String> = checks
        .filter(|(_, expr)| new.names_some(&expr.columns()) && new.truths(expr).no)
        .map(|(name, _)| names::check(entity, name, "check"))
        .collect();
    let clash = |columns: &[String], more: &[String], filter: Option<&Expr>| {
        let mut named: Vec<String> = columns.iter().chain(more).cloned().collect();
        named.extend(filter.map(Expr::columns).unwrap_or_default());
        new.names_some(&named)
            && !columns.iter().any(|column| new.fields.contains(column))
            && filter.is_none_or(|filter| new.truths(filter).yes)
    };
    for columns in unique_sets(entity) {
        // By itself, a reference is only unique where it leads somewhere.
        let alone = !entity.unique.contains(&columns) || columns.len() == 1;
        let null = alone && columns.iter().any(|column| new.has(column));
        if !null && clash(&columns, &[], entity.unique_where(&columns)) {
            found.push(names::unique(entity, &columns));
        }
    }
    for rule in &entity.exclude {
        let range = [rule.from.clone(), rule.to.clone()];
        if clash(&rule.columns, &range, rule.filter.as_ref()) {
            found.push(names::exclusion(entity, &rule.named()));
        }
    }
    found
}

/// The columns that the running version doesn't know and that are null in its rows.
struct Fresh {
    fields: BTreeSet<String>,
    references: BTreeSet<String>,
}

/// What an expression may be for some row.
#[derive(Clone, Copy)]
struct Truths {
    yes: bool,
    no: bool,
    null: bool,
}

impl Fresh {
    fn of(was: &Entity, entity: &Entity) -> Self {
        let renamed = |was_name: &Option<String>, known: &dyn Fn(&str) -> bool| {
            was_name.as_deref().is_some_and(known)
        };
        let field = |name: &str| was.field(name).is_some();
        let relation = |name: &str| was.relation(name).is_some();
        let fields = entity.fields.iter().filter(|f| {
            f.optional && f.default.is_none() && !field(&f.name) && !renamed(&f.was, &field)
        });
        let references = (entity.belongs.iter())
            .filter(|r| r.optional && !relation(&r.name) && !renamed(&r.was, &relation));
        Self {
            fields: fields.map(|f| f.name.clone()).collect(),
            references: references
                .flat_map(|r| r.type_column().into_iter().chain([r.id_column()]))
                .collect(),
        }
    }

    fn has(&self, column: &str) -> bool {
        self.fields.contains(column) || self.references.contains(column)
    }

    fn names_some(&self, columns: &[String]) -> bool {
        columns.iter().any(|column| self.has(column))
    }

    /// Parts are taken for independent of each other: what is found possible may not be.
    fn truths(&self, expr: &Expr) -> Truths {
        let is_null = self.names_some(&expr.columns());
        match expr {
            Expr::All(parts) => {
                let parts: Vec<Truths> = parts.iter().map(|part| self.truths(part)).collect();
                Truths {
                    yes: parts.iter().all(|part| part.yes),
                    no: parts.iter().any(|part| part.no),
                    null: parts.iter().any(|part| part.null),
                }
            }
            Expr::Any(parts) => {
                let parts: Vec<Truths> = parts.iter().map(|part| self.truths(part)).collect();
                Truths {
                    yes: parts.iter().any(|part| part.yes),
                    no: parts.iter().all(|part| part.no),
                    null: parts.iter().any(|part| part.null),
                }
            }
            // `not` of what is unknown is true.
            Expr::Not(part) => {
                let part = self.truths(part);
                Truths {
                    yes: part.no || part.null,
                    no: part.yes,
                    null: false,
                }
            }
            Expr::IsNull(_) => Truths {
                yes: true,
                no: !is_null,
                null: false,
            },
            _ => Truths {
                yes: !is_null,
                no: !is_null,
                null: is_null,
            },
        }
    }
}
