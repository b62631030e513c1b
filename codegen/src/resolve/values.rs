//! Comparisons: resolves both sides and checks that their types match.

use super::columns::{self, Class};
use super::possible;
use super::rules::{Kind, Resolver};
use crate::diag::{Diagnostic, Span};
use crate::model::{EntityId, Expr, Literal, Op, Value};
use crate::names;
use crate::phrase::{At, Operand, OperandForm, foreign};

/// A side of a comparison. `class` is `None` for `null`.
struct Side {
    value: Value,
    class: Option<Class>,
    nullable: bool,
    span: Span,
}

impl Side {
    fn shown(&self) -> possible::Side<'_> {
        possible::Side {
            value: &self.value,
            span: self.span,
            nullable: self.nullable,
        }
    }
}

impl Resolver<'_> {
    fn possible(&self, entity: EntityId) -> possible::Of<'_> {
        possible::Of {
            model: self.model,
            entity,
        }
    }

    pub(super) fn compare(
        &self,
        entity: EntityId,
        left: &Operand,
        op: Op,
        right: &Operand,
        kind: Kind,
    ) -> Option<Expr> {
        let (left, right) = match left.form {
            // What `now()` and a word mean depends on what they are compared with.
            OperandForm::Literal(_) => {
                let right = self.side(entity, right, None, kind)?;
                (self.side(entity, left, right.class.as_ref(), kind)?, right)
            }
            _ => {
                let left = self.side(entity, left, None, kind)?;
                let right = self.side(entity, right, left.class.as_ref(), kind)?;
                (left, right)
            }
        };
        let whole = left.span.to(right.span);
        if let Some(null) = compare_null(&left, op, &right, whole) {
            return self.errors.keep(null);
        }
        self.errors
            .keep(self.check_comparable(&left, op, &right, whole))?;
        let of = self.possible(entity);
        self.errors
            .keep(of.compared(left.shown(), op, right.shown()))?;
        Some(Expr::Compare {
            left: left.value,
            op,
            right: right.value,
        })
    }

    /// Refuses a comparison of values of different kinds, of two literals, and by `<` of values that have no order.
    fn check_comparable(
        &self,
        left: &Side,
        op: Op,
        right: &Side,
        whole: Span,
    ) -> Result<(), Diagnostic> {
        let (Some(a), Some(b)) = (&left.class, &right.class) else {
            return Ok(());
        };
        let is_literal = |side: &Side| matches!(side.value, Value::Literal(_));
        if is_literal(left) && is_literal(right) {
            let message = "this comparison is always the same";
            return Err(Diagnostic::at(whole, message).help("compare a field of the row"));
        }
        if !comparable(a, b, &left.value, &right.value) {
            return Err(self.incomparable(a, b, whole));
        }
        if matches!(op, Op::Lt | Op::Le | Op::Gt | Op::Ge) && !a.is_ordered() {
            let message = format!("{} is neither more nor less than another", a.name());
            return Err(Diagnostic::at(whole, message).help("compare with `==`, `!=` or `in (…)`"));
        }
        Ok(())
    }

    fn incomparable(&self, a: &Class, b: &Class, whole: Span) -> Diagnostic {
        let names = |ids: &[EntityId]| {
            let names: Vec<&str> = (ids.iter())
                .map(|id| self.model.entities[*id].name.as_str())
                .collect();
            names::quoted(&names)
        };
        let (message, help) = match (a, b) {
            (Class::Id(a), Class::Id(b)) => (
                format!("a row of {} is never one of {}", names(a), names(b)),
                "compare relations that lead to the same entity",
            ),
            (Class::Time | Class::Date, _) | (_, Class::Time | Class::Date) => (
                format!("{} is compared with {}", a.name(), b.name()),
                "compare times with other times, dates with dates, or with `now()`",
            ),
            _ => (
                format!("{} is compared with {}", a.name(), b.name()),
                "both sides must be of one kind",
            ),
        };
        Diagnostic::at(whole, message).help(help)
    }

    pub(super) fn is_in(
        &self,
        entity: EntityId,
        value: &Operand,
        list: &[At<Literal>],
        kind: Kind,
    ) -> Option<Expr> {
        let side = self.side(entity, value, None, kind)?;
        let class = side.class.clone()?;
        let mut literals: Vec<Literal> = Vec::new();
        for literal in list {
            let found = self.literal(&literal.it, literal.span, Some(&class), kind)?;
            if found
                .class
                .as_ref()
                .is_none_or(|c| !comparable(&class, c, &side.value, &found.value))
            {
                self.errors.push(
                    Diagnostic::at(literal.span, format!("{} can't be one of these", class.name()))
                        .help("all values in the list are of the field's kind; for null write `or x == null`"),
                );
                return None;
            }
            let possible = self.possible(entity);
            let shown = Side::shown(&side);
            self.errors
                .keep(possible.is_possible(shown, &literal.it, literal.span))?;
            let Value::Literal(value) = found.value else {
                return None;
            };
            if literals.contains(&value) {
                self.errors.push(
                    Diagnostic::at(literal.span, "this value is in the list twice")
                        .help("keep one of the two"),
                );
                return None;
            }
            literals.push(value);
        }
        Some(Expr::In {
            value: side.value,
            list: literals,
        })
    }

    fn side(
        &self,
        entity: EntityId,
        operand: &Operand,
        other: Option<&Class>,
        kind: Kind,
    ) -> Option<Side> {
        let span = operand.span;
        match &operand.form {
            OperandForm::Literal(literal) => self.literal(literal, span, other, kind),
            OperandForm::Name(name) => self.named(entity, name, span, other, kind),
            OperandForm::Path { relation, field } => {
                let found = self.related(entity, [relation, field], span, kind);
                self.errors.keep(found)
            }
            OperandForm::Add(a, b) => self.arithmetic(entity, [a, b], span, kind, Value::Add),
            OperandForm::Sub(a, b) => self.arithmetic(entity, [a, b], span, kind, Value::Sub),
        }
    }

    /// A name in a comparison: a column, or one of the values that the other side may have.
    fn named(
        &self,
        entity: EntityId,
        name: &str,
        span: Span,
        other: Option<&Class>,
        kind: Kind,
    ) -> Option<Side> {
        let column = columns::find(self.model, entity, name);
        if let Some(Class::Choice(values)) = other {
            if values.iter().any(|value| value == name) {
                return self.literal(&Literal::Text(name.to_owned()), span, other, kind);
            }
            if column.is_none() {
                let known = values.iter().map(String::as_str);
                self.errors.push(
                    Diagnostic::at(span, format!("`{name}` is none of the values"))
                        .help(names::suggest(name, known, "values")),
                );
                return None;
            }
        }
        let Some(column) = column else {
            self.unknown_column(entity, name, span, other);
            return None;
        };
        Some(Side {
            value: Value::Column(column.name),
            class: Some(column.class),
            nullable: column.nullable,
            span,
        })
    }

    /// `event.state`
    fn related(
        &self,
        entity: EntityId,
        [relation, field]: [&str; 2],
        span: Span,
        kind: Kind,
    ) -> Result<Side, Diagnostic> {
        if kind != Kind::When {
            return Err(Diagnostic::at(span, "a rule does not look into another row").help(format!(
                "name what you need there as a condition, and write `<condition> of {relation}`; only `when` compares values of other rows"
            )));
        }
        let this = &self.model.entities[entity];
        let Some(found) = this.relation(relation) else {
            let known = this.belongs.iter().map(|r| r.name.as_str());
            let message = format!("`{}` has no relation `{relation}`", this.name);
            return Err(Diagnostic::at(span, message).help(names::suggest(
                relation,
                known,
                "relations",
            )));
        };
        let &[target] = found.targets.as_slice() else {
            return Err(Diagnostic::at(
                span,
                format!("`{relation}` leads to one of several, whose fields differ"),
            )
            .help(format!(
                "say in `by` what must hold there: `<condition> of {relation}`"
            )));
        };
        let there = &self.model.entities[target];
        let Some(column) = columns::find(self.model, target, field) else {
            let message = format!("`{}` has no field `{field}`", there.name);
            let help = names::suggest(field, columns::known(there), "fields");
            return Err(Diagnostic::at(span, message).help(help));
        };
        Ok(Side {
            value: Value::Related {
                relation: relation.to_owned(),
                column: column.name,
            },
            class: Some(column.class),
            nullable: column.nullable || found.optional,
            span,
        })
    }

    fn arithmetic(
        &self,
        entity: EntityId,
        [a, b]: [&Operand; 2],
        span: Span,
        kind: Kind,
        join: fn(Box<Value>, Box<Value>) -> Value,
    ) -> Option<Side> {
        let a = self.side(entity, a, None, kind)?;
        let b = self.side(entity, b, None, kind)?;
        for side in [&a, &b] {
            if side.class != Some(Class::Number) {
                self.errors.push(
                    Diagnostic::at(side.span, "only numbers are added and subtracted")
                        .help("compare times as they are: `ends_at > starts_at`"),
                );
                return None;
            }
        }
        Some(Side {
            nullable: a.nullable || b.nullable,
            value: join(Box::new(a.value), Box::new(b.value)),
            class: Some(Class::Number),
            span,
        })
    }

    fn unknown_column(&self, entity: EntityId, name: &str, span: Span, other: Option<&Class>) {
        let entity = &self.model.entities[entity];
        let known = columns::known(entity);
        let help = if entity.derived.iter().any(|d| d.name == name) {
            "a derived condition is no column: write it out".to_owned()
        } else if other == Some(&Class::Text) {
            format!("a text stands in quotes: \"{name}\"")
        } else if let Some(mend) = foreign::value(name) {
            mend.to_owned()
        } else {
            names::suggest(name, known, "fields")
        };
        self.errors.push(
            Diagnostic::at(span, format!("`{}` has no field `{name}`", entity.name)).help(help),
        );
    }

    fn literal(
        &self,
        literal: &Literal,
        span: Span,
        other: Option<&Class>,
        kind: Kind,
    ) -> Option<Side> {
        let class = match literal {
            Literal::Null => None,
            Literal::Bool(_) => Some(Class::Bool),
            Literal::Int(_) | Literal::Decimal(_) => Some(Class::Number),
            Literal::Text(text) => match other {
                Some(Class::Choice(values)) => {
                    if !values.contains(text) {
                        self.errors.push(
                            Diagnostic::at(span, format!("`{text}` is none of the values")).help(
                                names::suggest(text, values.iter().map(String::as_str), "values"),
                            ),
                        );
                        return None;
                    }
                    other.cloned()
                }
                _ => Some(Class::Text),
            },
            Literal::Now => {
                if kind == Kind::Stored {
                    self.errors.push(
                        Diagnostic::at(
                            span,
                            "`now()` in what is stored: it would be true today and false tomorrow",
                        )
                        .help("use `now()` in rules, in `when` and in derived conditions"),
                    );
                    return None;
                }
                let is_day = other == Some(&Class::Date);
                Some(if is_day { Class::Date } else { Class::Time })
            }
            Literal::Today => Some(Class::Date),
        };
        let literal = match class {
            Some(Class::Date) => Literal::Today,
            _ => literal.clone(),
        };
        Some(Side {
            value: Value::Literal(literal),
            class,
            nullable: false,
            span,
        })
    }
}

