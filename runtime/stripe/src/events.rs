//! Lists events. They are read without types, as are events that arrive by webhook.

use crate::{
    client::{Client, part},
    list::{self, PAGE, unreadable},
};
use gateway::{Envelope, Failure, FindEvents};
use stripe_client_core::StripeRequest;
use stripe_core::event::{ListEvent, RetrieveEvent};
use stripe_types::{RangeBoundsTs, RangeQueryTs};

pub async fn find(client: &Client, query: &FindEvents) -> Result<Vec<Envelope>, Failure> {
    let created = RangeQueryTs::Bounds(RangeBoundsTs {
        gt: None,
        gte: Some(query.created_since.timestamp()),
        lt: query.created_until.map(|until| until.timestamp()),
        lte: None,
    });
    let page = |after: Option<String>| {
        let mut request = ListEvent::new().created(created).limit(PAGE);
        if query.undelivered {
            request = request.delivery_success(false);
        }
        if !query.kinds.is_empty() {
            request = request.types(query.kinds.clone());
        }
        if let Some(after) = after {
            request = request.starting_after(after);
        }
        request.build()
    };
    let items = list::all(client, query.account.as_deref(), page).await?;
    items
        .iter()
        .rev()
        .map(|text| envelope(text.as_bytes()))
        .collect()
}

pub async fn event(client: &Client, id: &str, account: Option<&str>) -> Result<Envelope, Failure> {
    let request = RetrieveEvent::new(part(id)?).build();
    envelope(&client.read_raw(request, account).await?)
}

fn envelope(text: &[u8]) -> Result<Envelope, Failure> {
    Envelope::parse(text).map_err(|_| unreadable())
}
