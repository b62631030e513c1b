//! Accounts, transfers, prices and events.

use super::{
    calls::{answers, aud, created},
    objects::{self, list},
    script::{Script, key},
};
use crate::Method;
use chrono::TimeDelta;
use gateway::*;
use serde_json::json;

/// Method, path and parameters, percent-decoded.
pub fn sent(script: &Script, index: usize) -> (Method, String, Vec<String>) {
    let request = &script.seen()[index];
    let query = request
        .path_and_query
        .split_once('?')
        .map(|(_, query)| query);
    let form = query.unwrap_or(&request.body);
    let pairs = url::form_urlencoded::parse(form.as_bytes());
    let pairs = pairs.map(|(name, value)| format!("{name}={value}"));
    (request.method, request.path().to_owned(), pairs.collect())
}

#[tokio::test]
async fn accounts() {
    let script = answers(&[objects::account("acct_1", "org1")]);
    let new = NewAccount {
        owner: "org1".into(),
        country: "AU".into(),
        email: None,
        metadata: Metadata::new(),
    };
    let account = script
        .gateway()
        .create_account(&key("acct:org1"), &new)
        .await
        .unwrap();
    let (method, path, body) = sent(&script, 0);
    assert_eq!((method, path.as_str()), (Method::Post, "/v1/accounts"));
    let expected = [
        "capabilities[card_payments][requested]=true",
        "capabilities[transfers][requested]=true",
        "country=AU",
        "metadata[owner_id]=org1",
        "type=express",
    ];
    assert_eq!(body, expected);
    assert_eq!(account.owner.as_deref(), Some("org1"));
    assert_eq!(
        (
            account.charges_enabled,
            account.payouts_enabled,
            account.transfers_active
        ),
        (true, false, true)
    );
    assert_eq!(account.requirements_due, ["external_account"]);
    assert_eq!(
        account.disabled_reason.as_deref(),
        Some("requirements.past_due")
    );
    assert_eq!(account.default_currency, Some(aud()));

    // A missing capability counts as not allowed.
    let bare = json!({"id": "acct_1", "object": "account"});
    let script = answers(&[bare]);
    let account = script.gateway().account("acct_1").await.unwrap();
    assert!(!account.charges_enabled && !account.payouts_enabled && !account.transfers_active);

    let others = [
        objects::account("acct_2", "org2"),
        objects::account("acct_1", "org1"),
    ];
    let script = answers(&[list(&others, false)]);
    let query = FindAccounts {
        owner: "org1".into(),
        created_since: created(),
    };
    let found = script.gateway().find_accounts(&query).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id, "acct_1");

    let link = json!({
        "object": "account_link", "created": 1, "expires_at": 1_790_000_300, "url": "https://connect.example/x",
    });
    let script = answers(&[link]);
    let new = NewAccountLink {
        account: "acct_1".into(),
        refresh_url: "https://example.org/again".into(),
        return_url: "https://example.org/done".into(),
    };
    let link = script
        .gateway()
        .create_account_link(&key("link:1"), &new)
        .await
        .unwrap();
    assert_eq!(link.url.expose(), "https://connect.example/x");
    let (_, path, body) = sent(&script, 0);
    assert_eq!(path, "/v1/account_links");
    assert!(
        body.contains(&"type=account_onboarding".to_owned()),
        "{body:?}"
    );
}