/// `x == null`, `x != null`: the only ways to compare with null.
fn compare_null(
    left: &Side,
    op: Op,
    right: &Side,
    whole: Span,
) -> Option<Result<Expr, Diagnostic>> {
    let side = match (&left.class, &right.class) {
        (None, None) => {
            return Some(Err(Diagnostic::at(whole, "null is compared with null")
                .help("compare a field of the row")));
        }
        (None, Some(_)) => right,
        (Some(_), None) => left,
        (Some(_), Some(_)) => return None,
    };
    if !matches!(op, Op::Eq | Op::Ne) {
        return Some(Err(Diagnostic::at(
            whole,
            "nothing is more or less than null",
        )
        .help("write `x == null` or `x != null`")));
    }
    if !side.nullable || !matches!(side.value, Value::Column(_) | Value::Related { .. }) {
        return Some(Err(Diagnostic::at(side.span, "this is never null")
            .help("remove the comparison, or make the field optional")));
    }
    let is_null = Expr::IsNull(side.value.clone());
    Some(Ok(if op == Op::Eq {
        is_null
    } else {
        Expr::Not(Box::new(is_null))
    }))
}

fn comparable(a: &Class, b: &Class, left: &Value, right: &Value) -> bool {
    match (a, b) {
        (Class::Opaque(_), _) | (_, Class::Opaque(_)) => false,
        (Class::Id(a), Class::Id(b)) => {
            a.is_empty() || b.is_empty() || a.iter().any(|id| b.contains(id))
        }
        // Two enums are texts that may share values; a column against a literal was looked up already.
        (Class::Choice(x), Class::Choice(y)) => x.iter().any(|v| y.contains(v)),
        (Class::Text, Class::Choice(_)) | (Class::Choice(_), Class::Text) => {
            matches!((left, right), (Value::Column(_), Value::Column(_)))
        }
        (a, b) => a == b,
    }
}
