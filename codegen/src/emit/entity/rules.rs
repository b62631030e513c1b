//! Access rules as `static` trees: `IS_<CONDITION>` for named conditions, `CAN_<ACTION>` for actions. Each rule is
//! written once, and others refer to it.

use crate::emit::actions::{self, Action};
use crate::emit::rust::{text, upper};
use crate::emit::schema::sets;
use crate::model::{Entity, EntityId, Expr, Literal, Model, OfWhat, Op, Value};

/// All rules of an entity, one per line.
pub fn statics(model: &Model, id: EntityId) -> String {
    let entity = &model.entities[id];
    let mut out = String::new();
    for condition in &entity.conditions {
        out.push_str(&item(
            &format!("IS_{}", upper(&condition.name)),
            &tree(model, id, &condition.expr),
        ));
    }
    for action in actions::ALL {
        if let Some(rule) = action
            .rule(entity)
            .filter(|_| name(entity, action) == own_name(action))
        {
            out.push_str(&item(&own_name(action), &tree(model, id, rule)));
        }
    }
    for transition in actions::transitions(entity) {
        let tree = tree(model, id, &transition.by);
        out.push_str(&item(&format!("CAN_{}", upper(&transition.name)), &tree));
    }
    out
}

/// Names of all statics of a file: the resource and its rules.
pub fn names(model: &Model, id: EntityId) -> Vec<String> {
    let entity = &model.entities[id];
    let statics = statics(model, id);
    let rules = statics.lines().filter_map(|line| {
        let (_, rest) = line.split_once("pub static ")?;
        Some(rest.split_once(':')?.0.to_owned())
    });
    [upper(&entity.name)].into_iter().chain(rules).collect()
}

/// The static with the rule of an action. If an earlier action has the same rule, its static is used.
pub fn name(entity: &Entity, action: Action) -> String {
    let Some(rule) = action.rule(entity) else {
        return "Nobody".into();
    };
    let same = actions::ALL
        .into_iter()
        .find(|other| other.rule(entity) == Some(rule))
        .unwrap_or(action);
    own_name(same)
}

fn item(name: &str, tree: &str) -> String {
    format!("#[rustfmt::skip] pub static {name}: Rule = {tree};\n")
}

fn own_name(action: Action) -> String {
    format!("CAN_{}", upper(action.name()))
}

