//! The short phrases of a spec (of fields, relations, rules, …): their syntax trees and the functions that parse them.
//!
//! Every part keeps its position in the file. Names are not resolved here: they are just words.

mod assignments;
mod check;
mod derived;
mod field;
mod first;
pub mod foreign;
mod keep;
mod lexer;
mod offer;
mod reader;
mod relation;
mod role;
mod rule;
mod transition;
mod unique;
mod values;

use crate::diag::Span;
use crate::model::{Future, Literal, OnArchive, Op, Ty};

pub use assignments::assignments;
pub use check::{CHECK_MODIFIERS, check};
pub use derived::{AGGREGATES, DERIVED_MODIFIERS, derived};
pub use field::{FIELD_MODIFIERS, TYPES, field};
pub use first::first;
pub use keep::keep;
pub use offer::offer;
pub use reader::Parsed;
pub use relation::{HAS_MODIFIERS, RELATION_MODIFIERS, has, relation};
pub use role::role;
pub use rule::{ATOMS, rule};
pub use transition::{TRANSITION_WORDS, transition};
pub use unique::{exclude, unique};
pub use values::VALUE_WORDS;

/// A value with its position in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct At<T> {
    pub it: T,
    pub span: Span,
}

pub type Word = At<String>;

/// `text(1..140)?, search, sort` or `drop`
#[derive(Clone, Debug, PartialEq)]
pub enum FieldLine {
    Field(Box<FieldPhrase>),
    Drop(Span),
}

