//! Rules and row expressions: `(state != draft) or me holds orgAdmin of host`.

use super::foreign;
use super::lexer::Token;
use super::reader::{Parsed, Reader};
use super::{At, Form, Operand, OperandForm, Rule, Word};
use crate::diag::{Diagnostic, Span};
use crate::model::{Literal, Op};
use crate::spec::yaml::Text;

/// The words that rules are made of. The grammar page must list all of them.
pub const ATOMS: [&str; 19] = [
    "anyone",
    "signed_in",
    "nobody",
    "me is",
    "me holds",
    "me in",
    "me outranks",
    "this",
    "as",
    "where",
    "of",
    "in",
    "and",
    "or",
    "not",
    "null",
    "now()",
    "true",
    "false",
];

pub fn rule(text: &Text) -> Parsed<Rule> {
    let mut reader = Reader::new(text);
    let rule = any(&mut reader)?;
    reader.expect_end(JOIN)?;
    Ok(rule)
}

pub const JOIN: &str = "join conditions with `and` or `or`";
const COMPARE: &str =
    "compare like `state == draft`, `capacity > 0`, `kind in (a, b)`, `ends_at == null`";

/// Parses a rule. `or` has the lowest precedence.
pub fn any(r: &mut Reader) -> Parsed<Rule> {
    joined(r, "or", all, Form::Any)
}

fn all(r: &mut Reader) -> Parsed<Rule> {
    joined(r, "and", not, Form::All)
}

fn joined(
    r: &mut Reader,
    word: &str,
    part: fn(&mut Reader) -> Parsed<Rule>,
    form: fn(Vec<Rule>) -> Form,
) -> Parsed<Rule> {
    let first = part(r)?;
    foreign::after(r, &first)?;
    if !r.is_word(word) {
        return Ok(first);
    }
    let mut parts = vec![first];
    while r.take_word(word).is_some() {
        let next = part(r)?;
        foreign::after(r, &next)?;
        parts.push(next);
    }
    let span = parts[0].span.to(r.last_span());
    Ok(Rule {
        form: form(parts),
        span,
    })
}

fn not(r: &mut Reader) -> Parsed<Rule> {
    let Some(start) = r.take_word("not") else {
        return atom(r);
    };
    let inner = r.nested(not)?;
    Ok(Rule {
        span: start.to(inner.span),
        form: Form::Not(Box::new(inner)),
    })
}

fn atom(r: &mut Reader) -> Parsed<Rule> {
    if let Some(start) = r.take_sign("(") {
        let inner = r.nested(any)?;
        let end = r.expect_sign(")", "close the parenthesis")?;
        return Ok(Rule {
            form: inner.form,
            span: start.to(end),
        });
    }
    let start = r.span();
    let simple = match r.peek() {
        Some(Token::Word(word)) => match word.as_str() {
            "anyone" => Some(Form::Anyone),
            "signed_in" => Some(Form::SignedIn),
            "nobody" => Some(Form::Nobody),
            "me" => {
                r.skip();
                let form = me(r)?;
                return Ok(Rule {
                    form,
                    span: start.to(r.last_span()),
                });
            }
            _ => None,
        },
        _ => None,
    };
    if let Some(form) = simple {
        r.skip();
        return Ok(Rule { form, span: start });
    }
    let form = comparison_or_name(r)?;
    Ok(Rule {
        form,
        span: start.to(r.last_span()),
    })
}

/// Parses what follows `me`.
fn me(r: &mut Reader) -> Parsed<Form> {
    if r.take_word("is").is_some() {
        return Ok(Form::MeIs(r.expect_name(
            "a relation",
            "write `me is <relation>` or `me is this`",
        )?));
    }
    if r.take_word("holds").is_some() {
        let role = r.expect_name("a role", "write `me holds <role> of <relation>`")?;
        let help = "write `me holds <role> of <relation>` or `… of this`";
        if r.is_word("in") || r.is_word("on") || r.is_word("for") {
            return Err(r.unexpected("`of`", help));
        }
        let of = match r.take_word("of") {
            Some(_) => Some(r.expect_name("a relation", help)?),
            None => None,
        };
        return Ok(Form::MeHolds { role, of });
    }
    if r.take_word("in").is_some() {
        let has = r.expect_name(
            "a name from `has`",
            "write `me in members where (state == active)`",
        )?;
        let me = match r.take_word("as") {
            Some(_) => {
                Some(r.expect_name("a relation of the child", "write `me in members as user`")?)
            }
            None => None,
        };
        return Ok(Form::MeIn {
            has,
            me,
            filter: filter(r)?.map(Box::new),
        });
    }
    if r.take_word("outranks").is_some() {
        let help = "write `me outranks <relation>` or `me outranks this`";
        let who = r.expect_name("a relation", help)?;
        let of = match r.take_word("of") {
            Some(_) => Some(r.expect_name("a relation", "write `me outranks user of <relation>`")?),
            None => None,
        };
        return Ok(Form::MeOutranks { who, of });
    }
    if let (Some(Token::Sign(sign @ ("==" | "!="))), Some(Token::Word(other))) =
        (r.peek(), r.peek_second())
    {
        return Err(me_is_not_compared(r.last_span().to(r.span()), sign, other));
    }
    Err(r.unexpected(
        "`is`, `holds`, `in` or `outranks`",
        "write `me is <relation>`, `me holds <role>`, `me in <has>` or `me outranks <relation>`",
    ))
}

