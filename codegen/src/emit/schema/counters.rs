//! Derived counts, sums and means, kept by triggers that add what a statement changed.
//!
//! One function per child table: rows before count against, rows after count for, and parents whose sum is
//! zero are left alone. They run once per statement and touch derived columns only, so a parent's version
//! and its audit trail stay as they are.

use super::{
    names::{self, Roles},
    object::{trigger, trigger_function},
    predicate::{all, atom},
    references,
    rules::{Context, Scope, predicate},
};
use crate::model::{Derived, DerivedKind, Entity, EntityId, Expr, Lifecycle, Model};
use crate::objects::Object;

/// One column of a parent and what a child row adds to it.
struct Counter {
    column: String,
    term: String,
}

pub fn objects(model: &Model, child: EntityId) -> Vec<Object> {
    let updates: Vec<String> = (model.entities.iter().enumerate())
        .flat_map(|(id, parent)| {
            parent
                .has
                .iter()
                .enumerate()
                .map(move |(has, h)| (id, has, h))
        })
        .filter(|(.., h)| h.child == child)
        .filter_map(|(id, has, _)| update(model, id, has))
        .collect();
    if updates.is_empty() {
        return Vec::new();
    }
    let entity = &model.entities[child];
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let both = format!("{table}_count");
    // A trigger that fires on inserts has no table of removed rows: one function per event reads what there is.
    let mut found = Vec::new();
    for (event, sides) in events(entity) {
        let function = format!("{both}_{event}");
        let body = body(&updates, sides);
        let doc = "Adds what this statement changed to the derived columns of parents.";
        found.push(trigger_function(
            roles,
            &table,
            &function,
            Some(roles.counter()),
            doc,
            body,
        ));
        let tables: Vec<&str> = sides.iter().map(|(transition, _)| *transition).collect();
        let when = format!(
            "after {event} on {table}\n  referencing {}\n  for each statement execute function {function}()",
            tables.join(" ")
        );
        found.push(trigger(
            &table,
            &format!("{}_count_{event}", entity.plural),
            &when,
        ));
    }
    found
}

/// Which transition tables an event has, and with which sign.
type Sides = &'static [(&'static str, &'static str)];

const ADDED: (&str, &str) = ("new table as added", "");
const REMOVED: (&str, &str) = ("old table as removed", "-");

fn events(entity: &Entity) -> Vec<(&'static str, Sides)> {
    let mut events: Vec<(&str, Sides)> = vec![("insert", &[ADDED])];
    if entity.lifecycle != Lifecycle::AppendOnly {
        events.push(("update", &[ADDED, REMOVED]));
    }
    if entity.internal {
        events.push(("delete", &[REMOVED]));
    }
    events
}

fn body(updates: &[String], sides: Sides) -> String {
    let empty: Vec<String> = sides
        .iter()
        .map(|(t, _)| format!("not exists (select from {})", source(t)))
        .collect();
    let steps: Vec<String> = updates
        .iter()
        .map(|template| fill(template, sides))
        .collect();
    format!(
        "begin\n  -- Ends the recursion where a table counts its own rows.\n  if {} then\n    return null;\n  end if;\n{}\n  return null;\nend",
        empty.join(" and "),
        steps.join("\n"),
    )
}

fn source(transition: &str) -> &str {
    transition.rsplit(' ').next().unwrap_or(transition)
}

/// The template holds one `select` per row source, between markers; it is repeated with the sign of the side.
fn fill(template: &str, sides: Sides) -> String {
    let (before, rest) = template
        .split_once("<each>")
        .expect("update() marks the repeated part");
    let (each, after) = rest
        .split_once("</each>")
        .expect("update() marks the repeated part");
    let selects: Vec<String> = sides
        .iter()
        .map(|(t, sign)| each.replace("<rows>", source(t)).replace("<sign>", sign))
        .collect();
    format!(
        "{before}{}{after}",
        selects.join("\n      union all\n      ")
    )
}

fn update(model: &Model, parent_id: EntityId, has: usize) -> Option<String> {
    let parent = &model.entities[parent_id];
    let of = &parent.has[has];
    let child = &model.entities[of.child];
    let via = child
        .relation(&of.via)
        .expect("checked: via names a relation of the child");
    let counters: Vec<Counter> = (parent.derived.iter())
        .flat_map(|d| counters(model, of.child, has, d))
        .collect();
    if counters.is_empty() {
        return None;
    }
    let list = |each: &dyn Fn(&Counter) -> String, separator: &str| {
        counters
            .iter()
            .map(each)
            .collect::<Vec<_>>()
            .join(separator)
    };
    let column = references::column(via, parent);
    Some(format!(
        "  with delta as materialized (\n    select parent, {sums}\n    from (\n      \
         <each>select c.{column} as parent, {terms} from <rows> c where c.{column} is not null</each>\n    ) changed\n    \
         group by parent\n    having {moved}\n  ),\n  \
         -- Always in the same order, so that two statements never wait for each other.\n  \
         locked as materialized (\n    select p.id from {table} p where p.id in (select parent from delta) order by p.id for no key update\n  )\n  \
         update {table} p\n  set {sets}\n  from delta d join locked l on l.id = d.parent\n  where p.id = d.parent;",
        sums = list(&|c| format!("sum({0}) as {0}", c.column), ", "),
        terms = list(&|c| format!("<sign>{} as {}", c.term, c.column), ", "),
        moved = list(&|c| format!("sum({}) <> 0", c.column), " or "),
        table = names::table(parent),
        sets = list(&|c| format!("{0} = p.{0} + d.{0}", c.column), ", "),
    ))
}

