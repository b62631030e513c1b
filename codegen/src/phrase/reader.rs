//! Reads the tokens of a phrase: looks ahead, takes tokens, and reports what was expected.

use super::foreign;
use super::lexer::{Token, tokens};
use super::{At, Word};
use crate::diag::{Diagnostic, Span};
use crate::model::Literal;
use crate::names;
use crate::spec::yaml::Text;

/// Reading a phrase ends at its first mistake; the other phrases are read all the same.
pub type Parsed<T> = Result<T, Diagnostic>;

/// The deepest nesting of a rule: more than a readable rule needs, and no risk for the stack.
const NESTING_MAX: usize = 32;

pub struct Reader {
    tokens: Vec<At<Token>>,
    next: usize,
    depth: usize,
    whole: Span,
    end: Span,
}

impl Reader {
    pub fn new(text: &Text) -> Reader {
        let place = |from: usize, to: usize| match text.phrase_start {
            Some(start) => Span {
                file: text.span.file,
                start: start + from,
                end: start + to,
            },
            None => text.span,
        };
        let tokens = tokens(&text.phrase)
            .into_iter()
            .map(|(it, range)| At {
                it,
                span: place(range.start, range.end),
            })
            .collect();
        let len = text.phrase.trim_end().len();
        Reader {
            tokens,
            next: 0,
            depth: 0,
            whole: text.span,
            end: place(len, len + 1),
        }
    }

