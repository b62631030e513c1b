//! `future`: where it contradicts the type, the default or other words of the line, or has no effect.

use super::{Of, Wrong, wrong};
use crate::model::{Field, Future, Literal, Ty};
use crate::resolve::Part;

pub fn check(of: &Of) {
    for field in &of.entity.fields {
        let wrong = field.future.and_then(|future| of_field(of, field, future));
        if let Some(wrong) = wrong {
            of.refuse_modifier(Part::Field, &field.name, wrong);
        }
    }
}

fn of_field(of: &Of, field: &Field, future: Future) -> Option<Wrong> {
    let name = &field.name;
    if !matches!(field.ty, Ty::Time | Ty::Date) {
        return wrong(
            "future",
            format!("`{name}` is no time, so it is neither past nor future"),
            "remove `future`, or make the field a `time` or a `date`",
        );
    }
    if field.system {
        return wrong(
            "future",
            "`future` has no effect beside `system`: no body has the field",
            "remove `future`",
        );
    }
    if matches!(field.default, Some(Literal::Now | Literal::Today)) && of.creatable() {
        return wrong(
            "future",
            format!("`now()` is not in the future, so a body without `{name}` would be refused"),
            "remove `= now()`, or `future`",
        );
    }
    let is_changed = of.updatable() && !field.fixed;
    if field.read.is_some() && future == Future::Always && is_changed {
        return wrong(
            "future",
            "`future` would tell what `read` hides: of all past times, only the present value is not refused",
            "write `future on create`, or remove one of the two",
        );
    }
    match future {
        Future::Always if !of.creatable() && !is_changed => wrong(
            "future",
            format!("`future` has no effect: no body gives `{name}` a value"),
            "remove `future`; a module checks itself what it writes",
        ),
        Future::OnCreate if !of.creatable() => wrong(
            "future",
            "`future on create` has no effect: no body creates a row of this entity",
            "remove it, or write `future`",
        ),
        Future::OnCreate if !is_changed => wrong(
            "future",
            format!("`on create` has no effect: no body changes `{name}` later"),
            "write `future`",
        ),
        _ => None,
    }
}
