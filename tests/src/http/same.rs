//! Comparison of answers that must be indistinguishable.

use crate::support::Answer;
use std::fmt::Write;

/// Everything that a client can see of an answer, except what differs in every request.
pub fn seen(answer: &Answer) -> String {
    let mut out = format!("{}\n", answer.status);
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort_unstable();
    let mut body = answer.json.clone();
    if let Some(object) = body.as_object_mut() {
        object.shift_remove("instance");
    }
    let _ = write!(out, "{}\n{body}", headers.join("\n"));
    out
}