/// `where (…)`
fn filter(r: &mut Reader) -> Parsed<Option<Rule>> {
    if r.take_word("where").is_none() {
        return Ok(None);
    }
    r.expect_sign(
        "(",
        "put the condition in parentheses: `where (state == active)`",
    )?;
    let inner = r.nested(any)?;
    r.expect_sign(")", "close the parenthesis")?;
    Ok(Some(inner))
}

fn comparison_or_name(r: &mut Reader) -> Parsed<Form> {
    let left = operand(r)?;
    refuse_foreign(r, &left)?;
    if let Some(op) = take_op(r)? {
        if let (OperandForm::Name(name), true) = (&left.form, r.is_word("me")) {
            let sign = if op == Op::Ne { "!=" } else { "==" };
            return Err(me_is_not_compared(left.span.to(r.span()), sign, name));
        }
        let right = operand(r)?;
        return Ok(Form::Compare { left, op, right });
    }
    if r.take_word("in").is_some() {
        return Ok(Form::In {
            value: left,
            list: list(r)?,
        });
    }
    if let (OperandForm::Path { relation, field }, true) = (&left.form, r.is_sign(".")) {
        return Err(
            Diagnostic::at(left.span.to(r.span()), "a path of more than one step").help(format!(
                "only fields of a related row can be compared, as in `{relation}.{field}`; for what is behind it, write a \
                 condition under `access:` of the related entity and ask for it: `<condition> of {relation}`"
            )),
        );
    }
    if let OperandForm::Path { relation, field } = &left.form {
        return Err(Diagnostic::at(left.span, "a value of another row by itself").help(format!(
            "in `when`, compare it: `{relation}.{field} == …`; in a rule write `<condition> of {relation}`"
        )));
    }
    let OperandForm::Name(name) = left.form else {
        return Err(r.unexpected("a comparison", COMPARE));
    };
    let what = Word {
        it: name,
        span: left.span,
    };
    if r.take_word("of").is_some() {
        let relation = r.expect_name("a relation", "write `<condition> of <relation>`")?;
        return Ok(Form::Of { what, relation });
    }
    Ok(Form::Name(what.it))
}

/// The error for `owner == me` and `me == owner`, because `me` isn't a value. Called at the sign, or at the `me` after
/// it.
fn me_is_not_compared(at: Span, sign: &str, other: &str) -> Diagnostic {
    let not = if sign == "!=" { "not " } else { "" };
    Diagnostic::at(at, "`me` is not compared").help(format!("write `{not}me is {other}`"))
}

/// Refuses the syntax of other languages, and suggests how to write it here.
fn refuse_foreign(r: &Reader, left: &Operand) -> Parsed<()> {
    let name = match &left.form {
        OperandForm::Name(name) => name.as_str(),
        OperandForm::Literal(Literal::Bool(value)) if !is_op(r) => {
            let help = if *value {
                "write `anyone` for everybody, `signed_in` for members"
            } else {
                "write `nobody`"
            };
            let message = format!("`{value}` says nothing about who or which row");
            return Err(Diagnostic::at(left.span, message).help(help));
        }
        _ => return Ok(()),
    };
    let at = |message: &str, help: String| {
        let next = left.span.to(r.span());
        Err(Diagnostic::at(next, message).help(help))
    };
    let next = match r.peek() {
        Some(Token::Word(word)) => word.as_str(),
        Some(Token::Sign(sign)) => sign,
        _ => return Ok(()),
    };
    let after = match r.peek_second() {
        Some(Token::Word(word)) => word.as_str(),
        _ => "",
    };
    match (next, after) {
        ("not", "in") => at(
            "`not` stands before the whole condition",
            format!("write `not {name} in (…)`"),
        ),
        ("is", "me") => at("`me` stands before `is`", format!("write `me is {name}`")),
        ("is", "not") => at(
            "`is` only follows `me`",
            format!("write `{name} != null`, `{name} != …`, or `not {name}`"),
        ),
        ("is", "distinct") => at("`is` only follows `me`", format!("write `{name} != …`")),
        ("between", _) => at(
            "a rule has no `between`",
            format!("write `{name} >= … and {name} <= …`"),
        ),
        ("like" | "ilike" | "similar" | "matches" | "contains" | "starts_with", _) => at(
            "a rule does not look into texts",
            format!("compare the whole value: `{name} == \"…\"`, or `{name} in (\"…\", \"…\")`"),
        ),
        ("*", _) => at(
            "a rule adds and subtracts, and does nothing else with numbers",
            format!("write `{name} + …`, or keep the product in a field of its own"),
        ),
        (".", field) if name == "this" && !field.is_empty() => at(
            "fields of the row itself have no prefix",
            format!("write `{field}`"),
        ),
        ("is", "null") => at("`is` only follows `me`", format!("write `{name} == null`")),
        ("is", "true") => at("`is` only follows `me`", format!("write `{name}`")),
        ("is", "false") => at("`is` only follows `me`", format!("write `not {name}`")),
        ("is", other) => at(
            "`is` only follows `me`",
            format!("write `{name} == {other}`, or `me is {name}`"),
        ),
        _ => Ok(()),
    }
}

