//! The grammar of `#[entity(…)]`, `#[input(…)]` and `#[choice(…)]`. Each item keeps its span, for errors.

use proc_macro2::{Ident, Span, TokenStream};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Error, Expr, Lit, LitInt, LitStr, Meta, Path, Result, Token, UnOp, parenthesized,
};

/// An item of `#[input(…)]` on a struct.
pub struct StructAttr {
    pub span: Span,
    pub word: StructWord,
}

pub enum StructWord {
    Kind(InputKind),
    /// An example as JSON, for the API document.
    Example(LitStr),
    /// The path of a function `fn(&Self, &mut Body)` that checks rules about several fields.
    Check(Path),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    Create,
    Update,
    Object,
    /// The body of a hand-written route: not bound to a statement, and described in the API document.
    Body,
}

/// An item of `#[input(…)]` on a field.
pub struct Rule {
    pub ident: Ident,
    pub kind: RuleKind,
}

pub enum RuleKind {
    Length(u32, u32),
    /// A single line, which may be longer than those of names and titles.
    Line(u32, u32),
    /// A text that people do not read, such as a password: only its length is checked.
    Opaque(u32, u32),
    Range(Option<i64>, Option<i64>),
    Format(LitStr),
    List(u32, u32),
    Places(u32),
    /// The default value. `None`, for `default` without a value, stands for `Default::default()`.
    Default(Option<Expr>),
    Required,
    Optional,
    /// If the field is absent, its value stays unchanged, on PUT too.
    Keep,
    /// The name of the other field of a pair.
    With(LitStr),
    /// The path of a function `fn(&T) -> Option<Fault>` that checks the value.
    Check(Path),
    /// The value is converted to lower case when it is read.
    Lower,
}

pub enum EntityAttr {
    Private,
}

pub enum ChoiceAttr {
    Rename(LitStr),
}

pub fn of_struct(attrs: &[Attribute]) -> Result<Vec<StructAttr>> {
    items(attrs, "input")
}
pub fn of_input_field(attrs: &[Attribute]) -> Result<Vec<Rule>> {
    items(attrs, "input")
}
pub fn of_entity_field(attrs: &[Attribute]) -> Result<Vec<EntityAttr>> {
    items(attrs, "entity")
}
pub fn of_variant(attrs: &[Attribute]) -> Result<Vec<ChoiceAttr>> {
    items(attrs, "choice")
}

