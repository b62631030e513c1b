//! The parameters of a call: a form whose names nest with brackets, checked strictly.
//!
//! Every endpoint lists the parameters that it accepts. Any other parameter is an error, because a fake that ignored a
//! misspelt parameter would hide the mistake until production.

use crate::error::{ApiError, Result};
use serde_json::{Map, Value};

#[derive(Clone, Debug, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    pub fn parse(body: &str) -> Self {
        let pairs = body.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self {
            pairs: pairs.collect(),
        }
    }

    pub fn extend(&mut self, other: Self) {
        self.pairs.extend(other.pairs);
    }

    /// Refuses all parameters but these. `a[]` stands for a list, `a[][b]` for a list of maps, `a[*]` for anything
    /// below `a`.
    pub fn allow(&self, names: &[&str]) -> Result<()> {
        for (name, _) in &self.pairs {
            let plain = without_indexes(name);
            let fits = |allowed: &&str| match allowed.strip_suffix("[*]") {
                Some(root) => plain == root || plain.starts_with(&format!("{root}[")),
                None => plain == *allowed || allowed.strip_suffix("[]") == Some(&plain),
            };
            if !(names.iter().any(fits) || plain == "expand[]") {
                return Err(ApiError::parameter(
                    "parameter_unknown",
                    name,
                    format!("Received unknown parameter: {name}"),
                ));
            }
        }
        Ok(())
    }

    /// The value of a parameter that is present, though perhaps empty: with Stripe, an empty text unsets a field.
    pub fn raw(&self, name: &str) -> Option<&str> {
        let mut found = self.pairs.iter().rev();
        let found = found.find(|(have, _)| have == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    pub fn required(&self, name: &str) -> Result<&str> {
        self.text(name).ok_or_else(|| ApiError::missing(name))
    }

    pub fn integer(&self, name: &str) -> Result<Option<i64>> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        let wrong = |_| {
            ApiError::parameter(
                "parameter_invalid_integer",
                name,
                format!("Invalid integer: {value}"),
            )
        };
        value.parse().map(Some).map_err(wrong)
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(ApiError::parameter(
                "parameter_invalid_boolean",
                name,
                format!("Invalid boolean: {other}"),
            )),
        }
    }

    pub fn choice<'a>(&'a self, name: &str, among: &[&str]) -> Result<Option<&'a str>> {
        match self.text(name) {
            Some(value) if !among.contains(&value) => Err(ApiError::parameter(
                "parameter_invalid_enum",
                name,
                format!("Invalid {name}: must be one of {}", among.join(", ")),
            )),
            value => Ok(value),
        }
    }

    /// The values of `name[]`, `name[0]`, …
    pub fn list(&self, name: &str) -> Vec<&str> {
        let wanted = format!("{name}[]");
        let found = self.pairs.iter();
        let found = found.filter(|(have, _)| without_indexes(have) == wanted);
        found.map(|(_, value)| value.as_str()).collect()
    }

    /// The maps of `name[0][…]`, `name[1][…]`, …
    pub fn maps(&self, name: &str) -> Vec<Self> {
        let mut found: Vec<(String, Self)> = Vec::new();
        for (have, value) in &self.pairs {
            let Some(rest) = have
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('['))
            else {
                continue;
            };
            let Some((index, rest)) = rest.split_once(']') else {
                continue;
            };
            let inner = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((first, more)) => format!("{first}{more}"),
                None => continue,
            };
            let at = match found.iter().position(|(known, _)| known == index) {
                Some(at) => at,
                None => {
                    found.push((index.to_owned(), Self::default()));
                    found.len() - 1
                }
            };
            found[at].1.pairs.push((inner, value.clone()));
        }
        found.into_iter().map(|(_, params)| params).collect()
    }

    /// The parameters below `name[…]`, without this prefix.
    pub fn below(&self, name: &str) -> Self {
        let prefix = format!("{name}[");
        let inner = self.pairs.iter().filter_map(|(have, value)| {
            let (first, more) = have.strip_prefix(&prefix)?.split_once(']')?;
            Some((format!("{first}{more}"), value.clone()))
        });
        Self {
            pairs: inner.collect(),
        }
    }

    pub fn has_below(&self, name: &str) -> bool {
        let prefix = format!("{name}[");
        self.pairs.iter().any(|(have, _)| have.starts_with(&prefix))
    }

    /// Writes `metadata[…]` into an object: an empty value removes one name, an empty map all names.
    pub fn metadata(&self, into: &mut Value) -> Result<()> {
        let empty = || Value::Object(Map::new());
        if self.raw("metadata") == Some("") {
            into["metadata"] = empty();
        }
        if !into["metadata"].is_object() {
            into["metadata"] = empty();
        }
        let Value::Object(map) = &mut into["metadata"] else {
            return Ok(());
        };
        for (name, value) in self.below("metadata").pairs {
            let param = format!("metadata[{name}]");
            if name.len() > 40 || value.len() > 500 {
                return Err(ApiError::parameter(
                    "parameter_invalid_string",
                    &param,
                    "Metadata has keys of at most 40 and values of at most 500 characters."
                        .to_owned(),
                ));
            }
            if value.is_empty() {
                map.remove(&name);
            } else {
                map.insert(name, Value::String(value));
            }
        }
        if map.len() > 50 {
            return Err(ApiError::parameter(
                "parameter_invalid_hash",
                "metadata",
                "Metadata has at most 50 keys.".to_owned(),
            ));
        }
        Ok(())
    }
}

/// The next two bytes as text, if there are two.
trait NextTwo {
    fn as_slice_of_two(&self) -> Option<String>;
}

impl NextTwo for std::str::Bytes<'_> {
    fn as_slice_of_two(&self) -> Option<String> {
        let two: Vec<u8> = self.clone().take(2).collect();
        (two.len() == 2).then(|| String::from_utf8_lossy(&two).into_owned())
    }
}

pub fn encode(fields: &[(&str, &str)]) -> String {
    let escape = |text: &str| {
        let mut out = String::new();
        for byte in text.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    out.push(char::from(byte));
                }
                other => out.push_str(&format!("%{other:02X}")),
            }
        }
        out
    };
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect();
    pairs.join("&")
}

fn without_indexes(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for part in name.split_inclusive('[') {
        match part.split_once(']') {
            Some((index, rest))
                if !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit()) =>
            {
                plain.push(']');
                plain.push_str(rest);
            }
            _ => plain.push_str(part),
        }
    }
    plain
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = rest.as_slice_of_two();
                match digits.and_then(|two| u8::from_str_radix(&two, 16).ok()) {
                    Some(decoded) => {
                        bytes.push(decoded);
                        rest.nth(1);
                    }
                    None => bytes.push(b'%'),
                }
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_nest() {
        let body = encode(&[
            ("items[0][price]", "price_1"),
            ("items[1][price]", "é+%"),
            ("metadata[a b]", "c"),
        ]);
        let params = Params::parse(&body);
        params.allow(&["items[][price]", "metadata[*]"]).unwrap();
        let items = params.maps("items");
        assert_eq!(items.len(), 2);
        assert_eq!(items[1].text("price"), Some("é+%"));
        assert_eq!(params.below("metadata").text("a b"), Some("c"));
        assert!(params.allow(&["items[][price]"]).is_err());
    }
}