fn is_op(r: &Reader) -> bool {
    let signs = ["==", "!=", "<", "<=", ">", ">=", "=", "+", "-"];
    matches!(r.peek(), Some(Token::Sign(sign)) if signs.contains(sign)) || r.is_word("in")
}

fn take_op(r: &mut Reader) -> Parsed<Option<Op>> {
    let Some(Token::Sign(sign)) = r.peek() else {
        return Ok(None);
    };
    let op = match *sign {
        "==" => Op::Eq,
        "!=" => Op::Ne,
        "<" => Op::Lt,
        "<=" => Op::Le,
        ">" => Op::Gt,
        ">=" => Op::Ge,
        "=" => return Err(Diagnostic::at(r.span(), "`=` does not compare").help("write `==`")),
        _ => return Ok(None),
    };
    if *sign == "<" && matches!(r.peek_second(), Some(Token::Sign(">"))) {
        return Err(Diagnostic::at(r.span(), "`<>` does not compare").help("write `!=`"));
    }
    r.skip();
    if r.is_sign("=") {
        let help = if op == Op::Eq {
            "write `==`"
        } else {
            "write `!=`"
        };
        return Err(Diagnostic::at(r.span(), "one `=` too many").help(help));
    }
    Ok(Some(op))
}

fn list(r: &mut Reader) -> Parsed<Vec<At<Literal>>> {
    let help = "write `in (a, b)`";
    r.expect_sign("(", help)?;
    let mut list = vec![r.take_literal()?];
    while r.take_sign(",").is_some() {
        list.push(r.take_literal()?);
    }
    r.expect_sign(")", help)?;
    Ok(list)
}

/// `a`, `5`, `a + b - c`
fn operand(r: &mut Reader) -> Parsed<Operand> {
    let mut left = term(r)?;
    for _ in 0..16 {
        let make = if r.take_sign("+").is_some() {
            OperandForm::Add
        } else if r.take_sign("-").is_some() {
            OperandForm::Sub
        } else {
            return Ok(left);
        };
        if matches!(r.peek(), Some(Token::Quoted(_) | Token::Unknown('\'')))
            || r.is_word("interval")
        {
            let told = Diagnostic::at(r.span(), "only numbers are added and subtracted");
            return Err(told.help("compare times as they are: `ends_at > starts_at`"));
        }
        let right = term(r)?;
        let span = left.span.to(right.span);
        left = Operand {
            form: make(Box::new(left), Box::new(right)),
            span,
        };
    }
    Err(Diagnostic::at(left.span, "this sum is too long")
        .help("make a derived field of a part of it"))
}

fn term(r: &mut Reader) -> Parsed<Operand> {
    if let Some(Token::Word(word)) = r.peek()
        && !matches!(word.as_str(), "true" | "false" | "null" | "now")
    {
        let word = word.clone();
        if matches!(
            word.as_str(),
            "and" | "or" | "in" | "of" | "is" | "holds" | "where" | "as" | "not" | "me"
        ) {
            return Err(r.unexpected(
                "a condition",
                "a rule is made of conditions joined by `and` and `or`",
            ));
        }
        let span = r.skip();
        if word != "this" && r.is_sign(".") {
            r.skip();
            let help = "write `<relation>.<field>`, as in `event.state == published`";
            let field = r.expect_name("a field of the related row", help)?;
            return Ok(Operand {
                span: span.to(field.span),
                form: OperandForm::Path {
                    relation: word,
                    field: field.it,
                },
            });
        }
        return Ok(Operand {
            form: OperandForm::Name(word),
            span,
        });
    }
    if r.at_end() || matches!(r.peek(), Some(Token::Sign(s)) if *s != "-") {
        return Err(r.unexpected("a condition", COMPARE));
    }
    let literal = r.take_literal()?;
    Ok(Operand {
        form: OperandForm::Literal(literal.it),
        span: literal.span,
    })
}
