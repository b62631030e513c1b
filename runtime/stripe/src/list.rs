//! Lists, read page by page to their end. Their items stay text, so that an unreadable item does not hide the others.

use crate::{classify::ambiguous, client::Client};
use gateway::{Ambiguity, Failure};
use serde::Deserialize;
use serde_json::value::RawValue;
use stripe_client_core::RequestBuilder;

/// The largest page that Stripe allows.
pub const PAGE: i64 = 100;

/// The maximum number of pages of a list. A query with more results is too wide.
const MOST_PAGES: usize = 200;

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    has_more: bool,
}

#[derive(Deserialize)]
struct Head {
    id: String,
}

/// Returns all items in Stripe's order: newest first.
pub async fn all<F>(client: &Client, account: Option<&str>, page: F) -> Result<Vec<String>, Failure>
where
    F: Fn(Option<String>) -> RequestBuilder,
{
    let mut items: Vec<String> = Vec::new();
    let mut after = None;
    for _ in 0..MOST_PAGES {
        let body = client.read_raw(page(after), account).await?;
        let read: Page = serde_json::from_slice(&body).map_err(|_| unreadable())?;
        items.extend(read.data.iter().map(|item| item.get().to_owned()));
        if !read.has_more {
            return Ok(items);
        }
        let last = read.data.last().ok_or_else(unreadable)?;
        let head: Head = serde_json::from_str(last.get()).map_err(|_| unreadable())?;
        after = Some(head.id);
    }
    Err(Failure::unsent(
        Failure::TOO_MANY,
        "too many objects match; ask for a shorter time",
    ))
}

/// Decodes an item into the library's type, then into our type.
pub fn item<T: miniserde::Deserialize, O>(
    text: &str,
    convert: fn(T) -> Result<O, String>,
) -> Result<O, Failure> {
    let read = miniserde::json::from_str(text).map_err(|_| unreadable())?;
    convert(read).map_err(|_| unreadable())
}

pub fn unreadable() -> Failure {
    ambiguous(Ambiguity::Undecodable, false)
}
