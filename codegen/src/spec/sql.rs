//! SQL of a module that the spec language can't express: `spec/sql/<module>.sql`, or several files
//! `<module>.<part>.sql`.
//!
//! A file is a list of statements that create a function, a trigger or a view, each followed by its owner and grants.
//! They become objects of the schema like all others, so migrations create, replace and drop them. Knows only the
//! heads of these statements; PostgreSQL parses the rest when a migration is applied.

use crate::diag::{Collector, Diagnostic, Span};
use crate::objects::{Kind, Object};

/// One file.
#[derive(Debug)]
pub struct SqlFile {
    pub module: String,
    /// The position of the whole first line.
    pub span: Span,
    pub objects: Vec<Object>,
}

/// The module that a file belongs to: `wallet.sql` and `wallet.holds.sql` belong to the wallet.
pub fn module(file: &str) -> Option<&str> {
    file.strip_suffix(".sql")?.split('.').next()
}

/// `<app>` in the text stands for the application's name, with which roles are named.
pub fn read(file: usize, module: &str, text: &str, app: &str, errors: &Collector) -> SqlFile {
    let mut objects = Vec::new();
    for (start, block) in blocks(text) {
        let first = block.lines().next().unwrap_or("");
        let span = Span {
            file,
            start,
            end: start + first.len(),
        };
        match object(&block.replace("<app>", app)) {
            Ok(object) => objects.push(object),
            Err(why) => errors.push(Diagnostic::at(span, why).help(
                "a statement begins a line with `create function`, `create trigger`, `create constraint trigger` or \
                 `create view`, comes after a blank line, names its schema, and ends in `;`",
            )),
        }
    }
    let end = text.find('\n').unwrap_or(text.len());
    SqlFile {
        module: module.to_owned(),
        span: Span {
            file,
            start: 0,
            end,
        },
        objects,
    }
}

