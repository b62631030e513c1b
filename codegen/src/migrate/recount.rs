//! Finds derived columns whose meaning changed, or that are new on a table with rows. They must be recomputed.
//!
//! The triggers that maintain derived columns only account for later changes.

use super::change::Renames;
use super::hints::former;
use super::op::Op;
use super::reworded;
use super::text::rename;
use crate::emit::schema::{Recount, recounts};
use crate::model::{Entity, Model};

/// The steps that follow all others, in the up and in the down migration.
#[derive(Clone, Debug, Default)]
pub struct After {
    pub up: Vec<Op>,
    pub down: Vec<Op>,
}

pub fn after(old: &Model, new: &Model, renames: &Renames) -> After {
    let was = |entity: &Entity| former(entity, old, new).map(|e| e.name.clone());
    let became = |entity: &Entity| {
        let same = new
            .entities
            .iter()
            .find(|e| former(e, old, new).is_some_and(|f| f.name == entity.name));
        same.map(|e| e.name.clone())
    };
    After {
        up: steps(&reworded::forward(old, new), new, &was, renames),
        down: steps(&reworded::back(old, new), old, &became, &renames.reversed()),
    }
}

fn steps(
    from: &Model,
    to: &Model,
    counterpart: &dyn Fn(&Entity) -> Option<String>,
    renames: &Renames,
) -> Vec<Op> {
    let mut ops = Vec::new();
    for (id, entity) in to.entities.iter().enumerate() {
        let Some((before_id, _)) = counterpart(entity).and_then(|name| from.entity(&name)) else {
            continue;
        };
        let before = recounts(from, before_id);
        for recount in recounts(to, id) {
            // A new child table has no rows to count. If the table of counters is new, however, each row of the parent
            // needs its row in it.
            let new_table = recount.apart && !before.iter().any(|b| b.apart);
            let has_rows = new_table || counterpart(&to.entities[recount.child]).is_some();
            if has_rows && !before.iter().any(|b| means_the_same(b, &recount, renames)) {
                ops.push(Op::Recount {
                    table: recount.table,
                    columns: recount.columns,
                    sql: recount.sql,
                });
            }
        }
    }
    ops
}

fn means_the_same(before: &Recount, after: &Recount, renames: &Renames) -> bool {
    let mut sql = before.sql.clone();
    for (from, to) in &renames.tables {
        sql = rename(&sql, from, to);
    }
    for column in &renames.columns {
        sql = rename(&sql, &column.from, &column.to);
    }
    before.sql == after.sql || sql == after.sql
}
