//! Builds [`Object`]s: the `create` and `drop` statements of each kind.
//!
//! Knows SQL syntax and database roles, but no entities.

use super::names::Roles;
use crate::objects::{Kind, Object};

/// A text literal.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub fn quoted_list<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    let quoted: Vec<String> = texts.into_iter().map(|t| quote(t)).collect();
    quoted.join(", ")
}

pub fn object(kind: Kind, name: impl Into<String>, create: String, drop: String) -> Object {
    Object {
        kind,
        name: name.into(),
        table: None,
        create,
        drop,
        columns: Vec::new(),
    }
}

pub fn on_table(table: &str, object: Object) -> Object {
    Object {
        table: Some(table.to_owned()),
        ..object
    }
}

/// The parts of a function that differ; the rest of the statement is the same for all.
pub struct Function<'a> {
    pub kind: Kind,
    /// The name, such as `sec.enter`.
    pub name: &'a str,
    /// `p_user uuid, p_session uuid`
    pub arguments: &'a str,
    pub returns: &'a str,
    /// `language plpgsql stable`, without `security definer` and `set search_path`.
    pub attributes: &'a str,
    /// The role with whose rights the function runs. `None`: those of the caller.
    pub definer: Option<String>,
    /// Roles that may call the function, besides the owner. A function without a definer may be called by all roles.
    pub callers: Vec<String>,
    /// First line of the body, as a comment.
    pub doc: &'a str,
    pub body: String,
}

impl Function<'_> {
    /// `sec.enter(uuid, uuid)`
    fn identity(&self) -> String {
        let types: Vec<&str> = self
            .arguments
            .split(", ")
            .filter(|a| !a.is_empty())
            .map(|a| a.split_once(' ').map_or(a, |x| x.1))
            .collect();
        format!("{}({})", self.name, types.join(","))
    }

    pub fn object(self, roles: Roles<'_>) -> Object {
        let identity = self.identity();
        let security = if self.definer.is_some() {
            "security definer set search_path = pg_catalog, pg_temp"
        } else {
            ""
        };
        let mut create = format!(
            "create function {}({}) returns {}\n  {} {}",
            self.name, self.arguments, self.returns, self.attributes, security
        );
        create.truncate(create.trim_end().len());
        let comment: String = self.doc.lines().map(|l| format!("-- {l}\n")).collect();
        let text = format!("{comment}{}\n", self.body.trim_end());
        let tag = dollar_tag(&text);
        create.push_str(&format!(" as {tag}\n{text}{tag};"));
        let owner = self.definer.clone().unwrap_or_else(|| roles.owner());
        create.push_str(&format!("\nalter function {identity} owner to {owner};"));
        if self.definer.is_some() || !self.callers.is_empty() {
            create.push_str(&format!(
                "\nrevoke execute on function {identity} from public;"
            ));
        }
        if !self.callers.is_empty() {
            create.push_str(&format!(
                "\ngrant execute on function {identity} to {};",
                self.callers.join(", ")
            ));
        }
        object(
            self.kind,
            identity.clone(),
            create,
            format!("drop function {identity};"),
        )
    }
}

/// A trigger function that runs with the caller's rights, or with those of `definer`.
pub fn trigger_function(
    roles: Roles<'_>,
    table: &str,
    name: &str,
    definer: Option<String>,
    doc: &str,
    body: String,
) -> Object {
    let attributes = if definer.is_some() {
        "language plpgsql"
    } else {
        "language plpgsql set search_path = pg_catalog, pg_temp"
    };
    let function = Function {
        kind: Kind::TableFunction,
        name,
        arguments: "",
        returns: "trigger",
        attributes,
        definer,
        callers: Vec::new(),
        doc,
        body,
    };
    on_table(table, function.object(roles))
}

/// `when` is the part from `before` to the end, without `;`.
pub fn trigger(table: &str, name: &str, when: &str) -> Object {
    let quoted = if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("\"{name}\"")
    } else {
        name.to_owned()
    };
    on_table(
        table,
        object(
            Kind::Trigger,
            format!("{table}.{name}"),
            format!("create trigger {quoted}\n  {when};"),
            format!("drop trigger {quoted} on {table};"),
        ),
    )
}

/// `rest` is `check (…)`, `unique (…)` or `foreign key …`.
pub fn constraint(kind: Kind, table: &str, name: &str, rest: &str) -> Object {
    on_table(
        table,
        object(
            kind,
            format!("{table}.{name}"),
            format!("alter table {table} add constraint {name}\n  {rest};"),
            format!("alter table {table} drop constraint {name};"),
        ),
    )
}

pub fn index(table: &str, name: &str, unique: bool, rest: &str) -> Object {
    let unique = if unique { "unique " } else { "" };
    let schema = table.split('.').next().unwrap_or("app");
    on_table(
        table,
        object(
            Kind::Index,
            format!("{schema}.{name}"),
            format!("create {unique}index {name}\n  on {table} {rest};"),
            format!("drop index {schema}.{name};"),
        ),
    )
}

/// `using` and `check` are printed conditions, indented by 4.
pub fn policy(
    table: &str,
    name: &str,
    command: &str,
    role: &str,
    using: Option<String>,
    check: Option<String>,
) -> Object {
    let mut create = format!("create policy {name} on {table} for {command} to {role}");
    for (word, condition) in [("using", using), ("with check", check)] {
        if let Some(condition) = condition {
            create.push_str(&format!("\n  {word} (\n    {condition}\n  )"));
        }
    }
    create.push(';');
    on_table(
        table,
        object(
            Kind::Policy,
            format!("{table}.{name}"),
            create,
            format!("drop policy {name} on {table};"),
        ),
    )
}

/// All privileges of one role on one table; `None` if there are none.
pub fn grants(table: &str, role: &str, privileges: &[String]) -> Option<Object> {
    if privileges.is_empty() {
        return None;
    }
    let statements: Vec<String> = privileges
        .iter()
        .map(|p| format!("grant {p} on {table} to {role};"))
        .collect();
    Some(on_table(
        table,
        object(
            Kind::Grant,
            format!("{table}.{role}"),
            statements.join("\n"),
            format!("revoke all on {table} from {role};"),
        ),
    ))
}

/// `insert (a, b)`; `None` if there are no columns.
pub fn on_columns(privilege: &str, columns: &[String]) -> Option<String> {
    (!columns.is_empty()).then(|| format!("{privilege} ({})", columns.join(", ")))
}

/// Quotes the body of a function: `$$`, unless the body contains it, as when a rule compares with a text that does.
fn dollar_tag(body: &str) -> String {
    let mut tags = std::iter::once("$$".to_owned()).chain((0..).map(|n| match n {
        0 => "$body$".to_owned(),
        n => format!("$body_{n}$"),
    }));
    tags.find(|tag| !body.contains(tag.as_str()))
        .expect("a text contains finitely many tags")
}

#[cfg(test)]
mod tests {
    use super::dollar_tag;

    #[test]
    fn a_body_cannot_end_its_own_quotes() {
        assert_eq!(dollar_tag("select 1"), "$$");
        assert_eq!(dollar_tag("select '$1'"), "$$");
        assert_eq!(dollar_tag("select '$$ x'"), "$body$");
        assert_eq!(dollar_tag("select '$$ x', '$body$'"), "$body_1$");
        assert_eq!(dollar_tag("select '$$, $body$, $body_1$'"), "$body_2$");
    }
}