#[tokio::test]
async fn transfers_and_balances() {
    let script = answers(&[objects::transfer("tr_1"), objects::reversal()]);
    let new = NewTransfer {
        amount: 2500,
        currency: aud(),
        destination: "acct_1".into(),
        transfer_group: Some("o1".into()),
        source_charge: Some("ch_1".into()),
        description: None,
        metadata: Metadata::from([("order_id".into(), "o1".into())]),
    };
    let transfer = script
        .gateway()
        .create_transfer(&key("tr:o1"), &new)
        .await
        .unwrap();
    assert_eq!((transfer.amount, transfer.amount_reversed), (2500, 1000));
    let expected = [
        "amount=2500",
        "currency=aud",
        "destination=acct_1",
        "metadata[order_id]=o1",
        "source_transaction=ch_1",
        "transfer_group=o1",
    ];
    assert_eq!(sent(&script, 0).2, expected);
    let new = NewReversal {
        transfer: "tr_1".into(),
        amount: 900,
        refund_application_fee: false,
        metadata: Metadata::new(),
    };
    let reversal = script
        .gateway()
        .reverse_transfer(&key("trr:1"), &new)
        .await
        .unwrap();
    assert_eq!((reversal.amount, reversal.transfer.as_str()), (900, "tr_1"));
    let (_, path, body) = sent(&script, 1);
    assert_eq!(
        (path.as_str(), body),
        (
            "/v1/transfers/tr_1/reversals",
            vec!["amount=900".to_owned()]
        )
    );

    let script = answers(&[
        list(&[objects::transfer("tr_1")], false),
        list(&[objects::reversal()], false),
    ]);
    let all = script.gateway().transfers("o1").await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].id, "tr_1");
    assert_eq!(
        script.gateway().reversals("tr_1").await.unwrap(),
        [reversal]
    );
    let (_, path, _) = sent(&script, 1);
    assert_eq!(path, "/v1/transfers/tr_1/reversals");

    let balance = json!({
        "object": "balance", "livemode": false,
        "available": [{"amount": 700, "currency": "usd"}, {"amount": -50, "currency": "aud"}],
        "pending": [{"amount": 2250, "currency": "aud"}],
    });
    let script = answers(&[balance.clone(), balance]);
    let lines = script.gateway().balance(Some("acct_1")).await.unwrap();
    let line = |currency: &str, available, pending| BalanceLine {
        currency: Currency::new(currency).unwrap(),
        available,
        pending,
    };
    assert_eq!(lines, [line("AUD", -50, 2250), line("USD", 700, 0)]);
    script.gateway().balance(None).await.unwrap();
    let accounts: Vec<_> = script
        .seen()
        .iter()
        .map(|seen| seen.header("stripe-account").map(str::to_owned))
        .collect();
    assert_eq!(accounts, [Some("acct_1".to_owned()), None]);
}

#[tokio::test]
async fn prices() {
    let script = answers(&[
        objects::price(),
        list(&[objects::price()], false),
        list(&[], false),
    ]);
    let new = NewPrice {
        lookup_key: "pro_month".into(),
        product_name: "Pro".into(),
        amount: 4900,
        currency: aud(),
        interval: Interval::Month,
        metadata: Metadata::new(),
    };
    let price = script
        .gateway()
        .create_price(&key("price:pro_month"), &new)
        .await
        .unwrap();
    assert_eq!(
        (price.amount, price.interval),
        (Some(4900), Some(Interval::Month))
    );
    let expected = [
        "currency=aud",
        "lookup_key=pro_month",
        "product_data[name]=Pro",
        "recurring[interval]=month",
        "unit_amount=4900",
    ];
    assert_eq!(sent(&script, 0).2, expected);
    assert_eq!(
        script.gateway().find_price("pro_month").await.unwrap(),
        Some(price)
    );
    assert!(
        sent(&script, 1)
            .2
            .contains(&"lookup_keys[0]=pro_month".to_owned())
    );
    assert_eq!(script.gateway().find_price("none").await.unwrap(), None);
}

#[tokio::test]
async fn events_are_listed_oldest_first_and_none_hides_another() {
    let strange = objects::event(
        "evt_2",
        "charge.succeeded",
        &json!({"id": "ch_1", "object": "charge"}),
    );
    let newest = objects::event("evt_3", "refund.created", &objects::refund());
    let oldest = objects::event("evt_1", "moon.risen", &json!({}));
    let script = answers(&[
        list(&[newest, strange], true),
        list(std::slice::from_ref(&oldest), false),
        oldest,
    ]);
    let gateway = script.gateway();
    let query = FindEvents {
        created_since: created(),
        created_until: Some(created() + TimeDelta::hours(1)),
        undelivered: true,
        kinds: vec!["refund.created".into(), "charge.succeeded".into()],
        account: Some("acct_1".into()),
    };
    let events = gateway.find_events(&query).await.unwrap();
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["evt_1", "evt_2", "evt_3"]);
    let expected = [
        "created[gte]=1790000000",
        "created[lt]=1790003600",
        "delivery_success=false",
        "limit=100",
        "types[0]=refund.created",
        "types[1]=charge.succeeded",
    ];
    assert_eq!(sent(&script, 0).2, expected);
    assert!(
        sent(&script, 1)
            .2
            .contains(&"starting_after=evt_2".to_owned())
    );
    assert_eq!(script.seen()[1].header("stripe-account"), Some("acct_1"));
    assert_eq!(gateway.event("evt_1", None).await.unwrap(), events[0]);
}
