//! Refuses conditions that become too large: each place where one names another becomes a copy of it.

use super::Of;
use crate::model::Expr;
use crate::resolve::Part;

/// Comparisons and questions in a condition after all conditions in it have been put in their places.
const PARTS_MAX: u64 = 500;

pub fn check(of: &Of) {
    let mut sizes = vec![None; of.entity.conditions.len()];
    for index in 0..sizes.len() {
        size_of(of, index, &mut sizes);
    }
}

/// The size of a condition, reported where it is too large; from there on it counts as small, so that the conditions
/// that name it are not reported as well. One that names itself is refused elsewhere.
fn size_of(of: &Of, index: usize, sizes: &mut Vec<Option<u64>>) -> u64 {
    if let Some(size) = sizes[index] {
        return size;
    }
    sizes[index] = Some(1);
    let condition = &of.entity.conditions[index];
    let mut size = size(of, &condition.expr, sizes);
    if size > PARTS_MAX {
        of.refuse(
            Part::Condition,
            &condition.name,
            format!(
                "`{}` has more than {PARTS_MAX} parts: each place where it names a condition becomes a copy of that one",
                condition.name
            ),
            "name each condition once: write `c and (a or b)` for `(c and a) or (c and b)`",
        );
        size = 1;
    }
    sizes[index] = Some(size);
    size
}

fn size(of: &Of, expr: &Expr, sizes: &mut Vec<Option<u64>>) -> u64 {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => (parts.iter())
            .map(|part| size(of, part, sizes))
            .fold(0, u64::saturating_add),
        Expr::Not(part) => size(of, part, sizes),
        Expr::Condition(index) => size_of(of, *index, sizes),
        _ => 1,
    }
}
