//! Counters in a table of their own, `counters.events`, with one row for each row of `app.events`.
//!
//! A counter changes far more often than the rest of its row. In the row itself, each change would copy the whole row
//! and touch all its indexes. Counters that a rule, a check, a `when`, an index or another counter reads stay in the
//! row all the same: only the lock on that row keeps them exact under concurrent writes.
//!
//! The table contains nothing but numbers, so it has no policies: every statement of a request joins it to the table
//! whose policies decide which rows the caller sees.

use super::{
    columns::{self, column},
    held,
    names::{self, Roles},
    object::{constraint, grants, index, object, on_table, quote, trigger, trigger_function},
    tables,
};
use crate::model::{Derived, DerivedKind, Entity, EntityId, Expr, Model, OfWhat, Value};
use crate::objects::{Column, Kind, Object};

/// `counters.events`
pub fn table(entity: &Entity) -> String {
    format!("counters.{}", entity.plural)
}

/// `counters.events_delta`: noted changes that are not added to the counters yet.
pub fn delta_table(entity: &Entity) -> String {
    format!(
        "counters.{}",
        names::fit(format!("{}_delta", entity.plural))
    )
}

/// Whether this derived value is stored in the separate table.
pub fn is_apart(model: &Model, id: EntityId, derived: &Derived) -> bool {
    if matches!(derived.kind, DerivedKind::Flag { .. }) {
        return false;
    }
    // Who reads a counter is looked for in all entities, and asked once for each statement.
    let mut all = model.entities[id].derived.iter();
    let Some(place) = all.position(|other| other.name == derived.name) else {
        return reader(model, id, &derived.name).is_none();
    };
    let key = ("apart", place, id, OfWhat::Read);
    let find = || reader(model, id, &derived.name).is_none();
    model.memo.once(key, false, find)
}

pub fn any(model: &Model, id: EntityId) -> bool {
    model.entities[id]
        .derived
        .iter()
        .any(|d| is_apart(model, id, d))
}

/// What reads the value as a column of its row, in words for an error message. `None` if nothing does.
pub fn reader(model: &Model, id: EntityId, name: &str) -> Option<&'static str> {
    let entity = &model.entities[id];
    let named = |list: &[String]| list.iter().any(|column| column == name);
    let excluded =
        (entity.exclude.iter()).any(|e| named(&e.columns) || e.from == name || e.to == name);
    if entity
        .index
        .iter()
        .chain(&entity.unique)
        .any(|list| named(list))
        || excluded
    {
        return Some("an index");
    }
    let own = own_expressions(entity);
    if let Some((what, _)) = own.iter().find(|(_, expr)| reads(expr, name)) {
        return Some(what);
    }
    let counted = |e: &Entity| (e.derived.iter()).any(|d| counts_by(e, d, id, name));
    let asked = |e: &Entity| {
        own_expressions(e)
            .iter()
            .any(|(_, expr)| asks_by(e, expr, id, name))
    };
    if model.entities.iter().any(|e| held::looks_at(e, id, name)) {
        return Some("a `when`");
    }
    (model.entities.iter().any(|e| counted(e) || asked(e))).then_some("a `where`")
}

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    if !any(model, id) {
        return Vec::new();
    }
    let (roles, table) = (Roles(&model.app), table(entity));
    let mut found = vec![narrow(model, id)];
    if entity.internal {
        let rest = format!(
            "foreign key (id) references {} (id) on delete cascade",
            names::table(entity)
        );
        let name = names::foreign_key(entity, "id", &[]);
        found.push(constraint(Kind::ForeignKey, &table, &name, &rest));
    }
    let sorted = entity
        .derived
        .iter()
        .filter(|d| d.sort && is_apart(model, id, d));
    found.extend(sorted.map(|d| {
        let columns = [d.name.clone(), "id".to_owned()];
        let name = names::index(entity, &columns);
        index(&table, &name, false, &format!("({})", columns.join(", ")))
    }));
    found.extend(first_row(model, id));
    let read = ["select".to_owned()];
    let write = ["select", "insert", "update"].map(str::to_owned);
    for role in [roles.app(), roles.job(), roles.authz()] {
        found.extend(grants(&table, &role, &read));
    }
    found.extend(grants(&table, &roles.counter(), &write));
    if entity.derived.iter().any(|d| d.delta) {
        found.push(delta(model, id));
        let all = ["select", "insert", "delete"].map(str::to_owned);
        found.extend(grants(&delta_table(entity), &roles.counter(), &all));
    }
    found
}