#[derive(Clone, Debug, PartialEq)]
pub struct FieldPhrase {
    pub ty: At<TyPhrase>,
    pub optional: bool,
    pub default: Option<At<Literal>>,
    pub modifiers: Vec<At<FieldModifier>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TyPhrase {
    /// A type that needs no further resolution.
    Known(Ty),
    /// `slug from title`
    SlugFrom(Word),
    Enum(Vec<ValuePhrase>),
    States(Vec<ValuePhrase>),
    /// `object social_links`
    Object(Word),
}

/// `b was old_b`
#[derive(Clone, Debug, PartialEq)]
pub struct ValuePhrase {
    pub word: Word,
    pub was: Option<Word>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum FieldModifier {
    Unique,
    Moves,
    Search,
    Filter,
    /// `else venue.location`
    Else(Word, Word),
    Sort,
    Fixed,
    System,
    Redact,
    Future(Future),
    Read(Rule),
    Write(Rule),
    Check(Rule),
    Was(Word),
    Doc(At<String>),
}

/// `one of organization | community, same city` or `drop`
#[derive(Clone, Debug, PartialEq)]
pub enum RelationLine {
    Relation(Box<RelationPhrase>),
    Drop(Span),
}

#[derive(Clone, Debug, PartialEq)]
pub struct RelationPhrase {
    pub targets: Vec<Word>,
    pub polymorphic: bool,
    pub optional: bool,
    pub modifiers: Vec<At<RelationModifier>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RelationModifier {
    Same(Word),
    OnArchive(OnArchive),
    Movable,
    OnEnd(OnEndPhrase),
    SetMe,
    SetSession,
    System,
    Unique,
    Filter,
    Hidden,
    Was(Word),
    Doc(At<String>),
    Read(Rule),
}

/// An invariant of a row, with the sentence that callers get when a request would break it.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckPhrase {
    pub rule: Rule,
    pub doc: Option<At<String>>,
}

/// `on end archive`, `on end set revoked_at`
#[derive(Clone, Debug, PartialEq)]
pub enum OnEndPhrase {
    Archive,
    Set(Word),
}

/// `like* via event`
#[derive(Clone, Debug, PartialEq)]
pub struct HasPhrase {
    pub child: Word,
    pub via: Word,
    /// `create with (..20)`: the greatest number of objects in one request.
    pub create_with: Option<At<i64>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DerivedPhrase {
    pub kind: DerivedForm,
    pub sort: Option<Span>,
    pub filter: Option<Span>,
    pub delta: Option<Span>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum DerivedForm {
    Count {
        has: Word,
        filter: Option<Rule>,
    },
    Sum {
        has: Word,
        field: Word,
        filter: Option<Rule>,
    },
    Avg {
        has: Word,
        field: Word,
        filter: Option<Rule>,
    },
    Flag(Rule),
}

/// `[city, slug]`; `event, user where state != cancelled`
#[derive(Clone, Debug, PartialEq)]
pub struct UniquePhrase {
    pub columns: Vec<Word>,
    pub filter: Option<Rule>,
}

/// `scope, valid_from..valid_to`, perhaps `where state == booked`
#[derive(Clone, Debug, PartialEq)]
pub struct ExcludePhrase {
    pub columns: Vec<Word>,
    pub from: Word,
    pub to: Word,
    pub filter: Option<Rule>,
}

/// `role_assignment where state == accepted`
#[derive(Clone, Debug, PartialEq)]
pub struct AssignmentsPhrase {
    pub entity: Word,
    pub counted: Option<Rule>,
}

/// `one per scope where role == orgAdmin, doc "Why."`; `one everywhere where …`
#[derive(Clone, Debug, PartialEq)]
pub struct KeepPhrase {
    /// The relation whose rows each need one; `None` means `everywhere`.
    pub per: Option<Word>,
    pub filter: Option<Rule>,
    pub doc: Option<At<String>>,
}

/// `media by position where type == image, doc "The main picture."`
#[derive(Clone, Debug, PartialEq)]
pub struct FirstPhrase {
    pub has: Word,
    pub by: Word,
    pub filter: Option<Rule>,
    pub doc: Option<At<String>>,
}

/// `by buyer, when state == pending`
#[derive(Clone, Debug, PartialEq)]
pub struct OfferPhrase {
    pub by: Rule,
    pub when: Option<Rule>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TransitionPhrase {
    pub change: ChangePhrase,
    /// Columns that the transition sets in addition to its change.
    pub sets: Vec<SetPhrase>,
    pub by: Option<Rule>,
    pub when: Option<Rule>,
    pub reason: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ChangePhrase {
    State { from: Vec<Word>, to: Word },
    Set(SetPhrase),
}

/// `set claimed_by = me`
#[derive(Clone, Debug, PartialEq)]
pub struct SetPhrase {
    pub target: Word,
    pub value: At<Literal>,
}

/// A rule or row expression as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub form: Form,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    Anyone,
    SignedIn,
    Nobody,
    All(Vec<Rule>),
    Any(Vec<Rule>),
    Not(Box<Rule>),
    /// The name of a condition or of a boolean field.
    Name(String),
    Of {
        what: Word,
        relation: Word,
    },
    /// `me is <relation>`; `this` stands for the row itself.
    MeIs(Word),
    /// `of` may be `this`
    MeHolds {
        role: Word,
        of: Option<Word>,
    },
    MeIn {
        has: Word,
        me: Option<Word>,
        filter: Option<Box<Rule>>,
    },
    /// `who` may be `this`
    MeOutranks {
        who: Word,
        of: Option<Word>,
    },
    Compare {
        left: Operand,
        op: Op,
        right: Operand,
    },
    In {
        value: Operand,
        list: Vec<At<Literal>>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Operand {
    pub form: OperandForm,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum OperandForm {
    /// A column, or the value of an enum.
    Name(String),
    /// `event.state`: a column of a related row.
    Path {
        relation: String,
        field: String,
    },
    Literal(Literal),
    Add(Box<Operand>, Box<Operand>),
    Sub(Box<Operand>, Box<Operand>),
}

impl FieldModifier {
    /// The first word of the modifier.
    pub fn word(&self) -> &'static str {
        match self {
            FieldModifier::Unique => "unique",
            FieldModifier::Moves => "moves",
            FieldModifier::Search => "search",
            FieldModifier::Filter => "filter",
            FieldModifier::Else(..) => "else",
            FieldModifier::Sort => "sort",
            FieldModifier::Fixed => "fixed",
            FieldModifier::System => "system",
            FieldModifier::Redact => "redact",
            FieldModifier::Future(_) => "future",
            FieldModifier::Read(_) => "read",
            FieldModifier::Write(_) => "write",
            FieldModifier::Check(_) => "check",
            FieldModifier::Was(_) => "was",
            FieldModifier::Doc(_) => "doc",
        }
    }
}

impl RelationModifier {
    pub fn word(&self) -> &'static str {
        match self {
            RelationModifier::Same(_) => "same",
            RelationModifier::OnArchive(_) => "on archive",
            RelationModifier::Movable => "movable",
            RelationModifier::OnEnd(_) => "on end",
            RelationModifier::SetMe => "set me",
            RelationModifier::SetSession => "set session",
            RelationModifier::System => "system",
            RelationModifier::Unique => "unique",
            RelationModifier::Filter => "filter",
            RelationModifier::Hidden => "hidden",
            RelationModifier::Was(_) => "was",
            RelationModifier::Read(_) => "read",
            RelationModifier::Doc(_) => "doc",
        }
    }
}
