//! `create with`: the children created in one request must be such as callers can also create one by one.

use super::{Of, Wrong, wrong};
use crate::emit::actions::Action;
use crate::emit::columns;
use crate::model::Has;
use crate::resolve::Part;

pub fn check(of: &Of) {
    for has in &of.entity.has {
        if has.create_with.is_none() {
            continue;
        }
        if let Some(wrong) = no_effect(of, has).or_else(|| name_taken(of, has)) {
            of.refuse_modifier(Part::Has, &has.name, wrong);
        }
    }
}

fn no_effect(of: &Of, has: &Has) -> Option<Wrong> {
    let child = &of.cx.model.entities[has.child];
    let help = "leave `create with` out";
    for entity in [of.entity, child] {
        if Action::Create.open(entity).is_none() {
            return wrong(
                "create with",
                format!(
                    "`create with` has no effect: nobody may create `{}`",
                    entity.name
                ),
                help,
            );
        }
    }
    let via = child.relation(&has.via)?;
    if via.of_caller() || via.system {
        return wrong(
            "create with",
            format!(
                "`create with` has no effect: the server sets `{}` of `{}`",
                via.name, child.name
            ),
            help,
        );
    }
    None
}

/// The name of the list must not be that of another property of the body or the answer.
fn name_taken(of: &Of, has: &Has) -> Option<Wrong> {
    let columns = columns::row(of.entity);
    let expands = of.entity.belongs.iter().map(|r| r.name.clone());
    let mut names = columns.iter().map(columns::Column::name).chain(expands);
    names.any(|name| name == has.name).then(|| Wrong {
        word: "create with",
        message: format!("a body has `{}` for something else", has.name),
        help: format!("choose another name for `{}` in `has`", has.name),
    })
}