    pub fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|t| &t.it)
    }
    pub fn peek_second(&self) -> Option<&Token> {
        self.tokens.get(self.next + 1).map(|t| &t.it)
    }
    pub fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(w)) if w == word)
    }
    pub fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(s)) if *s == sign)
    }
    pub fn at_end(&self) -> bool {
        self.next >= self.tokens.len()
    }

    /// Position of the next token or, at the end of the phrase, the position after the last token.
    pub fn span(&self) -> Span {
        self.tokens.get(self.next).map_or(self.end, |t| t.span)
    }
    pub fn last_span(&self) -> Span {
        self.next
            .checked_sub(1)
            .and_then(|n| self.tokens.get(n))
            .map_or(self.whole, |t| t.span)
    }
    pub fn whole(&self) -> Span {
        self.whole
    }

    pub fn skip(&mut self) -> Span {
        let span = self.span();
        self.next += 1;
        span
    }
    pub fn take_word(&mut self, word: &str) -> Option<Span> {
        self.is_word(word).then(|| self.skip())
    }
    pub fn take_sign(&mut self, sign: &str) -> Option<Span> {
        self.is_sign(sign).then(|| self.skip())
    }

    pub fn expect_sign(&mut self, sign: &str, help: &str) -> Parsed<Span> {
        match self.take_sign(sign) {
            Some(span) => Ok(span),
            None => Err(self.unexpected(&format!("`{sign}`"), help)),
        }
    }
    pub fn expect_word(&mut self, word: &str, help: &str) -> Parsed<Span> {
        match self.take_word(word) {
            Some(span) => Ok(span),
            None => Err(self.unexpected(&format!("`{word}`"), help)),
        }
    }
    /// Takes a word, whichever it is.
    pub fn expect_name(&mut self, what: &str, help: &str) -> Parsed<Word> {
        if let Some(Token::Word(word)) = self.peek() {
            let it = word.clone();
            return Ok(At {
                it,
                span: self.skip(),
            });
        }
        Err(self.unexpected(what, help))
    }
    /// Accepts the end of the phrase, or a comma before the next modifier.
    pub fn expect_end(&self, help: &str) -> Parsed<()> {
        match self.peek() {
            None => Ok(()),
            Some(Token::Unknown('"')) => Err(self.unexpected("the end", help)),
            Some(token) => Err(Diagnostic::at(
                self.span(),
                format!("{} does not belong here", found(token)),
            )
            .help(mend(token).unwrap_or(help))),
        }
    }

    /// Takes a whole number, possibly negative. `None` if the next token isn't one.
    pub fn take_integer(&mut self) -> Parsed<Option<At<i64>>> {
        let negative = self.is_sign("-") && matches!(self.peek_second(), Some(Token::Number(_)));
        if !negative && !matches!(self.peek(), Some(Token::Number(_))) {
            return Ok(None);
        }
        let start = self.span();
        let sign = if negative { "-" } else { "" };
        if negative {
            self.skip();
        }
        let digits = match self.peek() {
            Some(Token::Number(digits)) => digits.clone(),
            _ => String::new(),
        };
        let span = start.to(self.skip());
        match format!("{sign}{digits}").parse() {
            Ok(it) => Ok(Some(At { it, span })),
            Err(_) => Err(Diagnostic::at(
                span,
                format!("`{sign}{digits}` is not a whole number in range"),
            )
            .help(format!("write digits only, {} at most", i64::MAX))),
        }
    }

    /// `5`, `-2.50`, `true`, `null`, `now()`, `word`, `"quoted text"`
    pub fn take_literal(&mut self) -> Parsed<At<Literal>> {
        let negative = self.is_sign("-") && matches!(self.peek_second(), Some(Token::Number(_)));
        let decimal = match if negative {
            self.peek_second()
        } else {
            self.peek()
        } {
            Some(Token::Number(digits)) if digits.contains('.') => Some(digits.clone()),
            _ => None,
        };
        if let Some(digits) = decimal {
            let mut span = self.skip();
            if negative {
                span = span.to(self.skip());
            }
            if digits.len() > 30 || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
                return Err(Diagnostic::at(span, format!("`{digits}` is not a number"))
                    .help("write it like `12.50`"));
            }
            let sign = if negative { "-" } else { "" };
            return Ok(At {
                it: Literal::Decimal(format!("{sign}{digits}")),
                span,
            });
        }
        if let Some(number) = self.take_integer()? {
            return Ok(At {
                it: Literal::Int(number.it),
                span: number.span,
            });
        }
        let it = match self.peek() {
            Some(Token::Quoted(text)) => Literal::Text(text.clone()),
            Some(Token::Word(word)) => match word.as_str() {
                "true" => Literal::Bool(true),
                "false" => Literal::Bool(false),
                "null" => Literal::Null,
                "now" => {
                    let span = self.skip();
                    self.expect_sign("(", "write `now()`")?;
                    return Ok(At {
                        it: Literal::Now,
                        span: span.to(self.expect_sign(")", "write `now()`")?),
                    });
                }
                _ => Literal::Text(word.clone()),
            },
            _ => {
                return Err(self.unexpected(
                    "a value",
                    "values: a number, `true`, `null`, `now()`, a word, \"a text\"",
                ));
            }
        };
        Ok(At {
            it,
            span: self.skip(),
        })
    }

    /// `"What it means."`
    pub fn expect_sentence(&mut self) -> Parsed<At<String>> {
        let help = "write a sentence in quotes: `doc \"What it means.\"`";
        let Some(Token::Quoted(text)) = self.peek() else {
            return Err(self.unexpected("a sentence in quotes", help));
        };
        let text = text.trim().to_owned();
        let span = self.skip();
        if text.is_empty() {
            return Err(Diagnostic::at(span, "this sentence is empty").help(help));
        }
        Ok(At { it: text, span })
    }

    /// `, doc "What it means."`, for phrases without other modifiers. `modifiers` are those that an error names.
    pub fn take_doc(&mut self, modifiers: &[&'static str]) -> Parsed<Option<At<String>>> {
        let mut doc = None;
        while self.take_sign(",").is_some() {
            let Some(start) = self.take_word("doc") else {
                return Err(self.unknown("modifier", modifiers));
            };
            if doc.replace(self.expect_sentence()?).is_some() {
                return Err(
                    Diagnostic::at(start, "`doc` is here twice").help("keep one of the two")
                );
            }
        }
        Ok(doc)
    }

    /// Runs `inner` one level deeper.
    pub fn nested<T>(&mut self, inner: impl FnOnce(&mut Reader) -> Parsed<T>) -> Parsed<T> {
        if self.depth == NESTING_MAX {
            return Err(Diagnostic::at(self.span(), "this nests too deep")
                .help("give parts of it a name as conditions of their own"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    pub fn unexpected(&self, expected: &str, help: &str) -> Diagnostic {
        let message = match self.peek() {
            None => format!("expected {expected}, but the phrase ends here"),
            Some(Token::Unknown('"')) => "this quote is never closed".to_owned(),
            Some(token) => format!("expected {expected}, found {}", found(token)),
        };
        Diagnostic::at(self.span(), message).help(self.peek().and_then(mend).unwrap_or(help))
    }

    /// The error for a word that is none of the allowed ones.
    pub fn unknown(&self, what: &str, known: &[&str]) -> Diagnostic {
        match self.peek() {
            Some(Token::Word(word)) => {
                let help = match foreign::modifier(word) {
                    Some(mend) if is_known(mend, known) => mend.to_owned(),
                    _ => names::suggest(word, known.iter().copied(), &several(what)),
                };
                Diagnostic::at(self.span(), format!("unknown {what} `{word}`")).help(help)
            }
            _ => self.unexpected(
                &format!("a {what}"),
                &format!("{}: {}", several(what), names::quoted(known)),
            ),
        }
    }
}

fn several(what: &str) -> String {
    match what.strip_prefix("part of ") {
        Some(whole) => format!("parts of {whole}"),
        None => format!("{what}s"),
    }
}

/// Whether the place has the word that is suggested for it. What stands elsewhere is possible everywhere.
fn is_known(mend: &str, known: &[&str]) -> bool {
    let of_columns = known.contains(&"unique");
    let quoted = mend.strip_prefix("write `");
    let word = quoted.and_then(|rest| rest.split(['`', ' ']).next());
    match word {
        None | Some("?") => of_columns,
        Some(word) => (known.iter()).any(|known| known.split(' ').next() == Some(word)),
    }
}

/// Suggestions for signs that other languages use.
fn mend(token: &Token) -> Option<&'static str> {
    Some(match token {
        Token::Unknown('\'') => "a text stands in double quotes: `\"…\"`",
        Token::Unknown('!') => "write `not`",
        Token::Unknown('&') => "write `and`",
        Token::Unknown(';') => "parts stand after commas",
        Token::Unknown(':') => "write it without the colon",
        _ => return None,
    })
}

fn found(token: &Token) -> String {
    match token {
        Token::Word(text) | Token::Number(text) => format!("`{text}`"),
        Token::Quoted(text) => format!("\"{text}\""),
        Token::Sign(sign) => format!("`{sign}`"),
        Token::Unknown('\'') => "`'`".to_owned(),
        Token::Unknown(c) => format!("`{}`", c.escape_debug()),
    }
}
