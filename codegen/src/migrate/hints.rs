//! What the two models say that the two schemas can't: renames, stated losses, relaxed bounds.
//!
//! Knows entities; knows no SQL beyond the names of tables and columns.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{FirstValue, Narrowed, RenamedColumn, RenamedWord, Renames};
use super::reworded;
use crate::emit::schema::{
    ARCHIVED_FROM, ARCHIVED_WITH, LIVE_KEY, OPEN_KEY, counters_table, delta_table,
};
use crate::model::{Entity, Field, Model, Object, Relation, Ty};

#[derive(Clone, Debug, Default)]
pub struct Hints {
    pub renames: Renames,
    /// Table → name of its entity, of both models.
    pub entities: BTreeMap<String, String>,
    /// Stated losses: tables of the old model.
    pub dropped_tables: BTreeSet<String>,
    /// Tables of counters, of both models.
    pub counted_tables: BTreeSet<String>,
    /// Stated losses: new table, old column.
    pub dropped_columns: BTreeSet<(String, String)>,
    /// Columns that belong to a relation.
    pub relations: BTreeSet<(String, String)>,
    /// Entries of `dropped` that an earlier migration has used already.
    pub spent: BTreeSet<String>,
    /// Trigger functions that refuse statements of the running version (`app.events_guard`), triggers of functions that
    /// several tables share (`app.quotes.quotes_valid_until_future`), policies (`app.events.events_update`), and triggers
    /// without which these statements fail (`app.events.events_slug`).
    pub refusing: BTreeSet<String>,
    derived: BTreeSet<(String, String)>,
    looser: BTreeSet<(String, String)>,
    /// Names of unique and exclusion constraints whose condition changed, and whether they apply to fewer rows than
    /// before.
    rows: BTreeMap<String, bool>,
    /// Names of constraints that refuse rows in which new columns are null.
    unaware: BTreeSet<String>,
}

impl Hints {
    /// Whether the column is computed from other rows or kept by triggers, so that dropping it loses no data.
    pub fn derived(&self, table: &str, column: &str) -> bool {
        kept_by_triggers(column)
            || self
                .derived
                .contains(&(table.to_owned(), column.to_owned()))
    }

    /// Whether all values that the column could hold before are still allowed.
    pub fn looser(&self, table: &str, column: &str) -> bool {
        self.looser.contains(&(table.to_owned(), column.to_owned()))
    }

    /// For a unique or exclusion constraint whose condition changed: whether it applies to fewer rows than before.
    /// `None` if the condition is the same.
    pub fn fewer_rows(&self, rule: &str) -> Option<bool> {
        self.rows.get(rule).copied()
    }

    /// Whether the constraint may refuse a row whose new columns are null, as those of the running version are.
    pub fn refuses_null(&self, rule: &str) -> bool {
        self.unaware.contains(rule)
    }

    pub fn entity<'a>(&'a self, table: &'a str) -> &'a str {
        self.entities.get(table).map_or(table, String::as_str)
    }

    pub fn loss_stated(&self, table: &str, column: &str) -> bool {
        self.dropped_columns
            .contains(&(table.to_owned(), column.to_owned()))
    }
}

/// Columns that record archiving, which no program reads.
pub fn kept_by_triggers(column: &str) -> bool {
    [LIVE_KEY, OPEN_KEY, ARCHIVED_FROM, ARCHIVED_WITH].contains(&column)
}

/// Tables of the engine itself, whose rows are only needed for a day.
const OF_THE_ENGINE: [&str; 2] = ["requests.quotas", "requests.taken"];

pub fn table(entity: &Entity) -> String {
    format!("app.{}", entity.plural)
}