/// `counters.roll_up()`: adds up the noted changes. A worker calls it about once a second. Every application has it,
/// so that the worker need not know whether there are such counters.
pub fn roll_up(model: &Model) -> Object {
    let roles = Roles(&model.app);
    let steps: Vec<String> = (0..model.entities.len())
        .filter_map(|id| roll_up_step(model, id))
        .collect();
    let declare = if steps.is_empty() {
        ""
    } else {
        "  v_row record;\n"
    };
    let function = super::object::Function {
        kind: Kind::TableFunction,
        name: "counters.roll_up",
        arguments: "p_most integer",
        returns: "bigint",
        attributes: "language plpgsql",
        definer: Some(roles.counter()),
        callers: vec![roles.job()],
        doc: "Adds noted changes to the counters, at most `p_most` notes of each table, and returns how many notes it added.\nOnly one worker runs this at a time: another one gets 0.",
        body: format!(
            "declare\n  v_total bigint := 0;\n{declare}begin\n  \
             if not pg_try_advisory_xact_lock(hashtextextended('counters.roll_up', 0)) then\n    return 0;\n  end if;\n{}  return v_total;\nend",
            steps.concat()
        ),
    };
    function.object(roles)
}

fn own_expressions(entity: &Entity) -> Vec<(&'static str, &Expr)> {
    let access = &entity.access;
    let actions = [
        &access.read,
        &access.create,
        &access.update,
        &access.delete,
        &access.restore,
        &access.suspend,
    ];
    let mut found: Vec<(&str, &Expr)> = Vec::new();
    found.extend(entity.conditions.iter().map(|c| ("a rule", &c.expr)));
    found.extend(actions.into_iter().flatten().map(|e| ("a rule", e)));
    for field in &entity.fields {
        let rules = [&field.read, &field.write].into_iter().flatten();
        found.extend(rules.map(|e| ("a rule", e)));
        found.extend(field.check.iter().map(|e| ("a check", e)));
    }
    let relations = entity.belongs.iter().filter_map(|r| r.read.as_ref());
    found.extend(relations.map(|e| ("a rule", e)));
    found.extend(entity.checks.iter().map(|c| ("a check", &c.expr)));
    found.extend(
        entity
            .keeps
            .iter()
            .filter_map(|k| Some(("`keep`", k.filter.as_ref()?))),
    );
    for transition in &entity.transitions {
        found.push(("a rule", &transition.by));
        found.extend(transition.when.iter().map(|e| ("a `when`", e)));
    }
    for derived in &entity.derived {
        if let DerivedKind::Flag { expr } = &derived.kind {
            found.push(("a derived condition", expr));
        }
    }
    found
}

fn reads(expr: &Expr, name: &str) -> bool {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().any(|p| reads(p, name)),
        Expr::Not(part) => reads(part, name),
        Expr::Compare { left, right, .. } => names_it(left, name) || names_it(right, name),
        Expr::In { value, .. } | Expr::IsNull(value) => names_it(value, name),
        Expr::Flag(flag) => flag == name,
        _ => false,
    }
}

fn names_it(value: &Value, name: &str) -> bool {
    match value {
        Value::Column(column) => column == name,
        Value::Add(a, b) | Value::Sub(a, b) => names_it(a, name) || names_it(b, name),
        Value::Literal(_) | Value::Related { .. } => false,
    }
}

/// Whether a counter of the parent reads this column of its children: `count(children where their_counter > 0)`.
fn counts_by(parent: &Entity, derived: &Derived, child: EntityId, name: &str) -> bool {
    let (has, filter) = match &derived.kind {
        DerivedKind::Count { has, filter } => (has, filter),
        DerivedKind::Sum { has, filter, .. } | DerivedKind::Avg { has, filter, .. } => {
            (has, filter)
        }
        DerivedKind::Flag { .. } => return false,
    };
    parent.has[*has].child == child && filter.as_ref().is_some_and(|f| reads(f, name))
}

