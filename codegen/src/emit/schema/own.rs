//! `sec.own_<plural>()`: rows that the caller may read because they name the caller, without those that every caller
//! may read.
//!
//! Used by searches and maps, which look for words and places among these rows only: the time that takes depends on
//! how many rows name the caller, not on the rows of others. Parts of a rule that would query further tables are left
//! out, so the set may hold rows that the caller may not read. Users of the set must therefore still apply the
//! policies to each row.

use super::{
    mine,
    names::{self, Roles},
    object::{Function, on_table},
    predicate::{Sql, all, any, atom},
    references,
    rules::{Context, Scope, predicate},
    seen,
    visible::visible,
};
use crate::model::{EntityId, Expr, Lifecycle, Model, OfWhat};
use crate::objects::{Kind, Object};

/// How many levels of parent rows a condition is inlined for at most.
const DEPTH_MAX: usize = 3;
const SIGNED_IN: &str = "sec.uid() is not null";

/// The ways in which a rule can be fulfilled, by what they require.
#[derive(Default)]
struct Ways {
    /// Whether callers may fulfil it without being named by the row, because of the row's own columns.
    open: bool,
    /// Conditions on the caller alone: callers who fulfil one of them fulfil the rule for every row.
    wide: Vec<Sql>,
    /// Conditions for callers whom the row names, answered by an index.
    named: Vec<Sql>,
}

impl Ways {
    fn add(&mut self, other: Ways) {
        self.open |= other.open;
        push_new(&mut self.wide, other.wide);
        push_new(&mut self.named, other.named);
    }

    fn wide(condition: impl Into<String>) -> Self {
        let wide = vec![atom(condition.into())];
        Self {
            wide,
            ..Self::default()
        }
    }

    /// A cost to compare ways by: the fewer rows they lead to, the smaller.
    fn size(&self) -> usize {
        let everybody = self.wide.contains(&atom(SIGNED_IN));
        self.wide.len() + if everybody { 100 } else { 0 }
    }
}

/// The condition for callers who may read rows without being named by them; `false` if there are none.
pub(super) fn wide(model: &Model, id: EntityId) -> Sql {
    any(of_entity(model, id).wide)
}

/// `sec.own_events`
pub(super) fn name(model: &Model, id: EntityId) -> String {
    names::fit(format!("sec.own_{}", model.entities[id].plural))
}

pub(super) fn function(model: &Model, id: EntityId) -> Object {
    let (roles, entity) = (Roles(&model.app), &model.entities[id]);
    let table = names::table(entity);
    let mut selects: Vec<String> = of_entity(model, id)
        .named
        .into_iter()
        .map(|named| {
            let condition = all(live(model, id, "t").into_iter().chain([named]));
            format!(
                "  (\n    select o.id from (\n      select t.id from {table} t\n      where {}\n      offset 0\n    ) o \
                 order by o.id desc limit p_most\n  )",
                condition.block(8)
            )
        })
        .collect();
    if selects.is_empty() {
        selects.push("  select null::uuid where false".into());
    }
    let function = Function {
        kind: Kind::TableFunction,
        name: &name(model, id),
        arguments: "p_most int",
        returns: "setof uuid",
        attributes: mine::SET,
        definer: Some(roles.authz()),
        callers: Vec::new(),
        doc: "Rows that the caller may be allowed to read because a rule names the caller: the newest `p_most` for each such rule.\n\
              `offset 0`: rows are first looked up by what names the caller, and then sorted.",
        body: format!(
            "begin\n  return query\n{};\nend",
            selects.join("\n  union all\n")
        ),
    };
    on_table(&table, function.object(roles))
}

/// The condition that a row isn't archived; `None` if rows never are.
pub(super) fn live(model: &Model, id: EntityId, alias: &str) -> Option<Sql> {
    (model.entities[id].lifecycle == Lifecycle::SoftDelete)
        .then(|| atom(format!("{alias}.status <> 'archived'")))
}

fn push_new(all: &mut Vec<Sql>, more: Vec<Sql>) {
    for one in more {
        if !all.contains(&one) {
            all.push(one);
        }
    }
}

fn of_entity(model: &Model, id: EntityId) -> Ways {
    let scope = Scope {
        entity: id,
        alias: "t",
        context: Context::Set,
    };
    ways(model, scope, &shown(model, id), 0)
}

/// The rules for seeing the row: `read` while it is active, the others while it is suspended.
fn shown(model: &Model, id: EntityId) -> Expr {
    let entity = &model.entities[id];
    let access = &entity.access;
    let mut rules = vec![&access.read];
    if entity.lifecycle == Lifecycle::SoftDelete {
        rules.extend([&access.update, &access.suspend]);
    }
    Expr::Any(rules.into_iter().flatten().cloned().collect())
}

