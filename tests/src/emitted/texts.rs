//! Reads the statements in a generated file, for specs that are not compiled.
//!
//! Understands the few forms that the generator writes: literals, `concat!`, and the two macros of a file.

use kernel::resource::{GuardedColumn, GuardedUpdate};

/// Purpose and text of each statement.
pub fn statements(file: &str) -> Vec<(String, String)> {
    let (code, literals) = without_literals(file);
    let value = |expression: &str| evaluate(expression, &code, &literals);
    let mut found = Vec::new();
    for line in code.lines().map(str::trim) {
        let Some((name, rest)) = line.split_once(": ") else {
            continue;
        };
        match name {
            "get" | "get_anonymous" | "list" | "list_end" | "by_ids" | "create" | "update"
            | "archive" | "restore" | "suspend" | "unsuspend" | "probe" => {
                found.push((name.to_owned(), value(rest)));
            }
            "sql" if rest.ends_with(" },") => found.push(("transition".to_owned(), value(rest))),
            _ => {}
        }
    }
    found.extend(guarded(&code, &value).map(|text| ("update".to_owned(), text)));
    let list = found.iter().find(|(name, _)| name == "list");
    let list = list.map(|(_, text)| text.clone()).unwrap_or_default();
    for line in code.lines().map(str::trim) {
        let arguments: Vec<String> = line.split(", ").map(value).collect();
        if line.starts_with("Filter::new(") && !line.contains("Kind::Search") {
            found.push((
                "filter".into(),
                format!("{list} where {} is null", arguments[1]),
            ));
        } else if line.starts_with("Sort::new(") {
            found.push((
                "sort".into(),
                format!("{list} order by {}, t.id", arguments[1]),
            ));
        }
        for child in line.split("Child::new(").skip(1) {
            let arguments: Vec<String> = child.split(", ").map(value).collect();
            found.push((
                format!("children of {}", arguments[1]),
                arguments[2].clone(),
            ));
        }
    }
    found.retain(|(_, text)| !text.is_empty());
    found
}

/// The update that gives all guarded columns, and those that give one of them.
fn guarded(code: &str, value: &dyn Fn(&str) -> String) -> impl Iterator<Item = String> {
    let parts = code.split_once("update_guarded: Some(&GuardedUpdate {");
    let parts = parts.and_then(|(_, rest)| rest.split_once("}),"));
    let part = |text: &str, name: &str| {
        let found = text.split_once(&format!("{name}: ")).map(|(_, rest)| rest);
        let end = |rest: &str| rest.find([',', '\n', '}']).unwrap_or(rest.len());
        value(found.map_or("", |rest| &rest[..end(rest)]))
    };
    let mut texts = Vec::new();
    if let Some((update, _)) = parts {
        let columns: Vec<[String; 4]> = update
            .split("GuardedColumn {")
            .skip(1)
            .map(|column| ["name", "set", "given", "empty"].map(|name| part(column, name)))
            .collect();
        let columns: Vec<GuardedColumn> = columns.iter().map(column).collect();
        let update = GuardedUpdate {
            start: leaked(part(update, "start")),
            sets: leaked(part(update, "sets")),
            condition: leaked(part(update, "condition")),
            columns: Vec::leak(columns),
            end: leaked(part(update, "end")),
        };
        texts = update_texts(&update);
    }
    texts.into_iter()
}

/// The statement for all guarded columns, and those for each by itself.
pub fn update_texts(update: &GuardedUpdate) -> Vec<String> {
    let names: Vec<&str> = update.columns.iter().map(|column| column.name).collect();
    let each = names.iter().map(|name| update.text(&[name]));
    each.chain([update.text(&names)]).collect()
}

fn column([name, set, given, empty]: &[String; 4]) -> GuardedColumn {
    GuardedColumn {
        name: leaked(name.clone()),
        set: leaked(set.clone()),
        given: leaked(given.clone()),
        empty: leaked(empty.clone()),
    }
}

fn leaked(text: String) -> &'static str {
    String::leak(text)
}

/// Replaces literals by `§n§`, so that the code has no line breaks or commas inside of them.
fn without_literals(file: &str) -> (String, Vec<String>) {
    let (mut code, mut literals) = (String::new(), Vec::new());
    let mut chars = file.chars();
    while let Some(c) = chars.next() {
        if c != '"' {
            code.push(c);
            continue;
        }
        let mut literal = String::new();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => literal.extend(chars.next()),
                c => literal.push(c),
            }
        }
        code.push_str(&format!("§{}§", literals.len()));
        literals.push(literal);
    }
    (code, literals)
}

fn evaluate(expression: &str, code: &str, literals: &[String]) -> String {
    let mut text = expression.to_owned();
    for name in ["columns", "sets"] {
        let head = format!("macro_rules! {name} {{ () => {{\n");
        if let Some((_, rest)) = code.split_once(&head) {
            let body = rest.lines().next().unwrap_or_default().trim();
            text = text.replace(&format!("{name}!()"), body);
        }
    }
    let numbers = text.split('§').skip(1).step_by(2);
    numbers
        .filter_map(|n| literals.get(n.parse::<usize>().ok()?))
        .cloned()
        .collect()
}