/// Whether a rule of the parent reads this column of its children: `me in children where (their_counter > 0)`.
fn asks_by(parent: &Entity, expr: &Expr, child: EntityId, name: &str) -> bool {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => {
            parts.iter().any(|p| asks_by(parent, p, child, name))
        }
        Expr::Not(part) => asks_by(parent, part, child, name),
        Expr::MeIn { has, filter, .. } => {
            parent.has[*has].child == child && filter.as_ref().is_some_and(|f| reads(f, name))
        }
        _ => false,
    }
}

fn narrow(model: &Model, id: EntityId) -> Object {
    let entity = &model.entities[id];
    let mut columns = vec![column("id", "uuid", true)];
    columns.extend(columns::apart(model, id));
    // Free space on each page lets most changed rows stay on their page.
    let room = format!("alter table {} set (fillfactor = 75);", table(entity));
    let doc = format!(
        "Counters of {}, which change more often than they do.",
        names::table(entity)
    );
    let create = tables::create(&table(entity), &columns);
    plain_table(model, &table(entity), columns, create, &doc, &room)
}

fn delta(model: &Model, id: EntityId) -> Object {
    let entity = &model.entities[id];
    let noted = entity.derived.iter().filter(|d| d.delta);
    let mut columns = vec![column("parent_id", "uuid", true)];
    columns.extend(noted.flat_map(|d| columns::kept_parts(model, entity, d)));
    let doc = format!("What changed in {} and is not added up yet.", table(entity));
    let table = delta_table(entity);
    // No index: notes are only appended, and read in the order in which they are stored.
    let create = tables::create_without_key(&table, &columns);
    plain_table(model, &table, columns, create, &doc, "")
}

fn plain_table(
    model: &Model,
    table: &str,
    columns: Vec<Column>,
    create: String,
    doc: &str,
    rest: &str,
) -> Object {
    let create = format!(
        "{}\ncomment on table {table} is {};\nalter table {table} owner to {};\n{rest}",
        create,
        quote(doc),
        Roles(&model.app).owner(),
    );
    let drop = format!("drop table {table};");
    Object {
        columns,
        ..on_table(table, object(Kind::Table, table, create, drop))
    }
}

/// Creates the counters of a row together with the row, so that a list sorted by a counter can walk through its index.
fn first_row(model: &Model, id: EntityId) -> [Object; 2] {
    let entity = &model.entities[id];
    let (roles, parent) = (Roles(&model.app), names::table(entity));
    let function = names::fit(format!("{parent}_counters"));
    let body = format!(
        "begin\n  insert into {} (id) select a.id from added a on conflict (id) do nothing;\n  return null;\nend",
        table(entity)
    );
    let when = format!(
        "after insert on {parent}\n  referencing new table as added\n  for each statement execute function {function}()"
    );
    [
        trigger_function(
            roles,
            &parent,
            &function,
            Some(roles.counter()),
            "Inserts the counters of new rows, which start empty.",
            body,
        ),
        trigger(&parent, &format!("{}_counters", entity.plural), &when),
    ]
}

fn roll_up_step(model: &Model, id: EntityId) -> Option<String> {
    let entity = &model.entities[id];
    let parts: Vec<String> = (entity.derived.iter().filter(|d| d.delta))
        .flat_map(|d| columns::kept_parts(model, entity, d))
        .map(|c| c.name)
        .collect();
    if parts.is_empty() {
        return None;
    }
    let (table, delta) = (table(entity), delta_table(entity));
    let list =
        |each: &dyn Fn(&String) -> String| parts.iter().map(each).collect::<Vec<_>>().join(", ");
    Some(format!(
        "  for v_row in\n    with taken as (\n      delete from {delta} d where d.ctid = any (array(select t.ctid from {delta} t limit p_most))\n      \
         returning d.*\n    )\n    select parent_id, count(*) as notes, {sums} from taken group by parent_id order by parent_id\n  loop\n    \
         v_total := v_total + v_row.notes;\n    update {table} p set {sets} where p.id = v_row.parent_id;\n  end loop;\n",
        sums = list(&|c| format!("sum({c}) as {c}")),
        sets = list(&|c| format!("{c} = p.{c} + v_row.{c}")),
    ))
}
