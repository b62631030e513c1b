//! The field to which a form attaches the failure of a check of the row.

use crate::emit::columns;
use crate::model::{Entity, Expr, Op, Value};

pub fn column(entity: &Entity, check: &Expr) -> String {
    match told_by(entity, check) {
        "" => sendable(entity, check),
        column => column.to_owned(),
    }
}

/// The field that has to be given or is out of bounds, where the check tells one. Of alternatives the last one counts:
/// `amount_cents == null or currency != null`.
fn told_by<'e>(entity: &Entity, check: &'e Expr) -> &'e str {
    let column = match check {
        Expr::Any(parts) => return parts.last().map_or("", |last| told_by(entity, last)),
        Expr::Not(part) => match part.as_ref() {
            Expr::IsNull(Value::Column(column)) => column,
            _ => return "",
        },
        Expr::Compare {
            left: Value::Column(column),
            op: Op::Lt | Op::Le | Op::Gt | Op::Ge,
            ..
        } => column,
        _ => return "",
    };
    let field = entity.field(column).filter(|field| !field.system);
    field.map_or("", |_| column)
}

/// The first of its columns that a body may contain. Empty if there is none, since then no body breaks the check.
fn sendable(entity: &Entity, check: &Expr) -> String {
    let bodies = [columns::create(entity), columns::update(entity)].concat();
    let is_sent = |column: &&String| bodies.iter().any(|one| one.name() == **column);
    let columns = check.columns();
    columns.iter().find(is_sent).cloned().unwrap_or_default()
}