pub fn hints(old: &Model, new: &Model) -> Hints {
    let mut hints = Hints::default();
    let own = OF_THE_ENGINE.map(str::to_owned);
    hints.counted_tables.extend(own);
    for entity in old.entities.iter().chain(&new.entities) {
        hints.entities.insert(table(entity), entity.name.clone());
        // These tables hold only values that can be recomputed.
        let apart = [counters_table(entity), delta_table(entity)];
        for table in &apart {
            hints.entities.insert(table.clone(), entity.name.clone());
        }
        hints.counted_tables.extend(apart);
        // The column that records who ended a row, recognized by its relation, because a field may have the same name.
        let consents = entity.belongs.iter().filter(|r| r.consents);
        let ended = consents.map(|r| (table(entity), r.ended_column()));
        hints.derived.extend(ended);
        for derived in &entity.derived {
            // An average is stored as a sum and a count.
            for part in ["", "_sum", "_count"] {
                let tables = [table(entity), counters_table(entity), delta_table(entity)];
                let column = format!("{}{part}", derived.name);
                let columns = tables.map(|table| (table, column.clone()));
                hints.derived.extend(columns);
            }
        }
    }
    hints.dropped_tables = old
        .entities
        .iter()
        .filter(|e| states(old, new, &e.name))
        .map(table)
        .collect();
    hints.spent = (new.dropped.iter())
        .filter(|word| !states(old, new, word))
        .cloned()
        .collect();
    let spoken = reworded::forward(old, new);
    hints.refusing = super::effects::refusing(&spoken, new);
    hints.refusing.extend(super::asked::refusing(&spoken, new));
    for entity in &new.entities {
        let was = former(entity, old, new);
        if let Some(was) = was.filter(|was| table(was) != table(entity)) {
            hints.renames.tables.push((table(was), table(entity)));
            for apart in [counters_table, delta_table] {
                hints.renames.tables.push((apart(was), apart(entity)));
            }
        }
        of_entity(&mut hints, entity, was, old, new);
        if let Some(was) = former(entity, &spoken, new) {
            hints.rows.extend(super::rows::changed(was, entity));
            hints.unaware.extend(super::unaware::refusing(was, entity));
        }
    }
    hints.renames.words = renamed_words(old, new);
    hints.renames.words.extend(reworded::words(old, new));
    hints
}

/// The entity of the old model that became this one, found by its name or its stated former name.
pub fn former<'a>(entity: &Entity, old: &'a Model, new: &Model) -> Option<&'a Entity> {
    if let Some((_, same)) = old.entity(&entity.name) {
        return Some(same);
    }
    let was = entity
        .was
        .as_ref()
        .filter(|was| new.entity(was).is_none())?;
    old.entity(was).map(|(_, e)| e)
}

/// Whether a stated loss is new. An entry of `dropped` that the last migration knew has been used and does not confirm
/// another loss.
pub fn states(old: &Model, new: &Model, word: &str) -> bool {
    let has = |model: &Model| model.dropped.iter().any(|dropped| dropped == word);
    has(new) && !has(old)
}

fn of_entity(hints: &mut Hints, entity: &Entity, was: Option<&Entity>, old: &Model, new: &Model) {
    let own = table(entity);
    for field in &entity.fields {
        if let Some(from) = &field.was {
            hints.renames.columns.push(RenamedColumn {
                table: own.clone(),
                from: from.clone(),
                to: field.name.clone(),
            });
        }
        let before = was.and_then(|e| {
            e.field(
                field
                    .was
                    .as_deref()
                    .filter(|w| e.field(w).is_some())
                    .unwrap_or(&field.name),
            )
        });
        if before.is_some_and(|f| looser((old, f), (new, field))) {
            hints.looser.insert((own.clone(), field.name.clone()));
        }
    }
    for relation in &entity.belongs {
        if let Some(was) = was {
            fill_type(hints, &own, relation, was, old);
            narrow(hints, &own, relation, (was, old), new);
        }
        for column in [Some(relation.id_column()), relation.type_column()]
            .into_iter()
            .flatten()
        {
            hints.relations.insert((own.clone(), column));
        }
        if let Some(from) = &relation.was {
            let columns = renamed_columns(&own, relation, from, new);
            hints.renames.columns.extend(columns);
        }
    }
    let stated = entity
        .dropped
        .iter()
        .flat_map(|name| [name.clone(), format!("{name}_id"), format!("{name}_type")]);
    let retyped = new
        .dropped
        .iter()
        .filter(|word| states(old, new, word))
        .filter_map(|d| d.strip_prefix(&format!("{}.", entity.name)))
        .map(str::to_owned);
    hints
        .dropped_columns
        .extend(stated.chain(retyped).map(|name| (own.clone(), name)));
}

/// A relation to one entity that becomes a relation to several: all existing rows refer to the former target.
fn fill_type(hints: &mut Hints, own: &str, relation: &Relation, was: &Entity, old: &Model) {
    let before = relation.was.as_deref().and_then(|name| was.relation(name));
    let Some(before) = before.or_else(|| was.relation(&relation.name)) else {
        return;
    };
    if let (Some(column), false) = (relation.type_column(), before.polymorphic) {
        let target = &old.entities[before.targets[0]].name;
        let value = format!(
            "case when {} is not null then '{target}' end",
            relation.id_column()
        );
        hints.renames.fills.push(FirstValue {
            table: own.to_owned(),
            column,
            value,
        });
    }
}

