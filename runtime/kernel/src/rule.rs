//! Access rules as data: the same tree that the database policies are compiled from.
//!
//! The database decides. This copy serves to choose the status code of a refusal, to tell whether a caller could ever
//! be allowed something (before any row is read), and to let tests compare both sides.

pub mod decide;
pub mod possible;

/// Only constructed as `static` data in generated code.
#[derive(Debug)]
pub enum Rule {
    Anyone,
    SignedIn,
    Nobody,
    All(&'static [Rule]),
    Any(&'static [Rule]),
    Not(&'static Rule),
    /// Another rule of this or another entity's `Resource`, by reference, so that each rule exists once.
    Ref(&'static Rule),
    /// Inside of `Of`: the related row is readable; with its rule for reading. Whether the row is readable depends on
    /// more than this rule (its status), but the rule tells whether this caller can ever read such a row.
    Readable(&'static Rule),
    /// The column holds the caller's id.
    MeIs(&'static str),
    /// A role held everywhere.
    Holds(&'static str),
    /// A role held for the row whose id is in the column (`id`: this row).
    HoldsOf(&'static str, &'static str),
    /// The column's value is in the named set of the caller (`sec.<set>()`).
    In(&'static str, &'static str),
    /// The related row is readable, and the rule holds for it.
    Of(&'static Of),
    /// The caller could give every role that the user holds, and is not that user.
    Outranks(&'static Outranked),
    Compare(Value, Op, Value),
    OneOf(Value, &'static [Value]),
    IsNull(Value),
    /// A boolean column.
    Flag(&'static str),
}

#[derive(Debug)]
pub struct Of {
    /// Column with the related id.
    pub column: &'static str,
    /// Column with the related type, for `one of`.
    pub type_column: Option<&'static str>,
    /// The name of the entity (the value of the type column) and the rule that must hold for its row.
    /// `None`: it is enough that the row is readable.
    pub targets: &'static [(&'static str, Option<&'static Rule>)],
}

#[derive(Debug)]
pub struct Outranked {
    /// The column with the id of the user.
    pub column: &'static str,
    /// Only roles held of the row whose id is in this column count.
    pub of: Option<&'static str>,
    /// The rule for creating assignments.
    pub grant: &'static Rule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Debug)]
pub enum Value {
    Column(&'static str),
    Text(&'static str),
    Int(i64),
    Decimal(&'static str),
    Bool(bool),
    Null,
    Now,
    /// The day that it is in universal time.
    Today,
    Add(&'static Value, &'static Value),
    Sub(&'static Value, &'static Value),
}
