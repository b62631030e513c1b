//! Reserved words: those of SQL and Rust, and names that generated files already use.

/// Words that PostgreSQL accepts as a column or table name only in quotes.
pub fn is_sql_reserved(word: &str) -> bool {
    SQL_RESERVED.binary_search(&word).is_ok()
}

/// Words that name a table's column without quotes, but not a function's argument or column.
pub fn is_sql_column_only(word: &str) -> bool {
    SQL_COLUMN_ONLY.binary_search(&word).is_ok()
}

/// Reserved words of PL/pgSQL, which can't be fields of a record (`new.loop`), even in quotes.
pub fn is_plpgsql_reserved(word: &str) -> bool {
    PLPGSQL_RESERVED.binary_search(&word).is_ok()
}

/// System columns, which every table of PostgreSQL has.
pub fn is_system_column(word: &str) -> bool {
    SYSTEM_COLUMNS.binary_search(&word).is_ok()
}

/// Words that can't name a Rust module, not even as `r#…`, or would be confusing there.
pub fn is_rust_reserved(word: &str) -> bool {
    RUST_RESERVED.binary_search(&word).is_ok() || is_type_reserved(word)
}

/// Types that generated files use.
pub fn types() -> impl Iterator<Item = String> {
    TYPES.iter().map(|word| super::pascal(word))
}

/// Words that can't name a type of a generated file, because it would hide one that the file uses.
pub fn is_type_reserved(word: &str) -> bool {
    TYPES.binary_search(&word).is_ok()
}

/// `pl_reserved_kwlist.h` of PostgreSQL 15. Sorted.
const PLPGSQL_RESERVED: &[&str] = &[
    "all", "begin", "by", "case", "declare", "else", "end", "execute", "for", "foreach", "from",
    "if", "in", "into", "loop", "not", "null", "or", "strict", "then", "to", "using", "when",
    "while",
];

/// Sorted.
const SYSTEM_COLUMNS: &[&str] = &["cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"];

/// Reserved words of PostgreSQL 15, including those that may name functions or types. Sorted.
const SQL_RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
];

/// The keywords of PostgreSQL 15 to 18 that "cannot be function or type name" but may be columns. Sorted.
const SQL_COLUMN_ONLY: &[&str] = &[
    "between",
    "bigint",
    "bit",
    "boolean",
    "char",
    "character",
    "coalesce",
    "dec",
    "decimal",
    "exists",
    "extract",
    "float",
    "greatest",
    "grouping",
    "inout",
    "int",
    "integer",
    "interval",
    "json",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_object",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_table",
    "json_value",
    "least",
    "merge_action",
    "national",
    "nchar",
    "none",
    "normalize",
    "nullif",
    "numeric",
    "out",
    "overlay",
    "position",
    "precision",
    "real",
    "row",
    "setof",
    "smallint",
    "substring",
    "time",
    "timestamp",
    "treat",
    "trim",
    "values",
    "varchar",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

/// Rust keywords, crates, and modules that the crate `generated` has. Sorted.
const RUST_RESERVED: &[&str] = &[
    "abstract",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "hooks",
    "if",
    "impl",
    "in",
    "kernel",
    "let",
    "lib",
    "loop",
    "macro",
    "macros",
    "main",
    "match",
    "migrations",
    "mod",
    "move",
    "mut",
    "objects",
    "override",
    "priv",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "value",
    "virtual",
    "where",
    "while",
    "yield",
];

/// Types of Rust, of the engine and of `objects` that generated files use, spelled as in a spec. Sorted.
const TYPES: &[&str] = &[
    "box_future",
    "child",
    "constraint",
    "date_time",
    "edit",
    "expand",
    "filter",
    "guarded_column",
    "guarded_update",
    "json",
    "kind",
    "lifecycle",
    "naive_date",
    "op",
    "option",
    "outranked",
    "patch",
    "point",
    "related",
    "resource",
    "result",
    "rule",
    "rules",
    "sort",
    "sql",
    "status",
    "string",
    "together",
    "transition",
    "utc",
    "uuid",
    "v",
    "vec",
    "ways",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::snake;

    #[test]
    fn word_lists_are_sorted_as_the_search_needs() {
        assert!(SQL_RESERVED.is_sorted());
        assert!(PLPGSQL_RESERVED.is_sorted() && SYSTEM_COLUMNS.is_sorted());
        assert!(RUST_RESERVED.is_sorted());
        assert!(TYPES.is_sorted());
    }

    /// The list contains every type of the prelude, which each generated file imports.
    #[test]
    fn no_type_hides_one_of_the_engine() {
        let prelude = include_str!("../../../runtime/kernel/src/prelude.rs");
        let code = prelude.lines().filter(|line| !line.starts_with("//"));
        let words: Vec<&str> = code
            .flat_map(|line| line.split(|c: char| !c.is_alphanumeric()))
            .filter(|word| !word.is_empty())
            .collect();
        assert!(words.contains(&"Resource"), "{words:?}");
        for pair in words.windows(2) {
            let renamed = pair[1] == "as";
            if pair[0].starts_with(|c: char| c.is_ascii_uppercase()) && !renamed {
                assert!(is_type_reserved(&snake(pair[0])), "{}", pair[0]);
            }
        }
    }
}
