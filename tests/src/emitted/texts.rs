//! Reads the statements in a generated file, for specs that are not compiled.
//!
//! Understands the few forms that the generator writes: literals, `concat!`, and the two macros of a file.

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
            "update_private" => {
                let inner = rest.trim_start_matches("&[").trim_end_matches("],");
                // Each of several texts is a literal or begins with `concat!`.
                let many = if inner.contains("concat!") {
                    inner
                        .split("concat!")
                        .skip(1)
                        .map(value)
                        .collect::<Vec<_>>()
                } else {
                    inner.split(", ").map(value).collect()
                };
                found.extend(many.into_iter().map(|text| ("update".to_owned(), text)));
            }
            "sql" if rest.ends_with(" },") => found.push(("transition".to_owned(), value(rest))),
            _ => {}
        }
    }
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
        } else if line.starts_with("Child::new(") {
            found.push((
                format!("children of {}", arguments[1]),
                arguments[2].clone(),
            ));
        }
    }
    found.retain(|(_, text)| !text.is_empty());
    found
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
