//! Rules whose policies read each other in a circle: PostgreSQL refuses such policies when a query uses them.

use super::{Cx, walk};
use crate::model::{EntityId, Expr, Lifecycle, OfWhat};
use crate::resolve::Part;
use std::collections::HashSet;

/// The policy of one entity reads rows of another.
#[derive(Clone, Copy)]
struct Edge {
    to: EntityId,
    /// The action whose rule reads them.
    action: &'static str,
}

pub fn check(cx: &Cx) {
    let grant = grant(cx);
    let reads: Vec<Vec<Edge>> = (0..=grant).map(|id| edges(cx, id, true)).collect();
    let mut told_of: Vec<Vec<EntityId>> = Vec::new();
    for id in 0..=grant {
        for edge in edges(cx, id, false) {
            let Some(chain) = path(&reads, edge.to, id) else {
                continue;
            };
            let mut set = chain.clone();
            set.sort_unstable();
            set.dedup();
            if told_of.contains(&set) {
                continue;
            }
            told_of.push(set);
            let whole: Vec<EntityId> = [id].into_iter().chain(chain.iter().copied()).collect();
            let help = if chain.contains(&grant) {
                "`me outranks` asks who may give a role: that rule is made of `me holds`, not of rules about people"
            } else {
                MEND
            };
            let entity = if id == grant {
                cx.model.assignments
            } else {
                id
            };
            let place = cx.places.find(entity, Part::Access, edge.action);
            let place = place.unwrap_or_else(|| cx.places.of(entity, Part::Key, "access"));
            cx.refuse(place, told(cx, &whole), help);
        }
    }
    if told_of.is_empty() {
        (0..cx.model.entities.len()).for_each(|id| rules_of_fields(cx, id));
    }
}

/// Stands for the rule that says who may give a role. `me outranks` evaluates it without the policies of the table.
fn grant(cx: &Cx) -> EntityId {
    cx.model.entities.len()
}

/// A path from one entity to another through read rules.
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

/// Entities that the policies of this one read. The read policy also contains the rules for updating, suspending,
/// deleting and restoring, because those decide who sees suspended and archived rows.
fn edges(cx: &Cx, id: EntityId, only_reading: bool) -> Vec<Edge> {
    let (mut edges, mut seen) = (Vec::new(), Seen::new());
    let Some(entity) = cx.model.entities.get(id) else {
        let id = cx.model.assignments;
        if let Some(rule) = &cx.model.entities[id].access.create {
            collect(cx, id, rule, "create", &mut edges, &mut seen);
        }
        return edges;
    };
    let soft = entity.lifecycle == Lifecycle::SoftDelete;
    for (action, rule) in walk::grants(entity) {
        let in_reading = action == "read" || (soft && action != "create");
        if in_reading || !only_reading {
            collect(cx, id, rule, action, &mut edges, &mut seen);
        }
    }
    if !only_reading {
        for transition in &entity.transitions {
            collect(cx, id, &transition.by, "transition", &mut edges, &mut seen);
        }
    }
    edges
}

/// Rules that have been followed already: conditions of the entity, and rules of others.
type Seen = HashSet<(EntityId, OfWhat)>;

fn collect(
    cx: &Cx,
    id: EntityId,
    rule: &Expr,
    action: &'static str,
    edges: &mut Vec<Edge>,
    seen: &mut Seen,
) {
    let entity = &cx.model.entities[id];
    walk::each(rule, &mut |expr| match expr {
        Expr::Condition(index) if seen.insert((id, OfWhat::Condition(*index))) => {
            let condition = &entity.conditions[*index].expr;
            collect(cx, id, condition, action, edges, seen);
        }
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
                if !seen.insert((*to, what.clone())) {
                    continue;
                }
                let target = &cx.model.entities[*to];
                let inner = match what {
                    OfWhat::Read => None,
                    OfWhat::Update => target.access.update.as_ref(),
                    OfWhat::Delete => target.access.delete.as_ref(),
                    OfWhat::Condition(index) => Some(&target.conditions[*index].expr),
                };
                if let Some(inner) = inner {
                    collect(cx, *to, inner, action, edges, seen);
                }
            }
        }
        _ => {}
    });
}

/// Rules of fields are evaluated by functions, which may read other rows of the same entity. But a rule that refers to
/// itself through conditions would recurse without end.
fn rules_of_fields(cx: &Cx, id: EntityId) {
    let entity = &cx.model.entities[id];
    let fields = (entity.fields.iter()).map(|f| (Part::Field, &f.name, [&f.read, &f.write]));
    let relations = (entity.belongs.iter()).map(|r| (Part::Relation, &r.name, [&r.read, &None]));
    for (part, name, rules) in fields.chain(relations) {
        let circle = (rules.into_iter().flatten())
            .find_map(|rule| circle(cx, id, rule, &mut Vec::new(), &mut Seen::new()));
        if let Some(circle) = circle {
            cx.refuse(cx.places.of(id, part, name), told(cx, &circle), MEND);
        }
    }
}

/// The entities on a path of rules that leads back to its beginning.
fn circle(
    cx: &Cx,
    id: EntityId,
    rule: &Expr,
    way: &mut Vec<(EntityId, OfWhat)>,
    done: &mut Seen,
) -> Option<Vec<EntityId>> {
    let mut next: Vec<(EntityId, OfWhat)> = Vec::new();
    walk::each(rule, &mut |expr| match expr {
        Expr::Condition(index) => next.push((id, OfWhat::Condition(*index))),
        Expr::Of { what, .. } => next.extend(what.iter().cloned()),
        _ => {}
    });
    for node in next {
        if let Some(start) = way.iter().position(|known| *known == node) {
            let round = way[start..].iter().chain([&node]);
            return Some(round.map(|(id, _)| *id).collect());
        }
        if !done.insert(node.clone()) {
            continue;
        }
        let target = &cx.model.entities[node.0];
        let rule = match &node.1 {
            OfWhat::Condition(index) => Some(&target.conditions[*index].expr),
            OfWhat::Read => target.access.read.as_ref(),
            OfWhat::Update => target.access.update.as_ref(),
            OfWhat::Delete => target.access.delete.as_ref(),
        };
        way.push(node.clone());
        let found = rule.and_then(|rule| circle(cx, node.0, rule, way, done));
        way.pop();
        if found.is_some() {
            return found;
        }
    }
    None
}

const MEND: &str = "say one of them without `of`: with `me is`, `me holds` or `me in`, which look at no other row's rules";

fn told(cx: &Cx, circle: &[EntityId]) -> String {
    let name = |id: &EntityId| match cx.model.entities.get(*id) {
        Some(entity) => format!("`{}`", entity.name),
        None => format!(
            "`create` of `{}`",
            cx.model.entities[cx.model.assignments].name
        ),
    };
    let words: Vec<String> = circle.iter().map(name).collect();
    format!(
        "rules that look at each other in a circle: {}",
        words.join(" → ")
    )
}