/// Derived columns brought to what the children say: for rows that are older than the columns.
pub struct Recount {
    /// The parent's table.
    pub table: String,
    pub child: EntityId,
    pub columns: Vec<String>,
    pub sql: String,
}

/// One for each `has` of a parent that is counted. Whoever changes children waits until it is done.
pub fn recounts(model: &Model, parent_id: EntityId) -> Vec<Recount> {
    let parent = &model.entities[parent_id];
    (0..parent.has.len())
        .filter_map(|has| recount(model, parent, has))
        .collect()
}

fn recount(model: &Model, parent: &Entity, has: usize) -> Option<Recount> {
    let of = &parent.has[has];
    let child = &model.entities[of.child];
    let via = child
        .relation(&of.via)
        .expect("checked: via names a relation of the child");
    let counters: Vec<Counter> = (parent.derived.iter())
        .flat_map(|d| counters(model, of.child, has, d))
        .collect();
    let columns: Vec<String> = counters.iter().map(|c| c.column.clone()).collect();
    columns.first()?;
    let (table, rows, column) = (
        names::table(parent),
        names::table(child),
        references::column(via, parent),
    );
    let list = |each: &dyn Fn(&Counter) -> String| {
        counters.iter().map(each).collect::<Vec<_>>().join(", ")
    };
    let found = list(&|c| format!("coalesce(sum({}), 0) as {}", c.term, c.column));
    let sql = format!(
        "lock table {rows} in share row exclusive mode;\n\
         update {table} p\nset {sets}\nfrom {table} q\n  \
         left join (\n    select c.{column} as parent, {found}\n    from {rows} c\n    \
         where c.{column} is not null\n    group by c.{column}\n  ) d on d.parent = q.id\n\
         where q.id = p.id and row({old}) is distinct from row({new});",
        sets = list(&|c| format!("{0} = coalesce(d.{0}, 0)", c.column)),
        old = list(&|c| format!("p.{}", c.column)),
        new = list(&|c| format!("coalesce(d.{}, 0)", c.column)),
    );
    Some(Recount {
        table,
        child: of.child,
        columns,
        sql,
    })
}

fn counters(model: &Model, child: EntityId, has: usize, derived: &Derived) -> Vec<Counter> {
    let name = &derived.name;
    let counts = |column: String, filter: &Option<Expr>, present: Option<&str>| Counter {
        column,
        term: format!(
            "(case when {} then 1 else 0 end)",
            live(model, child, filter.as_ref(), present)
        ),
    };
    let adds = |column: String, filter: &Option<Expr>, field: &str| Counter {
        column,
        term: format!(
            "(case when {} then c.{field} else 0 end)",
            live(model, child, filter.as_ref(), Some(field))
        ),
    };
    match &derived.kind {
        DerivedKind::Count { has: h, filter } if *h == has => {
            vec![counts(name.clone(), filter, None)]
        }
        DerivedKind::Sum {
            has: h,
            field,
            filter,
        } if *h == has => vec![adds(name.clone(), filter, field)],
        DerivedKind::Avg {
            has: h,
            field,
            filter,
        } if *h == has => vec![
            adds(format!("{name}_sum"), filter, field),
            counts(format!("{name}_count"), filter, Some(field)),
        ],
        _ => Vec::new(),
    }
}

/// The rows that count: active, with a value, and what the spec asks of them.
fn live(model: &Model, child: EntityId, filter: Option<&Expr>, present: Option<&str>) -> String {
    let entity = &model.entities[child];
    let scope = Scope {
        entity: child,
        alias: "c",
        context: Context::Definer,
    };
    let active = (entity.lifecycle == Lifecycle::SoftDelete).then(|| atom("c.status = 'active'"));
    let nullable = present.filter(|f| entity.field(f).is_some_and(|f| f.optional));
    let condition = all([
        active,
        nullable.map(|f| atom(format!("c.{f} is not null"))),
        filter.map(|f| predicate(model, scope, f)),
    ]
    .into_iter()
    .flatten());
    condition.line()
}
