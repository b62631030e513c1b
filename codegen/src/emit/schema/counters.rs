//! Derived counts, sums and averages, maintained by triggers that add the changes of each statement.
//!
//! One function per child table and event: rows before the change are subtracted, rows after it are added, and parents
//! for which the result is zero are not touched. The triggers run once per statement and change derived columns only,
//! so a parent's version and audit log stay the same. Where the columns are stored: [`super::apart`].

use super::{
    apart::{self, is_apart},
    names::{self, Roles},
    object::{trigger, trigger_function},
    predicate::{all, atom},
    references,
    rules::{Context, Scope, predicate},
};
use crate::model::{Derived, DerivedKind, Entity, EntityId, Expr, Lifecycle, Model};
use crate::objects::Object;

/// A column of a parent and the value that a child row contributes to it.
struct Counter {
    column: String,
    term: String,
}

pub fn objects(model: &Model, child: EntityId) -> Vec<Object> {
    let steps = steps(model, child);
    if steps.is_empty() {
        return Vec::new();
    }
    let entity = &model.entities[child];
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let both = format!("{table}_count");
    // A trigger on inserts has no transition table of removed rows, so each event has a function that reads the tables
    // that it has.
    let mut found = Vec::new();
    for (event, sides) in events(entity) {
        let function = format!("{both}_{event}");
        let body = body(&steps, sides);
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

/// Waits for the row of a counter that many transactions change at once, such as the likes of one event, in a queue.
/// Those who wait for the row itself are all woken by each of its new versions, which took a third of PostgreSQL's time
/// with 32 at once.
///
/// Only the first counter of a transaction is waited for in this way, and only by a statement that changes no other. So
/// nobody who has changed a counter waits in such a queue, there is no deadlock that there wouldn't be without it, and a
/// transaction holds one such lock at most. A counter in the parent's own row has no queue: others lock that row, too.
const TURN: &str =
    "    if pg_catalog.current_setting('app.counted', true) is distinct from '1' then
      if v_row.parents = 1 then
        perform pg_advisory_xact_lock(uuid_hash_extended(v_row.parent, 0));
      end if;
      perform set_config('app.counted', '1', true);
    end if;
";

/// The transition tables of an event, each with the sign of its rows.
type Sides = &'static [(&'static str, &'static str)];

const ADDED: (&str, &str) = ("new table as added", "");
const REMOVED: (&str, &str) = ("old table as removed", "-");

/// The changes that the rows of a child cause in one table. All relations that lead to the table are handled together,
/// so that its rows are always locked in the same order: otherwise two members who follow each other would deadlock.
struct Step {
    /// The parent's table, or its separate table of counters.
    table: String,
    ways: Vec<Way>,
    /// Changes are only noted, to be added up later.
    note: bool,
    /// The counters are in a separate table, whose row may have to be created.
    apart: bool,
}

/// One `has` that connects the child to the parent.
struct Way {
    /// The child's column that refers to the parent.
    column: String,
    counters: Vec<Counter>,
}

impl Step {
    fn columns(&self) -> impl Iterator<Item = &str> {
        self.ways
            .iter()
            .flat_map(|w| w.counters.iter().map(|c| c.column.as_str()))
    }

    fn list(&self, each: impl Fn(&str) -> String, separator: &str) -> String {
        self.columns().map(each).collect::<Vec<_>>().join(separator)
    }

    fn sql(&self, sides: Sides) -> String {
        let table = &self.table;
        if self.note {
            let changed = self.changed(sides, "");
            let columns = self.list(str::to_owned, ", ");
            return format!("  insert into {table} (parent_id, {columns})\n{changed};");
        }
        let sets = self.list(|c| format!("{c} = p.{c} + v_row.{c}"), ", ");
        let make = if self.apart {
            // The row may be counted before the trigger that creates its counters has run.
            let values = self.list(|c| format!("v_row.{c}"), ", ");
            format!(
                "    if not found then\n      insert into {table} as p (id, {}) values (v_row.parent, {values})\n        on conflict (id) do update set {sets};\n    end if;\n",
                self.list(str::to_owned, ", "),
            )
        } else {
            String::new()
        };
        let (parents, turn) = match self.apart {
            true => (", count(*) over () as parents", TURN),
            false => ("", ""),
        };
        format!(
            "  -- Locks rows in the same order always, so that two statements never deadlock.\n  for v_row in\n{}\n    order by parent\n  loop\n{turn}    \
             update {table} p set {sets} where p.id = v_row.parent;\n{make}  end loop;",
            self.changed(sides, parents),
        )
    }

    /// A query for the parents whose counters change, and by how much; with a further column.
    fn changed(&self, sides: Sides, more: &str) -> String {
        let mut selects = Vec::new();
        for (at, way) in self.ways.iter().enumerate() {
            for (transition, sign) in sides {
                let terms: Vec<String> = (self.ways.iter().enumerate())
                    .flat_map(|(i, w)| w.counters.iter().map(move |c| (i, c)))
                    .map(|(i, c)| match i == at {
                        true => format!("{sign}{} as {}", c.term, c.column),
                        false => format!("0 as {}", c.column),
                    })
                    .collect();
                selects.push(format!(
                    "select c.{0} as parent, {1} from {2} c where c.{0} is not null",
                    way.column,
                    terms.join(", "),
                    source(transition),
                ));
            }
        }
        format!(
            "    select parent, {}{more}\n    from (\n      {}\n    ) changed\n    group by parent\n    having {}",
            self.list(|c| format!("sum({c}) as {c}"), ", "),
            selects.join("\n      union all\n      "),
            self.list(|c| format!("sum({c}) <> 0"), " or "),
        )
    }
}

/// Recomputes derived columns from the children, for rows that are older than the columns.
pub struct Recount {
    /// The table with the derived columns.
    pub table: String,
    pub child: EntityId,
    pub columns: Vec<String>,
    pub sql: String,
    /// The columns are in the separate table of counters, which must have a row for each row of the parent.
    pub apart: bool,
}

/// One for each `has` of the parent with counters, and for each table that stores them. Transactions that change
/// children wait until the recount is finished.
pub fn recounts(model: &Model, parent_id: EntityId) -> Vec<Recount> {
    let parent = &model.entities[parent_id];
    let of = |has: usize, apart: bool| recount(model, parent_id, has, apart);
    (0..parent.has.len())
        .flat_map(|has| [of(has, false), of(has, true)])
        .flatten()
        .collect()
}

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

fn body(steps: &[Step], sides: Sides) -> String {
    let empty: Vec<String> = sides
        .iter()
        .map(|(t, _)| format!("not exists (select from {})", source(t)))
        .collect();
    let looped = steps.iter().any(|step| !step.note);
    let declare = if looped {
        "declare\n  v_row record;\n"
    } else {
        ""
    };
    let steps: Vec<String> = steps.iter().map(|step| step.sql(sides)).collect();
    format!(
        "{declare}begin\n  -- Ends the recursion where a table counts its own rows.\n  if {} then\n    return null;\n  end if;\n{}\n  return null;\nend",
        empty.join(" and "),
        steps.join("\n"),
    )
}

fn source(transition: &str) -> &str {
    transition.rsplit(' ').next().unwrap_or(transition)
}

/// The tables that changes of the child's rows affect, in the order of the spec.
fn steps(model: &Model, child_id: EntityId) -> Vec<Step> {
    let child = &model.entities[child_id];
    let mut found = Vec::new();
    for (id, parent) in model.entities.iter().enumerate() {
        if !parent.has.iter().any(|has| has.child == child_id) {
            continue;
        }
        let way = |has: usize, wanted: &dyn Fn(&Derived) -> bool| {
            let via = child
                .relation(&parent.has[has].via)
                .expect("checked: via names a relation of the child");
            Way {
                column: references::column(via, parent),
                counters: (parent.derived.iter().filter(|d| wanted(d)))
                    .flat_map(|d| counters(model, child_id, has, d))
                    .collect(),
            }
        };
        let mut step =
            |table: String, note: bool, apart: bool, wanted: &dyn Fn(&Derived) -> bool| {
                let ways: Vec<Way> = (0..parent.has.len())
                    .filter(|has| parent.has[*has].child == child_id)
                    .map(|has| way(has, wanted))
                    .filter(|way| !way.counters.is_empty())
                    .collect();
                if !ways.is_empty() {
                    found.push(Step {
                        table,
                        ways,
                        note,
                        apart,
                    });
                }
            };
        step(names::table(parent), false, false, &|d| {
            !is_apart(model, id, d)
        });
        step(apart::table(parent), false, true, &|d| {
            is_apart(model, id, d) && !d.delta
        });
        step(apart::delta_table(parent), true, true, &|d| {
            is_apart(model, id, d) && d.delta
        });
    }
    found
}

fn recount(model: &Model, parent_id: EntityId, has: usize, is_there: bool) -> Option<Recount> {
    let parent = &model.entities[parent_id];
    let of = &parent.has[has];
    let child = &model.entities[of.child];
    let via = child
        .relation(&of.via)
        .expect("checked: via names a relation of the child");
    let kept = || {
        parent
            .derived
            .iter()
            .filter(|d| is_apart(model, parent_id, d) == is_there)
    };
    let of_all = |wanted: &dyn Fn(&&Derived) -> bool| -> Vec<Counter> {
        let kept = kept().filter(wanted);
        kept.flat_map(|d| counters(model, of.child, has, d))
            .collect()
    };
    let counters = of_all(&|_| true);
    let columns: Vec<String> = counters.iter().map(|c| c.column.clone()).collect();
    columns.first()?;
    let (rows, column) = (names::table(child), references::column(via, parent));
    let list = |each: &dyn Fn(&Counter) -> String| {
        counters.iter().map(each).collect::<Vec<_>>().join(", ")
    };
    let found = list(&|c| format!("coalesce(sum({}), 0) as {}", c.term, c.column));
    let counted = format!(
        "{} q\n  left join (\n    select c.{column} as parent, {found}\n    from {rows} c\n    \
         where c.{column} is not null\n    group by c.{column}\n  ) d on d.parent = q.id",
        names::table(parent)
    );
    let new = list(&|c| format!("coalesce(d.{}, 0)", c.column));
    let lock = format!("lock table {rows} in share row exclusive mode;");
    let (table, sql) = if is_there {
        let table = apart::table(parent);
        let names = list(&|c| c.column.clone());
        let mut sql = format!(
            "{lock}\ninsert into {table} as p (id, {names})\nselect q.id, {new}\nfrom {counted}\n\
             on conflict (id) do update set {sets}\nwhere row({old}) is distinct from row({given});",
            sets = list(&|c| format!("{0} = excluded.{0}", c.column)),
            old = list(&|c| format!("p.{}", c.column)),
            given = list(&|c| format!("excluded.{}", c.column)),
        );
        let noted = of_all(&|d| d.delta);
        if !noted.is_empty() {
            let zero: Vec<String> = noted.iter().map(|c| format!("{} = 0", c.column)).collect();
            let noted = apart::delta_table(parent);
            sql.push_str(&format!("\nupdate {noted} set {};", zero.join(", ")));
        }
        (table, sql)
    } else {
        let table = names::table(parent);
        let sql = format!(
            "{lock}\nupdate {table} p\nset {sets}\nfrom {counted}\n\
             where q.id = p.id and row({old}) is distinct from row({new});",
            sets = list(&|c| format!("{0} = coalesce(d.{0}, 0)", c.column)),
            old = list(&|c| format!("p.{}", c.column)),
        );
        (table, sql)
    };
    Some(Recount {
        table,
        child: of.child,
        columns,
        sql,
        apart: is_there,
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

/// The condition for child rows to be counted: active, with a value, and fulfilling the filter of the spec.
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