fn ways(model: &Model, scope: Scope<'_>, expr: &Expr, depth: usize) -> Ways {
    let entity = &model.entities[scope.entity];
    match expr {
        Expr::Nobody => Ways::default(),
        Expr::Anyone
        | Expr::Not(_)
        | Expr::Compare { .. }
        | Expr::In { .. }
        | Expr::IsNull(_)
        | Expr::Flag(_) => Ways {
            open: true,
            ..Ways::default()
        },
        Expr::SignedIn | Expr::MeOutranks { .. } => Ways::wide(SIGNED_IN),
        Expr::MeHolds { role } => {
            let role = names::snake(&model.roles[*role].name);
            Ways::wide(format!("(select sec.is_{role}())"))
        }
        Expr::MeIs { .. } | Expr::MeIsThis | Expr::MeHoldsOf { .. } | Expr::MeIn { .. } => Ways {
            named: mine::lookups(model, scope, expr),
            ..Ways::default()
        },
        Expr::Condition(index) => ways(model, scope, &entity.conditions[*index].expr, depth),
        Expr::Any(parts) => {
            let mut found = Ways::default();
            for part in parts {
                found.add(ways(model, scope, part, depth));
            }
            found
        }
        Expr::All(parts) => of_all(model, scope, parts, depth),
        Expr::Of { relation, what } => {
            let mut found = Ways::default();
            for (target, what) in what {
                found.add(of_parent(model, scope, *relation, *target, what, depth));
            }
            found
        }
    }
}

/// The rows can be found by one part that holds for named callers only. If every part holds for others too, the caller
/// may see the row although not everybody does, if one part holds because it names the caller.
fn of_all(model: &Model, scope: Scope<'_>, parts: &[Expr], depth: usize) -> Ways {
    let all_ways: Vec<Ways> = (parts.iter())
        .map(|part| ways(model, scope, part, depth))
        .collect();
    let open = all_ways.iter().all(|w| w.open);
    let smallest = (all_ways.iter().enumerate())
        .filter(|(_, w)| !w.open)
        .min_by_key(|(_, w)| w.size())
        .map(|(i, _)| i);
    let mut found = Ways {
        open,
        ..Ways::default()
    };
    for (i, part) in all_ways.into_iter().enumerate() {
        if smallest.is_some_and(|only| only != i) {
            continue;
        }
        let others = parts.iter().enumerate().filter(|(j, _)| *j != i);
        let rest = others.map(|(_, p)| predicate(model, scope, p));
        let rest = all(rest.flat_map(of_row_alone));
        let named = part.named.into_iter().map(|n| all([n, rest.clone()]));
        found.add(Ways {
            open: false,
            wide: part.wide,
            named: named.collect(),
        });
    }
    found.open = open;
    found
}

/// The parts of a condition that depend on the row alone.
fn of_row_alone(condition: Sql) -> Vec<Sql> {
    let parts = match condition {
        Sql::All(parts) => parts,
        other => vec![other],
    };
    let alone = |part: &Sql| {
        let line = part.line();
        !["select", "sec.", "now()", "counters."]
            .iter()
            .any(|word| line.contains(word))
    };
    parts.into_iter().filter(alone).collect()
}

/// `read of host`, `member of host`: through the parent rows that name the caller, without those that everybody sees.
fn of_parent(
    model: &Model,
    scope: Scope<'_>,
    relation: usize,
    target: EntityId,
    what: &OfWhat,
    depth: usize,
) -> Ways {
    let relation = &model.entities[scope.entity].belongs[relation];
    let column = scope.column(&references::column(relation, &model.entities[target]));
    if let Some(everywhere) = mine::bound(model, target, what) {
        let set = mine::call(model, target, what);
        let named = set.map(|call| atom(format!("{column} = any (array(select {call}))")));
        return Ways {
            open: false,
            wide: mine::words(model, &everywhere).collect(),
            named: named.into_iter().collect(),
        };
    }
    if depth == DEPTH_MAX {
        return Ways::wide(SIGNED_IN);
    }
    let alias = scope.inner_alias();
    let inner = Scope {
        entity: target,
        alias: &alias,
        context: Context::Set,
    };
    let mut rules = vec![shown(model, target)];
    rules.extend(seen::rule(model, target, what).cloned());
    let above = ways(model, inner, &Expr::All(rules.clone()), depth + 1);
    let table = names::table(&model.entities[target]);
    let hidden = hidden(model, inner, &rules[1..]);
    let selects: Vec<String> = (above.named.iter())
        .map(|named| {
            let condition = all([named.clone(), hidden.clone()]);
            format!(
                "select {alias}.id from {table} {alias} where {}",
                condition.line()
            )
        })
        .collect();
    let named = atom(format!(
        "{column} = any (array({}))",
        selects.join(" union all ")
    ));
    Ways {
        open: above.open,
        wide: above.wide,
        named: (!selects.is_empty()).then_some(named).into_iter().collect(),
    }
}

/// The condition that not everybody sees the row.
fn hidden(model: &Model, scope: Scope<'_>, rules: &[Expr]) -> Sql {
    let anyone = Scope {
        context: Context::Anonymous,
        ..scope
    };
    let granted = rules.iter().map(|rule| predicate(model, anyone, rule));
    match all([visible(model, anyone)].into_iter().chain(granted)) {
        Sql::False => Sql::True,
        public => atom(format!("({}) is not true", public.line())),
    }
}
