//! Parses JSON text into a tree, and refuses what serde_json accepts: duplicate keys and excessive nesting. Knows no
//! field.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use std::fmt;

/// Deeper than any body needs, and far from overflowing the stack.
pub const DEPTH_MAX: usize = 16;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// One JSON value. Keys stay in the order in which they were sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    pub fn parse(bytes: &[u8]) -> Result<Node, String> {
        // Some editors and spreadsheets put it before every text; RFC 8259 lets parsers ignore it.
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let node = Depth(0)
            .deserialize(&mut deserializer)
            .map_err(|e| e.to_string())?;
        deserializer.end().map_err(|e| e.to_string())?;
        Ok(node)
    }

    /// For messages: `a text`, `a number`.
    pub fn kind(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Bool(_) => "a boolean",
            Node::Number(_) => "a number",
            Node::Text(_) => "a text",
            Node::List(_) => "a list",
            Node::Object(_) => "an object",
        }
    }

    /// PostgreSQL can't store the character NUL in any text, not even inside jsonb.
    pub fn has_nul(&self) -> bool {
        match self {
            Node::Text(text) => text.contains('\0'),
            Node::List(items) => items.iter().any(Node::has_nul),
            Node::Object(entries) => entries
                .iter()
                .any(|(key, node)| key.contains('\0') || node.has_nul()),
            _ => false,
        }
    }

    pub fn write(&self, out: &mut String) {
        match self {
            Node::Null => out.push_str("null"),
            Node::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Node::Number(number) => out.push_str(&number.to_string()),
            Node::Text(text) => write_text(text, out),
            Node::List(items) => write_all('[', ']', items, out, |node, out| node.write(out)),
            Node::Object(entries) => write_all('{', '}', entries, out, |(key, node), out| {
                write_text(key, out);
                out.push(':');
                node.write(out);
            }),
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    // Serialising a text can't fail.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

fn write_all<T>(
    open: char,
    close: char,
    items: &[T],
    out: &mut String,
    write: impl Fn(&T, &mut String),
) {
    out.push(open);
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(close);
}

/// A seed, because only a seed can pass the depth down.
struct Depth(usize);

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Node;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Number::from_f64(value)
            .map(Node::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }
    fn visit_string<E: Error>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.below()?)? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format_args!(
                    "the key {key:?} comes twice"
                )));
            }
            entries.push((key, map.next_value_seed(self.below()?)?));
        }
        Ok(Node::Object(entries))
    }
}

impl Depth {
    fn below<E: Error>(&self) -> Result<Depth, E> {
        if self.0 + 1 > DEPTH_MAX {
            return Err(E::custom(format_args!("nested deeper than {DEPTH_MAX}")));
        }
        Ok(Depth(self.0 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Node::parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn refuses_what_a_lenient_reader_would_let_pass() {
        assert!(error(r#"{"a":1,"b":2,"a":3}"#).contains("the key \"a\" comes twice"));
        assert!(error(r#"{"a":{"\u0061":1,"a":2}}"#).contains("comes twice"));
        assert!(error(&("[".repeat(17) + &"]".repeat(17))).contains("nested deeper than 16"));
        assert!(error("{} {}").contains("trailing"));
        assert!(error("").contains("EOF"));
        assert!(error("{\"a\":1e999}").contains("out of range"));
        assert!(Node::parse(b"\"\xff\"").is_err());
        assert!(Node::parse(("[".repeat(100_000)).as_bytes()).is_err());
    }

    #[test]
    fn writes_what_it_read() {
        let text = r#"{"b":[1,-2,0.5,true,null],"a":{"x":"a\"\\\n"}}"#;
        let mut out = String::new();
        Node::parse(text.as_bytes()).unwrap().write(&mut out);
        assert_eq!(out, text);
    }

    #[test]
    fn sees_nul_everywhere() {
        for text in [r#""\u0000""#, r#"{"a":["\u0000"]}"#, r#"{"\u0000":1}"#] {
            assert!(Node::parse(text.as_bytes()).unwrap().has_nul(), "{text}");
        }
    }
}
