//! The rows that hold roles are those that `roles:` allows: a role held everywhere has no scope, any other one is held
//! of what it is said to be held of.
//!
//! This is a check of the row like those of a spec. Without it a row `owner`, which counts everywhere, could be given
//! by whoever may give roles of one scope.

use super::places::{Part, Places};
use crate::{
    diag::{Collector, Diagnostic},
    model::{Check, Entity, Expr, Literal, Model, Op, Relation, Role, Value},
};

/// The check's name.
pub const FITS: &str = "role_fits_scope";

const DOC: &str = "The role is not held of such an object.";

pub fn fold(model: &mut Model, places: &mut Places, errors: &Collector) {
    let id = model.assignments;
    let Some(check) = fits(model) else { return };
    if model.entities[id].checks.iter().any(|one| one.name == FITS) {
        let place = places.of(id, Part::Check, FITS);
        let mistake = format!("`{FITS}` is made of what app.yaml says under `roles:`");
        errors.push(Diagnostic::at(place, mistake).help("remove it, or give it another name"));
        return;
    }
    let place = places.of(id, Part::Relation, "scope");
    places.put(id, Part::Check, FITS, place);
    model.entities[id].checks.push(check);
}

/// `None`: no role has a scope, or the entity lacks what `check` will ask for.
fn fits(model: &Model) -> Option<Check> {
    let assignments: &Entity = &model.entities[model.assignments];
    let scope = assignments.relation("scope").filter(|s| s.polymorphic)?;
    assignments.field("role")?;
    let roles = model.roles.iter().map(|role| one(model, scope, role));
    Some(Check {
        name: FITS.to_owned(),
        expr: Expr::Any(roles.collect()),
        doc: Some(DOC.to_owned()),
    })
}

fn one(model: &Model, scope: &Relation, role: &Role) -> Expr {
    let none = Expr::IsNull(Value::Column(scope.id_column()));
    let is = Expr::Compare {
        left: Value::Column("role".to_owned()),
        op: Op::Eq,
        right: Value::Literal(Literal::Text(model.role_value(role))),
    };
    if role.scopes.is_empty() {
        return Expr::All(vec![is, none]);
    }
    let kinds = role.scopes.iter().map(|of| &model.entities[*of].name);
    let of = Expr::In {
        value: Value::Column(scope.type_column().unwrap_or_default()),
        list: kinds.map(|kind| Literal::Text(kind.clone())).collect(),
    };
    // A check also holds when it is null, so a scope that is missing has to be refused explicitly.
    let mut parts = vec![is, of];
    if scope.optional {
        parts.insert(1, Expr::Not(Box::new(none)));
    }
    Expr::All(parts)
}
