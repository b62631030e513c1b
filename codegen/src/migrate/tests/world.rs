//! An in-memory database made of a [`Schema`]: every step is applied, or refused where PostgreSQL would refuse it.
//!
//! Expects the names that the tests generate: columns `c1`, tables `app.t1`, functions `sec.f1`, views `app.v1`.

use std::collections::BTreeSet;

use super::super::depend::key;
use super::super::op::{How, Op};
use super::super::text::{base_name, last_name, mentions, rename, words};
use crate::objects::{Column, Kind, Object, Schema};

#[derive(Default)]
pub struct World {
    pub schema: Schema,
    not_valid: BTreeSet<(Kind, String)>,
    not_null_checks: BTreeSet<(String, String)>,
}

impl World {
    pub fn of(schema: &Schema) -> World {
        World {
            schema: schema.clone(),
            ..World::default()
        }
    }

    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Create { object, how } => self.create(object, *how),
            Op::Replace { old, new } => {
                assert!(
                    self.uses_known(new),
                    "{} uses something that is not there",
                    new.name
                );
                *self.find(old.kind, &old.name) = new.clone();
            }
            Op::Drop { object } => self.drop(object),
            Op::RenameObject { old, new } => {
                let same = |o: &&mut Object| {
                    o.kind == old.kind
                        && o.table == new.table
                        && last_name(&o.name) == last_name(&old.name)
                };
                let found = self
                    .schema
                    .objects
                    .iter_mut()
                    .find(same)
                    .expect("the object to rename is there");
                found.create = rename(&found.create, last_name(&old.name), last_name(&new.name));
                found.name.clone_from(&new.name);
                assert_eq!(found.create, new.create);
            }
            Op::RenameTable { old, to } => self.rename_table(&old.name, to),
            Op::RenameColumn { table, from, to } => self.rename_column(table, from, to),
            Op::AddColumn { table, column, .. } => {
                assert!(
                    !self.columns(table).iter().any(|c| c.name == column.name),
                    "{} is there",
                    column.name
                );
                let known: Vec<String> =
                    self.columns(table).iter().map(|c| c.name.clone()).collect();
                let made_of = column.generated.as_deref().map(words).unwrap_or_default();
                assert!(
                    made_of
                        .iter()
                        .all(|w| !w.starts_with('c') || known.iter().any(|k| k == w))
                );
                self.columns(table).push(column.clone());
            }
            Op::DropColumn { table, column } => self.drop_column(table, &column.name),
            Op::Retype { table, new, .. } => self.retype(table, new),
            Op::SetDefault {
                table,
                name,
                default,
            } => self.column(table, name).default.clone_from(default),
            Op::SetNotNull { table, name } => self.column(table, name).not_null = true,
            Op::DropNotNull { table, name } => self.column(table, name).not_null = false,
            Op::AddNotNullCheck { table, name } => {
                assert!(self.not_null_checks.insert((table.clone(), name.clone())));
            }
            Op::DropNotNullCheck { table, name } => {
                assert!(self.not_null_checks.remove(&(table.clone(), name.clone())));
            }
            Op::ValidateNotNullCheck { table, name } => {
                assert!(
                    self.not_null_checks
                        .contains(&(table.clone(), name.clone()))
                );
            }
            Op::Validate { table, constraint } => {
                let name = format!("{table}.{constraint}");
                assert!(
                    self.not_valid.remove(&(Kind::Constraint, name.clone()))
                        || self.not_valid.remove(&(Kind::ForeignKey, name.clone())),
                    "{name} is valid"
                );
            }
            Op::Backfill { table, columns } => {
                for (name, _) in columns {
                    self.column(table, name);
                }
            }
            Op::Keep { table, name, .. } | Op::ReplaceWord { table, name, .. } => {
                self.column(table, name);
            }
            Op::Run { table, .. } | Op::Recount { table, .. } | Op::SetLogged { table, .. } => {
                self.columns(table);
            }
        }
    }

    /// Asserts that no validation is pending and that the schema equals the other.
    pub fn assert_is(&mut self, other: &Schema) {
        assert!(self.not_null_checks.is_empty());
        assert!(
            self.not_valid.is_empty(),
            "not validated: {:?}",
            self.not_valid
        );
        self.assert_shape(other);
    }

    /// Asserts that the schema equals the other, even if some constraints are not validated yet.
    pub fn assert_shape(&mut self, other: &Schema) {
        let sorted = |schema: &Schema| {
            let mut objects: Vec<Object> = schema.objects.iter().map(plain).collect();
            objects.sort_by(|a, b| key(a).cmp(&key(b)));
            objects
        };
        let (mine, theirs) = (sorted(&self.schema), sorted(other));
        for (a, b) in mine.iter().zip(&theirs) {
            assert_eq!(a, b);
        }
        assert_eq!(mine.len(), theirs.len());
    }

    fn create(&mut self, object: &Object, how: How) {
        assert!(
            !self.schema.objects.iter().any(|o| key(o) == key(object)),
            "{} is there",
            object.name
        );
        assert!(
            self.uses_known(object),
            "{} uses something that is not there: {}",
            object.name,
            object.create
        );
        if how == How::NotValid {
            self.not_valid.insert((object.kind, object.name.clone()));
        }
        self.schema.objects.push(object.clone());
    }

    /// Whether every table, function, view and column that the text names exists (columns: in any of the named
    /// tables).
    fn uses_known(&self, object: &Object) -> bool {
        if matches!(
            object.kind,
            Kind::Table | Kind::Function | Kind::TableFunction
        ) {
            return true;
        }
        let named: Vec<&Object> = (self.schema.objects.iter())
            .filter(|o| o.kind == Kind::Table && mentions(&object.create, &o.name))
            .collect();
        words(&object.create)
            .into_iter()
            .all(|word| match word.split_at(1) {
                (_, number)
                    if number.parse::<u32>().is_err() || object.name == format!("app.{word}") =>
                {
                    true
                }
                ("t", _) => named.iter().any(|t| t.name == format!("app.{word}")),
                ("c", _) => named
                    .iter()
                    .any(|t| t.columns.iter().any(|c| c.name == word)),
                ("f", _) => self
                    .schema
                    .objects
                    .iter()
                    .any(|o| base_name(&o.name) == format!("sec.{word}")),
                ("v", _) => self
                    .schema
                    .objects
                    .iter()
                    .any(|o| o.name == format!("app.{word}")),
                _ => true,
            })
    }

    fn drop(&mut self, object: &Object) {
        let at = self
            .schema
            .objects
            .iter()
            .position(|o| key(o) == key(object));
        let gone = self
            .schema
            .objects
            .remove(at.unwrap_or_else(|| panic!("{} is not there", object.name)));
        self.not_valid.remove(&(gone.kind, gone.name.clone()));
        let name = base_name(&gone.name).to_owned();
        match gone.kind {
            Kind::Table => {
                let inside = |o: &Object| {
                    o.table.as_deref() == Some(&name)
                        && matches!(
                            o.kind,
                            Kind::Grant
                                | Kind::Index
                                | Kind::Constraint
                                | Kind::Policy
                                | Kind::Trigger
                        )
                };
                self.schema.objects.retain(|o| !inside(o));
                self.nobody_names(
                    &name,
                    &[Kind::ForeignKey, Kind::View, Kind::Policy, Kind::Trigger],
                );
            }
            Kind::Function | Kind::TableFunction => {
                self.nobody_names(
                    &name,
                    &[
                        Kind::Constraint,
                        Kind::Index,
                        Kind::View,
                        Kind::Trigger,
                        Kind::Policy,
                    ],
                );
                let columns = self.schema.objects.iter().flat_map(|o| &o.columns);
                for column in columns {
                    let exprs = column.default.iter().chain(&column.generated);
                    assert!(
                        !exprs.into_iter().any(|e| mentions(e, &name)),
                        "{} uses {name}",
                        column.name
                    );
                }
            }
            Kind::View => self.nobody_names(&name, &[Kind::View, Kind::Policy]),
            Kind::Constraint | Kind::Index if mentions(&gone.create, "unique") => {
                let table = gone.table.as_deref().unwrap_or_default();
                let target = format!("references {table} (");
                let keys: Vec<&Object> = self
                    .schema
                    .objects
                    .iter()
                    .filter(|o| o.create.contains(&target))
                    .collect();
                let column = words(&gone.create)
                    .into_iter()
                    .rfind(|w| w.starts_with('c'))
                    .unwrap_or_default()
                    .to_owned();
                assert!(
                    !keys
                        .iter()
                        .any(|k| k.create.contains(&format!("{target}{column})"))),
                    "{name} is referred to"
                );
            }
            _ => {}
        }
    }

    fn nobody_names(&self, name: &str, kinds: &[Kind]) {
        let user = self
            .schema
            .objects
            .iter()
            .find(|o| kinds.contains(&o.kind) && mentions(&o.create, name));
        assert!(user.is_none(), "{} uses {name}", user.unwrap().name);
    }

    fn rename_table(&mut self, from: &str, to: &str) {
        assert!(
            !self
                .schema
                .objects
                .iter()
                .any(|o| o.name == to && o.kind == Kind::Table),
            "{to} is there"
        );
        for object in self.schema.objects.iter_mut().filter(|o| tracked(o)) {
            object.create = rename(&object.create, from, to);
        }
        for object in self
            .schema
            .objects
            .iter_mut()
            .filter(|o| o.table.as_deref() == Some(from))
        {
            object.table = Some(to.to_owned());
            if object.kind == Kind::Table {
                object.name = to.to_owned();
            } else if object.kind != Kind::Index {
                object.name = object.name.replacen(from, to, 1);
            }
        }
    }

    fn rename_column(&mut self, table: &str, from: &str, to: &str) {
        assert!(
            !self.columns(table).iter().any(|c| c.name == to),
            "{to} is there"
        );
        for column in self.columns(table) {
            if column.name == from {
                to.clone_into(&mut column.name);
            }
            column.generated = column.generated.as_ref().map(|e| rename(e, from, to));
        }
        let table = table.to_owned();
        for object in self
            .schema
            .objects
            .iter_mut()
            .filter(|o| tracked(o) && mentions(&o.create, &table))
        {
            object.create = rename(&object.create, from, to);
        }
    }

    fn drop_column(&mut self, table: &str, name: &str) {
        self.nobody_needs(
            table,
            name,
            &[Kind::Constraint, Kind::Index, Kind::ForeignKey],
        );
        self.nobody_needs(table, name, &[Kind::View, Kind::Trigger, Kind::Policy]);
        self.columns(table).retain(|c| c.name != name);
        let left = self.columns(table);
        assert!(
            !left
                .iter()
                .any(|c| c.generated.as_deref().is_some_and(|e| mentions(e, name))),
            "{name} is used"
        );
    }

    fn retype(&mut self, table: &str, new: &Column) {
        self.nobody_needs(table, &new.name, &[Kind::View, Kind::Trigger, Kind::Policy]);
        let uses = |c: &Column| {
            c.generated
                .as_deref()
                .is_some_and(|e| mentions(e, &new.name))
        };
        assert!(
            !self.columns(table).iter().any(uses),
            "{} is used",
            new.name
        );
        let column = self.column(table, &new.name);
        column.sql_type.clone_from(&new.sql_type);
        column.default.clone_from(&new.default);
    }

    fn nobody_needs(&self, table: &str, column: &str, kinds: &[Kind]) {
        let user = self.schema.objects.iter().find(|o| {
            kinds.contains(&o.kind) && mentions(&o.create, table) && mentions(&o.create, column)
        });
        assert!(
            user.is_none(),
            "{} uses {table}.{column}",
            user.unwrap().name
        );
    }

    fn find(&mut self, kind: Kind, name: &str) -> &mut Object {
        let found = self
            .schema
            .objects
            .iter_mut()
            .find(|o| o.kind == kind && o.name == name);
        found.unwrap_or_else(|| panic!("{name} is not there"))
    }

    fn columns(&mut self, table: &str) -> &mut Vec<Column> {
        &mut self.find(Kind::Table, table).columns
    }

    fn column(&mut self, table: &str, name: &str) -> &mut Column {
        let found = self.columns(table).iter_mut().find(|c| c.name == name);
        found.unwrap_or_else(|| panic!("{table}.{name} is not there"))
    }
}

/// PostgreSQL updates names in these objects by itself; bodies of functions keep the old names.
fn tracked(object: &Object) -> bool {
    !matches!(object.kind, Kind::Function | Kind::TableFunction)
}

/// The object without what may differ between equal schemas: former names, and the text of a table, which its columns
/// repeat.
fn plain(object: &Object) -> Object {
    let mut object = object.clone();
    object.columns.sort_by(|a, b| a.name.cmp(&b.name));
    for column in &mut object.columns {
        column.was = None;
    }
    if object.kind == Kind::Table {
        object.create.clear();
        object.drop.clear();
    }
    if tracked(&object) {
        object.drop.clear();
    }
    object
}
