//! Rules that look at each other in a circle: PostgreSQL refuses such policies when they are asked.

use super::{Cx, walk};
use crate::model::{EntityId, Expr, Lifecycle, OfWhat};
use crate::resolve::Part;

/// One entity's policy looks at rows of another.
#[derive(Clone, Copy)]
struct Edge {
    to: EntityId,
    /// The action whose rule does.
    action: &'static str,
}

pub fn check(cx: &Cx) {
    let grant = grant(cx);
    let reads: Vec<Vec<Edge>> = (0..=grant).map(|id| edges(cx, id, true)).collect();
    let mut told: Vec<Vec<EntityId>> = Vec::new();
    for id in 0..=grant {
        for edge in edges(cx, id, false) {
            let Some(chain) = path(&reads, edge.to, id) else {
                continue;
            };
            let mut set = chain.clone();
            set.sort_unstable();
            set.dedup();
            if told.contains(&set) {
                continue;
            }
            told.push(set);
            let words: Vec<String> = std::iter::once(&id)
                .chain(&chain)
                .map(|node| match cx.model.entities.get(*node) {
                    Some(entity) => format!("`{}`", entity.name),
                    None => format!(
                        "`create` of `{}`",
                        cx.model.entities[cx.model.assignments].name
                    ),
                })
                .collect();
            let help = if chain.contains(&grant) {
                "`me outranks` asks who may give a role: that rule is made of `me holds`, not of rules about people"
            } else {
                "say one of them without `of`: with `me is`, `me holds` or `me in`, which look at no other row's rules"
            };
            let entity = if id == grant {
                cx.model.assignments
            } else {
                id
            };
            let place = cx.places.find(entity, Part::Access, edge.action);
            cx.refuse(
                place.unwrap_or_else(|| cx.places.of(entity, Part::Key, "access")),
                format!(
                    "rules that look at each other in a circle: {}",
                    words.join(" → ")
                ),
                help,
            );
        }
    }
}

/// Stands for the rule of who may give a role, which `me outranks` asks past the policies of its table.
fn grant(cx: &Cx) -> EntityId {
    cx.model.entities.len()
}

/// The way from one entity to another through read rules.
fn path(reads: &[Vec<Edge>], from: EntityId, to: EntityId) -> Option<Vec<EntityId>> {
    let mut ways = vec![vec![from]];
    let mut seen = vec![from];
    while let Some(way) = ways.pop() {
        let last = *way.last()?;
        if last == to {
            return Some(way);
        }
        for edge in &reads[last] {
            if edge.to == to || !seen.contains(&edge.to) {
                seen.push(edge.to);
                let mut longer = way.clone();
                longer.push(edge.to);
                ways.push(longer);
            }
        }
    }
    None
}

/// Entities that the policies of this one look at. The policy for reading also asks who may update, suspend,
/// delete and restore, because those see suspended and archived rows.
fn edges(cx: &Cx, id: EntityId, only_reading: bool) -> Vec<Edge> {
    let mut edges = Vec::new();
    let Some(entity) = cx.model.entities.get(id) else {
        let id = cx.model.assignments;
        if let Some(rule) = &cx.model.entities[id].access.create {
            collect(cx, id, rule, "create", &mut edges, 0);
        }
        return edges;
    };
    let soft = entity.lifecycle == Lifecycle::SoftDelete;
    for (action, rule) in walk::grants(entity) {
        let in_reading = action == "read" || (soft && action != "create");
        if in_reading || !only_reading {
            collect(cx, id, rule, action, &mut edges, 0);
        }
    }
    if !only_reading {
        for transition in &entity.transitions {
            collect(cx, id, &transition.by, "transition", &mut edges, 0);
        }
    }
    edges
}

fn collect(
    cx: &Cx,
    id: EntityId,
    rule: &Expr,
    action: &'static str,
    edges: &mut Vec<Edge>,
    depth: usize,
) {
    // Conditions only name earlier ones, and `of` chains are as long as the spec's; a circle ends here.
    if depth > 32 {
        return;
    }
    let entity = &cx.model.entities[id];
    walk::each(rule, &mut |expr| match expr {
        Expr::Condition(index) => collect(
            cx,
            id,
            &entity.conditions[*index].expr,
            action,
            edges,
            depth + 1,
        ),
        Expr::MeOutranks { .. } => {
            let to = grant(cx);
            if !edges.iter().any(|e| e.to == to) {
                edges.push(Edge { to, action });
            }
        }
        Expr::Of { what, .. } => {
            for (to, what) in what {
                if !edges.iter().any(|e| e.to == *to) {
                    edges.push(Edge { to: *to, action });
                }
                let target = &cx.model.entities[*to];
                let inner = match what {
                    OfWhat::Read => None,
                    OfWhat::Update => target.access.update.as_ref(),
                    OfWhat::Delete => target.access.delete.as_ref(),
                    OfWhat::Condition(index) => Some(&target.conditions[*index].expr),
                };
                if let Some(inner) = inner {
                    collect(cx, *to, inner, action, edges, depth + 1);
                }
            }
        }
        _ => {}
    });
}