/// Splits the text at blank lines, and joins the parts up to the next one that begins with `create`; comments before
/// it belong to that one.
fn blocks(text: &str) -> Vec<(usize, &str)> {
    let mut starts = Vec::new();
    let (mut at, mut after_blank) = (0, true);
    for line in text.split_inclusive('\n') {
        let is_comment = line.starts_with("--");
        if after_blank && !line.trim().is_empty() && !is_comment && !line.starts_with(' ') {
            starts.push(at);
        }
        after_blank = line.trim().is_empty() || (is_comment && after_blank);
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let whole = starts.iter().copied().zip(ends);
    whole
        .map(|(start, end)| (start, without_comments_after(&text[start..end])))
        .collect()
}

/// Comments at the end belong to the next statement.
fn without_comments_after(block: &str) -> &str {
    let mut rest = block.trim_end();
    while let Some((before, line)) = rest.rsplit_once('\n') {
        if !line.starts_with("--") {
            break;
        }
        rest = before.trim_end();
    }
    rest
}

fn object(text: &str) -> Result<Object, String> {
    if !text.ends_with(';') {
        return Err("this statement does not end".to_owned());
    }
    if text.lines().skip(1).any(|line| line.starts_with("create ")) {
        return Err(
            "after this statement, another one begins without a blank line between them".to_owned(),
        );
    }
    let words: Vec<&str> = text.split_whitespace().take(12).collect();
    match words.as_slice() {
        ["create", "function", ..] => function(text),
        ["create", "view", name, ..] if name.contains('.') => Ok(Object {
            kind: Kind::View,
            name: (*name).to_owned(),
            table: None,
            create: text.to_owned(),
            drop: format!("drop view {name};"),
            columns: Vec::new(),
        }),
        ["create", "constraint", "trigger", name, ..] | ["create", "trigger", name, ..] => {
            let name = (*name).to_owned();
            trigger(text, &name)
        }
        _ => Err("this is not a statement that is kept here".to_owned()),
    }
}

fn trigger(text: &str, name: &str) -> Result<Object, String> {
    let table = text
        .split_whitespace()
        .skip_while(|word| *word != "on")
        .nth(1)
        .filter(|table| table.contains('.'))
        .ok_or("this trigger is on no table of a schema")?;
    Ok(Object {
        kind: Kind::Trigger,
        name: format!("{table}.{name}"),
        table: Some(table.to_owned()),
        create: text.to_owned(),
        drop: format!("drop trigger {name} on {table};"),
        columns: Vec::new(),
    })
}

fn function(text: &str) -> Result<Object, String> {
    let head = text.strip_prefix("create function ");
    let named = head.and_then(|head| head.split_once('('));
    let (name, rest) = named.ok_or("this function has no arguments, not even `()`")?;
    if !name.contains('.') {
        return Err("this function is in no schema".to_owned());
    }
    let arguments = rest
        .split_once(") returns ")
        .ok_or("`) returns` is not on the line of this function's last argument")?
        .0;
    let types: Vec<&str> = arguments
        .split(',')
        .map(str::trim)
        .filter(|argument| !argument.is_empty() && !argument.starts_with("out "))
        .map(|argument| {
            argument
                .split_once(' ')
                .map_or(argument, |both| both.1.trim())
        })
        .map(|ty| ty.split_once(" default ").map_or(ty, |both| both.0))
        .collect();
    let identity = format!("{name}({})", types.join(","));
    Ok(Object {
        kind: Kind::TableFunction,
        name: identity.clone(),
        table: None,
        create: text.to_owned(),
        drop: format!("drop function {identity};"),
        columns: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Sources;

    const TEXT: &str = "-- What this file is.

-- Adds.
create function app.add(p_one int, p_other int default 1) returns int
  language sql set search_path = pg_catalog, pg_temp as $$
  select p_one

    + p_other
$$;
alter function app.add(int,int) owner to <app>_owner;

-- Told at the end.
create constraint trigger balanced
  after insert on app.legs deferrable initially deferred
  for each row execute function app.balanced();

create view app.sums with (security_invoker = true) as
  select 1 as one;
grant select on app.sums to <app>_job;
";

    #[test]
    fn statements_with_what_belongs_to_them() {
        let errors = Collector::default();
        let file = read(0, "wallet", TEXT, "town", &errors);
        let sources = Sources::default();
        errors.finish(&sources).expect("no mistakes");
        let names: Vec<&str> = file.objects.iter().map(|o| o.name.as_str()).collect();
        assert_eq!(names, ["app.add(int,int)", "app.legs.balanced", "app.sums"]);
        assert!(
            file.objects[0]
                .create
                .starts_with("create function app.add")
        );
        assert!(file.objects[0].create.ends_with("owner to town_owner;"));
        assert_eq!(file.objects[1].table.as_deref(), Some("app.legs"));
        assert!(file.objects[2].create.ends_with("to town_job;"));
    }

    #[test]
    fn files_are_called_after_their_module() {
        for (file, of) in [
            ("wallet.sql", Some("wallet")),
            ("wallet.holds.sql", Some("wallet")),
            ("wallet.yaml", None),
        ] {
            assert_eq!(module(file), of, "{file}");
        }
    }

    #[test]
    fn anything_else_is_refused_where_it_stands() {
        for text in [
            "drop table app.users;",
            "create function add() returns int as $$ select 1 $$ language sql;",
            "create view app.sums as select 1",
            "create trigger one after insert on legs execute function app.f();",
            "create trigger one after insert on app.legs execute function app.f();\n\
             create trigger two after update on app.legs execute function app.f();",
        ] {
            let errors = Collector::default();
            let found = read(0, "wallet", text, "town", &errors);
            assert!(found.objects.is_empty(), "{text}");
            let mistakes = errors.finish(&Sources::default()).unwrap_err();
            assert_eq!(mistakes.list.len(), 1, "{text}");
        }
    }
}
