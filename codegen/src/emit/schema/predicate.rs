//! Boolean SQL as a tree: folds constants, and prints on one line or on several, broken at the operators.
//!
//! Knows nothing of the model.

/// A condition. Built with [`all`], [`any`] and [`not`], which keep it flat and folded.
#[derive(Clone, Debug, PartialEq)]
pub enum Sql {
    True,
    False,
    Atom(String),
    All(Vec<Sql>),
    Any(Vec<Sql>),
    Not(Box<Sql>),
    /// `exists (select 1 from <from> where <condition>)`
    Exists(String, Box<Sql>),
}

pub fn atom(text: impl Into<String>) -> Sql {
    Sql::Atom(text.into())
}

pub fn all(parts: impl IntoIterator<Item = Sql>) -> Sql {
    let mut flat = Vec::new();
    for part in parts {
        match part {
            Sql::True => {}
            Sql::False => return Sql::False,
            Sql::All(inner) => inner.into_iter().for_each(|p| push(&mut flat, p)),
            other => push(&mut flat, other),
        }
    }
    match flat.len() {
        0 => Sql::True,
        1 => flat.remove(0),
        _ => Sql::All(flat),
    }
}

pub fn any(parts: impl IntoIterator<Item = Sql>) -> Sql {
    let mut flat = Vec::new();
    for part in parts {
        match part {
            Sql::False => {}
            Sql::True => return Sql::True,
            Sql::Any(inner) => inner.into_iter().for_each(|p| push(&mut flat, p)),
            other => push(&mut flat, other),
        }
    }
    absorb(&mut flat);
    match flat.len() {
        0 => Sql::False,
        1 => flat.remove(0),
        _ => Sql::Any(flat),
    }
}

/// Two-valued negation: a condition that is unknown because of a null counts as false, so its negation is true.
pub fn not(part: Sql) -> Sql {
    match part {
        Sql::True => Sql::False,
        Sql::False => Sql::True,
        other => Sql::Not(Box::new(other)),
    }
}

pub fn exists(from: impl Into<String>, condition: Sql) -> Sql {
    match condition {
        Sql::False => Sql::False,
        other => Sql::Exists(from.into(), Box::new(other)),
    }
}

/// Like [`exists`], for one row that is looked up by its key each time. With `exists`, the planner would rather read
/// the whole table once, even if a page is full after a few rows.
pub fn looked_up(from: &str, condition: &Sql) -> Sql {
    atom(format!("({LOOKED_UP} {from} where {})", condition.line()))
}

/// Removes redundant operands of `or`: `a or (a and b)` becomes `a`.
fn absorb(parts: &mut Vec<Sql>) {
    let implied = |part: &Sql| match part {
        Sql::All(inner) => inner.iter().any(|p| match p {
            Sql::Any(words) => words.iter().all(|w| parts.contains(w)),
            word => parts.contains(word),
        }),
        _ => false,
    };
    let keep: Vec<bool> = parts.iter().map(|p| !implied(p)).collect();
    let mut keep = keep.into_iter();
    parts.retain(|_| keep.next() == Some(true));
}

pub(super) const LOOKED_UP: &str = "select true from";

fn push(parts: &mut Vec<Sql>, part: Sql) {
    if !parts.contains(&part) {
        parts.push(part);
    }
}

impl Sql {
    /// The condition on one line.
    pub fn line(&self) -> String {
        match self {
            Sql::True => "true".into(),
            Sql::False => "false".into(),
            Sql::Atom(text) => text.clone(),
            Sql::All(parts) => join(parts, " and ", |p| matches!(p, Sql::Any(_))),
            Sql::Any(parts) => join(parts, " or ", |p| matches!(p, Sql::All(_))),
            Sql::Not(part) => format!("({}) is not true", part.line()),
            Sql::Exists(from, condition) => {
                format!("exists (select 1 from {from} where {})", condition.line())
            }
        }
    }

    /// Like [`Sql::line`], in parentheses if needed beside `and`, `or` and `not`.
    pub fn closed(&self) -> String {
        match self {
            Sql::All(_) | Sql::Any(_) => format!("({})", self.line()),
            _ => self.line(),
        }
    }

    /// Broken at its operators if one line would be too long; continuation lines begin with `indent` blanks.
    pub fn block(&self, indent: usize) -> String {
        let line = self.line();
        if indent + line.len() <= 110 {
            return line;
        }
        let pad = " ".repeat(indent);
        let operands = |parts: &[Sql], operator: &str| {
            let texts: Vec<String> = parts.iter().map(|p| p.operand(indent)).collect();
            texts.join(&format!("\n{pad}{operator} "))
        };
        match self {
            Sql::All(parts) => operands(parts, "and"),
            Sql::Any(parts) => operands(parts, "or"),
            Sql::Not(part) => format!("({}) is not true", part.block(indent + 2)),
            Sql::Exists(from, condition) => format!(
                "exists (\n{pad}  select 1 from {from}\n{pad}  where {}\n{pad})",
                condition.block(indent + 4)
            ),
            Sql::True | Sql::False | Sql::Atom(_) => line,
        }
    }

    /// The condition as an operand of `and` on a line of its own.
    pub fn operand_at(&self, indent: usize) -> String {
        self.operand(indent)
    }

    fn operand(&self, indent: usize) -> String {
        match self {
            Sql::All(_) | Sql::Any(_) if indent + self.line().len() <= 104 => self.closed(),
            Sql::All(_) | Sql::Any(_) => {
                let pad = " ".repeat(indent);
                format!("(\n{pad}  {}\n{pad})", self.block(indent + 2))
            }
            _ => self.block(indent),
        }
    }
}

fn join(parts: &[Sql], operator: &str, parenthesise: impl Fn(&Sql) -> bool) -> String {
    let texts: Vec<String> = parts
        .iter()
        .map(|p| {
            if parenthesise(p) {
                format!("({})", p.line())
            } else {
                p.line()
            }
        })
        .collect();
    texts.join(operator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_and_flattens() {
        let a = || atom("a");
        assert_eq!(all([Sql::True, a(), a()]), a());
        assert_eq!(all([a(), Sql::False]), Sql::False);
        assert_eq!(any([Sql::False, any([a(), atom("b")])]).line(), "a or b");
        assert_eq!(
            all([a(), any([atom("b"), atom("c")])]).line(),
            "a and (b or c)"
        );
        assert_eq!(
            any([all([any([a(), atom("b")]), atom("c")]), a(), atom("b")]).line(),
            "a or b"
        );
        assert_eq!(not(any([a(), atom("b")])).line(), "(a or b) is not true");
        assert_eq!(exists("t", Sql::False), Sql::False);
    }

    #[test]
    fn breaks_long_conditions_at_operators() {
        let long = |c: char| atom(c.to_string().repeat(60));
        let text = any([all([long('a'), long('b')]), long('c')]).block(2);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "(");
        assert!(lines[1].starts_with("    aaa") && lines[2].starts_with("    and bbb"));
        assert_eq!(lines[3], "  )");
        assert!(lines[4].starts_with("  or ccc"));
    }
}