fn tree(model: &Model, id: EntityId, rule: &Expr) -> String {
    let entity = &model.entities[id];
    let role = |role: &usize| text(&model.roles[*role].name);
    let column = |relation: &usize| text(&entity.belongs[*relation].id_column());
    let list = |parts: &[Expr]| {
        parts
            .iter()
            .map(|part| tree(model, id, part))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match rule {
        Expr::Anyone => "Anyone".into(),
        Expr::SignedIn => "SignedIn".into(),
        Expr::Nobody => "Nobody".into(),
        Expr::All(parts) => format!("All(&[{}])", list(parts)),
        Expr::Any(parts) => format!("Any(&[{}])", list(parts)),
        Expr::Not(inner) => format!("Not(&{})", tree(model, id, inner)),
        Expr::Condition(i) => format!("Ref(&IS_{})", upper(&entity.conditions[*i].name)),
        Expr::Of { relation, what } => of(model, entity, *relation, what),
        Expr::MeIs { relation } => format!("MeIs({})", column(relation)),
        Expr::MeIsThis => "MeIs(\"id\")".into(),
        Expr::MeHolds { role: held } => format!("Holds({})", role(held)),
        Expr::MeHoldsOf {
            role: held,
            relation: Some(relation),
        } => {
            format!("HoldsOf({}, {})", role(held), column(relation))
        }
        Expr::MeHoldsOf {
            role: held,
            relation: None,
        } => format!("HoldsOf({}, \"id\")", role(held)),
        Expr::MeIn { has, me, filter } => {
            format!(
                "In(\"id\", {})",
                text(&sets::name(model, id, *has, me, filter.as_deref()))
            )
        }
        Expr::MeOutranks { relation, of } => {
            let who = relation.map_or("id".to_owned(), |r| entity.belongs[r].id_column());
            let of = of.map(|r| column(&r));
            let assignments = &model.entities[model.assignments];
            format!(
                "Outranks(&Outranked {{ column: {}, of: {}, grant: {} }})",
                text(&who),
                crate::emit::rust::option(of),
                reach(assignments, &name(assignments, Action::Create))
            )
        }
        Expr::Compare { left, op, right } => format!(
            "Compare({}, Op::{}, {})",
            value(left),
            op_name(*op),
            value(right)
        ),
        Expr::In { value: one, list } => {
            let list = list.iter().map(literal).collect::<Vec<_>>().join(", ");
            format!("OneOf({}, &[{list}])", value(one))
        }
        Expr::IsNull(one) => format!("IsNull({})", value(one)),
        Expr::Flag(column) => format!("Flag({})", text(column)),
    }
}

fn of(model: &Model, entity: &Entity, relation: usize, what: &[(EntityId, OfWhat)]) -> String {
    let relation = &entity.belongs[relation];
    let targets = relation.targets.iter().filter_map(|target| {
        let there = &model.entities[*target];
        let rule = match what.iter().find(|(id, _)| id == target) {
            None if !what.is_empty() => return None,
            None => "None".to_owned(),
            // Internal entities have no `Resource`, so there is no rule to refer to.
            Some((_, OfWhat::Read)) if there.internal => "None".to_owned(),
            Some((_, OfWhat::Read)) => format!(
                "Some(&Readable({}))",
                reach(there, &name(there, Action::Read))
            ),
            Some((_, OfWhat::Condition(i))) => format!(
                "Some({})",
                reach(there, &format!("IS_{}", upper(&there.conditions[*i].name)))
            ),
            Some((_, OfWhat::Update)) => {
                format!("Some({})", reach(there, &name(there, Action::Update)))
            }
            Some((_, OfWhat::Delete)) => {
                format!("Some({})", reach(there, &name(there, Action::Delete)))
            }
        };
        Some(format!("({}, {rule})", text(&there.name)))
    });
    let targets = targets.collect::<Vec<_>>().join(", ");
    let type_column = crate::emit::rust::option(relation.type_column().map(|column| text(&column)));
    let column = text(&relation.id_column());
    format!(
        "Of(&Related {{ column: {column}, type_column: {type_column}, targets: &[{targets}] }})"
    )
}

/// A reference to a rule in the file of another entity.
fn reach(entity: &Entity, name: &str) -> String {
    if name == "Nobody" {
        "&Nobody".into()
    } else {
        format!("&crate::{}::{name}", entity.name)
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::Column(name) => format!("V::Column({})", text(name)),
        Value::Related { .. } => {
            unreachable!("only `when` looks at other rows, and no program evaluates it")
        }
        Value::Literal(one) => literal(one),
        Value::Add(a, b) => format!("V::Add(&{}, &{})", self::value(a), self::value(b)),
        Value::Sub(a, b) => format!("V::Sub(&{}, &{})", self::value(a), self::value(b)),
    }
}

fn literal(literal: &Literal) -> String {
    match literal {
        Literal::Null => "V::Null".into(),
        Literal::Bool(value) => format!("V::Bool({value})"),
        Literal::Int(value) => format!("V::Int({value})"),
        Literal::Decimal(value) => format!("V::Decimal({})", text(value)),
        Literal::Text(value) => format!("V::Text({})", text(value)),
        Literal::Now => "V::Now".into(),
        Literal::Today => "V::Today".into(),
    }
}

fn op_name(op: Op) -> &'static str {
    match op {
        Op::Eq => "Eq",
        Op::Ne => "Ne",
        Op::Lt => "Lt",
        Op::Le => "Le",
        Op::Gt => "Gt",
        Op::Ge => "Ge",
    }
}
