//! Writes the document as text, with short values on one line: a small entity then changes few lines, and readers see
//! more at once.
//!
//! Knows JSON only.

use serde_json::Value;

/// The greatest length of a value that is written on one line, without its key.
const WIDTH: usize = 80;

pub fn render(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    text.push('\n');
    text
}

fn write(value: &Value, depth: usize, text: &mut String) {
    let line = in_line(value);
    if line.len() <= WIDTH {
        return text.push_str(&line);
    }
    let begin = |text: &mut String, at: usize, depth: usize| {
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        text.push_str(&"  ".repeat(depth));
    };
    match value {
        Value::Object(map) => {
            text.push('{');
            for (at, (key, inner)) in map.iter().enumerate() {
                begin(text, at, depth + 1);
                text.push_str(&quoted(key));
                text.push_str(": ");
                write(inner, depth + 1, text);
            }
            begin(text, 0, depth);
            text.push('}');
        }
        Value::Array(list) => {
            text.push('[');
            for (at, inner) in list.iter().enumerate() {
                begin(text, at, depth + 1);
                write(inner, depth + 1, text);
            }
            begin(text, 0, depth);
            text.push(']');
        }
        _ => text.push_str(&line),
    }
}

/// `{"$ref": "#/components/schemas/Event"}`
fn in_line(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let all = map.iter();
            let all = all.map(|(key, inner)| format!("{}: {}", quoted(key), in_line(inner)));
            format!("{{{}}}", all.collect::<Vec<_>>().join(", "))
        }
        Value::Array(list) => {
            let all: Vec<String> = list.iter().map(in_line).collect();
            format!("[{}]", all.join(", "))
        }
        _ => value.to_string(),
    }
}

fn quoted(key: &str) -> String {
    Value::from(key).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_short_stands_on_one_line() {
        let long = "long ".repeat(20);
        let value = json!({"one": {"$ref": "#/a"}, "none": {}, "more": {"text": long, "words": ["a", "b"], "rows": [long, {"b": 1}]}});
        let text = render(&value);
        let expected = format!(
            r##"{{
  "one": {{"$ref": "#/a"}},
  "none": {{}},
  "more": {{
    "text": "{long}",
    "words": ["a", "b"],
    "rows": [
      "{long}",
      {{"b": 1}}
    ]
  }}
}}
"##
        );
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(value));
    }
}
