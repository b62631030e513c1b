//! Examples of bodies that the checks of their entity let through: an example that is refused teaches nothing.

use super::example::id;
use crate::{
    emit::columns::Column,
    model::{Entity, Expr, Literal, Model, Op, Value},
};
use serde_json::{Map, Value as Json, json};

/// Changes values until no check is known to fail: another object where it would be the caller's own, without optional
/// properties that exclude each other, and with an optional object that is needed.
pub fn settle(model: &Model, entity: &Entity, columns: &[Column], example: &mut Map<String, Json>) {
    let of_fields = entity
        .fields
        .iter()
        .filter_map(|field| field.check.as_ref());
    for check in entity
        .checks
        .iter()
        .map(|check| &check.expr)
        .chain(of_fields)
    {
        let fails = |example: &Map<String, Json>| {
            let row = Row {
                model,
                entity,
                columns,
                example,
            };
            row.holds(check) == Some(false)
        };
        let compared = check.columns();
        let is_compared = |name: &String| compared.contains(name);
        for relation in entity
            .belongs
            .iter()
            .filter(|one| is_compared(&one.id_column()))
        {
            let (own, kind) = (relation.id_column(), format!("{}_type", relation.name));
            let is_there = example.contains_key(&own);
            let may_be_there = columns.iter().any(|column| column.name() == own);
            if !fails(example) || !(is_there || may_be_there) {
                continue;
            }
            for target in &relation.targets {
                let name = &model.entities[*target].name;
                if relation.polymorphic {
                    example.insert(kind.clone(), json!(name));
                    example.insert(own.clone(), json!(id(name)));
                } else {
                    example.insert(own.clone(), json!(another(name)));
                }
                if !fails(example) {
                    break;
                }
            }
            if !is_there && fails(example) {
                example.shift_remove(&kind);
                example.shift_remove(&own);
            }
        }
        let optional = columns.iter().filter(|column| column.optional());
        for name in optional.map(Column::name).filter(is_compared).rev() {
            if !fails(example) {
                break;
            }
            let Some(value) = example.shift_remove(&name) else {
                continue;
            };
            if fails(example) {
                example.insert(name, value);
            }
        }
    }
}

/// The id of a second example object, where the first is the caller.
pub fn another(entity: &str) -> String {
    id(&format!("another {entity}"))
}

/// What is known of a row that is created from the example.
struct Row<'a> {
    model: &'a Model,
    entity: &'a Entity,
    columns: &'a [Column<'a>],
    example: &'a Map<String, Json>,
}

impl Row<'_> {
    /// `None`: it depends on values that the example does not have, or is null.
    fn holds(&self, expr: &Expr) -> Option<bool> {
        match expr {
            Expr::All(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| self.holds(part)).collect();
                let fails = parts.contains(&Some(false));
                (fails || !parts.contains(&None)).then_some(!fails)
            }
            Expr::Any(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| self.holds(part)).collect();
                let holds = parts.contains(&Some(true));
                (holds || !parts.contains(&None)).then_some(holds)
            }
            Expr::Not(part) => self.holds(part).map(|holds| !holds),
            Expr::IsNull(value) => Some(self.value(value)?.is_null()),
            Expr::Compare { left, op, right } => {
                compared(&self.value(left)?, *op, &self.value(right)?)
            }
            Expr::In { value, list } => {
                let value = self.value(value)?;
                let one = |literal: &Literal| {
                    let literal = self.value(&Value::Literal(literal.clone()))?;
                    compared(&value, Op::Eq, &literal)
                };
                let parts: Vec<_> = list.iter().map(one).collect();
                let holds = parts.contains(&Some(true));
                (holds || !parts.contains(&None)).then_some(holds)
            }
            _ => None,
        }
    }

    fn value(&self, value: &Value) -> Option<Json> {
        match value {
            Value::Column(name) => match self.example.get(name) {
                Some(value) => Some(value.clone()),
                None if self
                    .columns
                    .iter()
                    .any(|c| c.optional() && c.name() == *name) =>
                {
                    Some(Json::Null)
                }
                None => self.caller(name),
            },
            Value::Literal(Literal::Null) => Some(Json::Null),
            Value::Literal(Literal::Bool(value)) => Some(json!(value)),
            Value::Literal(Literal::Int(value)) => Some(json!(value)),
            Value::Literal(Literal::Text(value)) => Some(json!(value)),
            _ => None,
        }
    }

    /// The id of the caller, where the column is set to it: the example object of that entity.
    fn caller(&self, name: &str) -> Option<Json> {
        let mut relations = self.entity.belongs.iter();
        let relation = relations.find(|one| one.set_me && one.id_column() == name)?;
        Some(json!(id(&self.model.entities[relation.targets[0]].name)))
    }
}

/// Numbers, and texts: times in examples are written in one way. Comparisons with null say nothing.
fn compared(left: &Json, op: Op, right: &Json) -> Option<bool> {
    let order = match (left, right) {
        (Json::Number(left), Json::Number(right)) => {
            left.as_f64()?.partial_cmp(&right.as_f64()?)?
        }
        (Json::String(left), Json::String(right)) => left.cmp(right),
        (Json::Bool(left), Json::Bool(right)) => left.cmp(right),
        _ => return None,
    };
    Some(match op {
        Op::Eq => order.is_eq(),
        Op::Ne => order.is_ne(),
        Op::Lt => order.is_lt(),
        Op::Le => order.is_le(),
        Op::Gt => order.is_gt(),
        Op::Ge => order.is_ge(),
    })
}