/// A relation to one of several that becomes a relation to one: no row may lead elsewhere.
fn narrow(
    hints: &mut Hints,
    own: &str,
    relation: &Relation,
    (was, old): (&Entity, &Model),
    new: &Model,
) {
    let before = relation.was.as_deref().and_then(|name| was.relation(name));
    let Some(before) = before.or_else(|| was.relation(&relation.name)) else {
        return;
    };
    let (Some(type_column), false) = (before.type_column(), relation.polymorphic) else {
        return;
    };
    let target = &new.entities[relation.targets[0]];
    hints.renames.narrowed.push(Narrowed {
        table: own.to_owned(),
        type_column,
        id_column: before.id_column(),
        target: former(target, old, new).unwrap_or(target).name.clone(),
    });
}

/// All columns that a relation may have, with its former and its present name.
fn renamed_columns<'m>(
    own: &'m str,
    relation: &'m Relation,
    from: &'m str,
    model: &'m Model,
) -> impl Iterator<Item = RenamedColumn> + 'm {
    let targets = relation.targets.iter().map(|t| &model.entities[*t].name);
    let endings = ["id".to_owned(), "type".to_owned()].into_iter();
    let endings = endings.chain(targets.map(|target| format!("{target}_id")));
    endings.map(move |ending| RenamedColumn {
        table: own.to_owned(),
        from: format!("{from}_{ending}"),
        to: format!("{}_{ending}", relation.name),
    })
}

/// The renamed targets of polymorphic relations, whose rows hold the name of their target.
fn renamed_words(old: &Model, new: &Model) -> Vec<RenamedWord> {
    let mut words = Vec::new();
    for entity in &new.entities {
        let Some(was) = former(entity, old, new) else {
            continue;
        };
        for relation in &entity.belongs {
            let Some(column) = relation.type_column() else {
                continue;
            };
            let name = relation.was.as_deref().unwrap_or(&relation.name);
            let Some(before) = was.relation(name).or_else(|| was.relation(&relation.name)) else {
                continue;
            };
            for target in relation.targets.iter().map(|t| &new.entities[*t]) {
                let Some(target_was) = former(target, old, new) else {
                    continue;
                };
                let there = before
                    .targets
                    .iter()
                    .any(|t| old.entities[*t].name == target_was.name);
                if there && target_was.name != target.name {
                    words.push(RenamedWord {
                        table: table(entity),
                        column: column.clone(),
                        from: target_was.name.clone(),
                        to: target.name.clone(),
                    });
                }
            }
        }
    }
    words
}

/// Whether every value that was allowed before still is, and the version before can read every value that is allowed
/// now.
fn looser((old_model, old): (&Model, &Field), (new_model, new): (&Model, &Field)) -> bool {
    let low =
        |old: &Option<i64>, new: &Option<i64>| new.is_none_or(|n| old.is_some_and(|o| n <= o));
    let high =
        |old: &Option<i64>, new: &Option<i64>| new.is_none_or(|n| old.is_some_and(|o| n >= o));
    old.check == new.check
        && match (&old.ty, &new.ty) {
            (Ty::Text { min: a, max: b }, Ty::Text { min: c, max: d })
            | (Ty::Code { min: a, max: b }, Ty::Code { min: c, max: d })
            | (Ty::Handle { min: a, max: b }, Ty::Handle { min: c, max: d }) => c <= a && d >= b,
            (Ty::TextList { max: a, count: b }, Ty::TextList { max: c, count: d }) => {
                c >= a && d >= b
            }
            (Ty::Int { min: a, max: b }, Ty::Int { min: c, max: d })
            | (Ty::Int { min: a, max: b }, Ty::Bigint { min: c, max: d })
            | (Ty::Bigint { min: a, max: b }, Ty::Bigint { min: c, max: d })
            | (Ty::Money { min: a, max: b }, Ty::Money { min: c, max: d }) => {
                low(a, c) && high(b, d)
            }
            (Ty::Object { object: a }, Ty::Object { object: b }) => looser_object(
                (old_model, &old_model.objects[*a]),
                (new_model, &new_model.objects[*b]),
            ),
            (a, b) => a == b,
        }
}

/// Whether keys were only added, and only optional ones. A key that becomes optional doesn't qualify, because the
/// version before can't read an object without it.
fn looser_object((old_model, old): (&Model, &Object), (new_model, new): (&Model, &Object)) -> bool {
    let stays = |before: &Field| {
        let after = new.fields.iter().find(|f| f.name == before.name);
        after.is_some_and(|after| {
            after.optional == before.optional && looser((old_model, before), (new_model, after))
        })
    };
    let is_new = |field: &&Field| !old.fields.iter().any(|f| f.name == field.name);
    old.fields.iter().all(stays) && new.fields.iter().filter(is_new).all(|f| f.optional)
}