/// The lines of a doc comment, joined.
pub fn doc(attrs: &[Attribute]) -> String {
    let lines = attrs.iter().filter(|attr| attr.path().is_ident("doc"));
    let lines = lines.filter_map(|attr| match &attr.meta {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn items<T: Parse>(attrs: &[Attribute], name: &str) -> Result<Vec<T>> {
    let mut found = Vec::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident(name)) {
        found.extend(attr.parse_args_with(Punctuated::<T, Token![,]>::parse_terminated)?);
    }
    Ok(found)
}

impl Parse for StructAttr {
    fn parse(input: ParseStream) -> Result<Self> {
        let ident: Ident = input.parse()?;
        let word = match ident.to_string().as_str() {
            "create" => StructWord::Kind(InputKind::Create),
            "update" => StructWord::Kind(InputKind::Update),
            "object" => StructWord::Kind(InputKind::Object),
            "body" => StructWord::Kind(InputKind::Body),
            "example" => StructWord::Example(assigned(input)?),
            "check" => StructWord::Check(assigned(input)?),
            other => {
                let known = "`create`, `update`, `object` or `body`, and `example = \"…\"` or `check = …` with `body`";
                return Err(unknown(&ident, other, known));
            }
        };
        Ok(StructAttr {
            span: ident.span(),
            word,
        })
    }
}

impl Parse for Rule {
    fn parse(input: ParseStream) -> Result<Self> {
        let ident: Ident = input.parse()?;
        let kind = match ident.to_string().as_str() {
            "length" => pair(input, number)?.map(|(min, max)| RuleKind::Length(min, max)),
            "line" => pair(input, number)?.map(|(min, max)| RuleKind::Line(min, max)),
            "opaque" => pair(input, number)?.map(|(min, max)| RuleKind::Opaque(min, max)),
            "range" => pair(input, bound)?.map(|(min, max)| RuleKind::Range(min, max)),
            "list" => pair(input, number)?.map(|(max, count)| RuleKind::List(max, count)),
            "places" => {
                let inner;
                parenthesized!(inner in input);
                Some(RuleKind::Places(number(&inner)?))
            }
            "format" => Some(RuleKind::Format(assigned(input)?)),
            "with" => Some(RuleKind::With(assigned(input)?)),
            "check" => Some(RuleKind::Check(assigned(input)?)),
            "lower" => Some(RuleKind::Lower),
            "default" if input.peek(Token![=]) => Some(RuleKind::Default(Some(assigned(input)?))),
            "default" => Some(RuleKind::Default(None)),
            "required" => Some(RuleKind::Required),
            "optional" => Some(RuleKind::Optional),
            "keep" => Some(RuleKind::Keep),
            other => {
                let known = "`length(min, max)`, `line(min, max)`, `opaque(min, max)`, `range(min, max)`, `format = \"…\"`, `list(max, count)`, \
                             `places(n)`, `default`, `required`, `optional`, `keep`, `with = \"…\"`, `check = …` or `lower`";
                return Err(unknown(&ident, other, known));
            }
        };
        let kind = kind.ok_or_else(|| {
            Error::new(
                ident.span(),
                format!("`{ident}` needs two numbers: `{ident}(1, 10)`"),
            )
        })?;
        Ok(Rule { ident, kind })
    }
}

impl Parse for EntityAttr {
    fn parse(input: ParseStream) -> Result<Self> {
        let ident: Ident = input.parse()?;
        match ident.to_string().as_str() {
            "private" => Ok(EntityAttr::Private),
            other => Err(unknown(&ident, other, "`private`")),
        }
    }
}

impl Parse for ChoiceAttr {
    fn parse(input: ParseStream) -> Result<Self> {
        let ident: Ident = input.parse()?;
        match ident.to_string().as_str() {
            "rename" => Ok(ChoiceAttr::Rename(assigned(input)?)),
            other => Err(unknown(&ident, other, "`rename = \"…\"`")),
        }
    }
}

fn unknown(ident: &Ident, found: &str, known: &str) -> Error {
    Error::new(
        ident.span(),
        format!("unknown word `{found}`, expected {known}"),
    )
}

/// Parses `(a, b)`; returns `None` if the parentheses or one of the two are missing.
fn pair<T>(input: ParseStream, parse: fn(ParseStream) -> Result<T>) -> Result<Option<(T, T)>> {
    if !input.peek(syn::token::Paren) {
        return Ok(None);
    }
    let inner;
    parenthesized!(inner in input);
    let first = parse(&inner)?;
    if inner.is_empty() {
        return Ok(None);
    }
    inner.parse::<Token![,]>()?;
    let second = parse(&inner)?;
    let rest: TokenStream = inner.parse()?;
    if rest.is_empty() {
        Ok(Some((first, second)))
    } else {
        Err(Error::new_spanned(rest, "expected two numbers"))
    }
}

fn number(input: ParseStream) -> Result<u32> {
    input.parse::<LitInt>()?.base10_parse()
}

/// Parses an integer, or `_` for an open end.
fn bound(input: ParseStream) -> Result<Option<i64>> {
    if input.parse::<Option<Token![_]>>()?.is_some() {
        return Ok(None);
    }
    let expr: Expr = input.parse()?;
    let (sign, literal) = match &expr {
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => ("-", &*unary.expr),
        other => ("", other),
    };
    match literal {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(int) => format!("{sign}{}", int.base10_digits())
                .parse()
                .map(Some)
                .map_err(|_| Error::new_spanned(&expr, "the number does not fit 64 bits")),
            other => Err(Error::new_spanned(other, "expected a whole number or `_`")),
        },
        other => Err(Error::new_spanned(other, "expected a whole number or `_`")),
    }
}

fn assigned<T: Parse>(input: ParseStream) -> Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}
