//! Connected accounts, and the links by which their owners complete the onboarding.

use crate::{
    error::{ApiError, Result},
    event,
    json::{Fields, empty_list},
    region,
    world::{Call, World},
};
use serde_json::{Value, json};

const WRITE: &[&str] = &[
    "email",
    "metadata[*]",
    "business_type",
    "business_profile[*]",
    "default_currency",
    "capabilities[card_payments][requested]",
    "capabilities[transfers][requested]",
    "settings[*]",
    "tos_acceptance[*]",
];

const NEEDED: [&str; 3] = [
    "business_profile.url",
    "external_account",
    "tos_acceptance.date",
];

const LINK_SECONDS: i64 = 5 * 60;

pub fn create(world: &mut World, call: &Call) -> Result<Value> {
    let params = &call.params;
    params.allow(&[WRITE, &["type", "country", "controller[*]"]].concat())?;
    let kind = params.choice("type", &["standard", "express", "custom"])?;
    let kind = match (kind, params.has_below("controller")) {
        (Some(_), true) => {
            return Err(ApiError::parameter(
                "parameter_unknown",
                "controller",
                "You may not provide the `type` parameter and `controller` parameters simultaneously.".to_owned(),
            ));
        }
        (Some(kind), false) => kind,
        (None, true) => "none",
        (None, false) => "standard",
    };
    let country = params
        .text("country")
        .unwrap_or(&world.config.country)
        .to_ascii_uppercase();
    if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(ApiError::parameter(
            "country_unsupported",
            "country",
            format!("{country} is not currently supported by Stripe."),
        ));
    }
    let id = world.new_id("acct").replace('_', "_1");
    let mut account = json!({
        "id": id,
        "object": "account",
        "business_profile": {
            "annual_revenue": null, "estimated_worker_count": null, "mcc": null,
            "minority_owned_business_designation": null, "name": null, "product_description": null,
            "support_address": null, "support_email": null, "support_phone": null, "support_url": null, "url": null,
        },
        "business_type": null,
        "capabilities": {},
        "charges_enabled": false,
        "controller": { "type": "application", "is_controller": true },
        "country": country,
        "created": world.now,
        "default_currency": default_currency(&country),
        "details_submitted": false,
        "email": null,
        "external_accounts": empty_list(&format!("/v1/accounts/{id}/external_accounts")),
        "future_requirements": requirements(&[], None),
        "metadata": {},
        "payouts_enabled": false,
        "requirements": requirements(&NEEDED, Some("requirements.past_due")),
        "settings": {
            "bacs_debit_payments": { "display_name": null, "service_user_number": null },
            "branding": { "icon": null, "logo": null, "primary_color": null, "secondary_color": null },
            "card_issuing": { "tos_acceptance": { "date": null, "ip": null } },
            "card_payments": {
                "decline_on": { "avs_failure": false, "cvc_failure": false }, "statement_descriptor_prefix": null,
                "statement_descriptor_prefix_kana": null, "statement_descriptor_prefix_kanji": null,
            },
            "dashboard": { "display_name": null, "timezone": "Etc/UTC" },
            "invoices": { "default_account_tax_ids": null, "hosted_payment_method_save": "offer" },
            "payments": {
                "statement_descriptor": null, "statement_descriptor_kana": null, "statement_descriptor_kanji": null,
            },
            "payouts": {
                "debit_negative_balances": true, "schedule": { "delay_days": 2, "interval": "daily" },
                "statement_descriptor": null,
            },
            "sepa_debit_payments": {},
        },
        "tos_acceptance": { "date": null, "ip": null, "user_agent": null },
        "type": kind,
    });
    write(call, &mut account)?;
    if kind == "standard"
        || account["capabilities"]
            .as_object()
            .is_some_and(serde_json::Map::is_empty)
    {
        account["capabilities"] = json!({ "card_payments": "inactive", "transfers": "inactive" });
    }
    world.insert("accounts", account);
    event::emit(world, "account.updated", &id);
    Ok(world.object(&id).clone())
}

pub fn update(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(WRITE)?;
    let mut account = connected(world, id)?.clone();
    write(call, &mut account)?;
    *world.edit(id) = account;
    event::emit(world, "account.updated", id);
    Ok(world.object(id).clone())
}

pub fn get(world: &World, id: &str) -> Result<Value> {
    connected(world, id).cloned()
}

/// The account that makes the call: a connected one, or the platform.
pub fn own(world: &World, call: &Call) -> Result<Value> {
    match &call.account {
        Some(id) => get(world, id),
        None => Ok(json!({
            "id": "acct_1FakePlatform", "object": "account", "charges_enabled": true,
            "country": world.config.country, "default_currency": default_currency(&world.config.country), "details_submitted": true, "payouts_enabled": true, "type": "standard",
        })),
    }
}

pub fn list(world: &World, call: &Call) -> Result<Value> {
    call.params
        .allow(&["limit", "starting_after", "ending_before", "created[*]"])?;
    world.page("accounts", call, |account| !account.is("_deauthorized"))
}

pub fn delete(world: &mut World, id: &str) -> Result<Value> {
    connected(world, id)?;
    if world
        .ledger
        .balances_of(id)
        .values()
        .any(|amount| *amount != 0)
    {
        let message = "An account with a balance can't be deleted.";
        return Err(ApiError::invalid("balance_not_zero", message));
    }
    world.edit(id)["deleted"] = json!(true);
    Ok(json!({ "id": id, "object": "account", "deleted": true }))
}

/// Checks whether money can go to the account: it exists, may take transfers, and accepts the currency.
pub fn payable(world: &World, param: &str, id: &str, currency: &str) -> Result<()> {
    let Ok(account) = connected(world, id) else {
        return Err(ApiError::no_such("destination", id, param));
    };
    if account["capabilities"].str("transfers") != "active" {
        return Err(ApiError::invalid(
            "insufficient_capabilities_for_transfer",
            "Your destination account needs to have at least one of the following capabilities enabled: transfers, \
             crypto_transfers, legacy_payments",
        )
        .param(param));
    }
    let refused = account["_refused_currencies"].as_array();
    if refused.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(currency))) {
        return Err(ApiError::invalid(
            "currency_not_supported",
            format!("The destination account {id} does not accept {currency}."),
        )
        .param(param));
    }
    Ok(())
}

/// Checks whether the account can be the merchant of a payment: it must also be able to take cards.
pub fn merchant(world: &World, id: &str, currency: &str) -> Result<()> {
    let param = "on_behalf_of";
    payable(world, param, id, currency)?;
    match connected(world, id)?["capabilities"].str("card_payments") {
        "active" => Ok(()),
        _ => Err(ApiError::invalid(
            "account_invalid",
            "The account referenced in the 'on_behalf_of' parameter is missing the required capabilities: \
             card_payments.",
        )
        .param(param)),
    }
}

/// The country of an account, if it is outside the platform's region.
pub fn abroad<'a>(world: &'a World, id: &str) -> Option<&'a str> {
    let country = world.get(id)?.str("country");
    (region::of(country) != region::of(&world.config.country)).then_some(country)
}

pub fn create_link(world: &mut World, call: &Call) -> Result<Value> {
    let params = &call.params;
    params.allow(&[
        "account",
        "type",
        "refresh_url",
        "return_url",
        "collect",
        "collection_options[*]",
    ])?;
    let id = params.required("account")?;
    let kinds = ["account_onboarding", "account_update"];
    params.required("type")?;
    params.choice("type", &kinds)?;
    let (refresh, back) = (
        params.required("refresh_url")?,
        params.required("return_url")?,
    );
    connected(world, id)?;
    let token = world.token(12);
    let url = format!("{}/_fake/onboard/{id}/{token}", world.config.base_url);
    let expires = world.now + LINK_SECONDS;
    world.edit(id)["_link"] = json!({
        "token": token, "expires_at": expires, "refresh_url": refresh, "return_url": back,
    });
    Ok(json!({ "object": "account_link", "created": world.now, "expires_at": expires, "url": url }))
}

/// Completes the onboarding: the owner has given all information, and it was accepted.
pub fn onboarded(world: &mut World, id: &str) {
    let account = world.edit(id);
    account["details_submitted"] = json!(true);
    account["charges_enabled"] = json!(true);
    account["payouts_enabled"] = json!(true);
    account["requirements"] = requirements(&[], None);
    for (_, state) in account["capabilities"]
        .as_object_mut()
        .into_iter()
        .flatten()
    {
        *state = json!("active");
    }
    event::emit(world, "account.updated", id);
}

/// Changes what the account can do, as Stripe or the owner would.
pub fn change(world: &mut World, id: &str, change: &Value) -> Result<()> {
    connected(world, id)?;
    let account = world.edit(id);
    for flag in ["charges_enabled", "payouts_enabled", "details_submitted"] {
        if let Some(value) = change.get(flag).and_then(Value::as_bool) {
            account[flag] = json!(value);
        }
    }
    if let Some(due) = change.get("currently_due").and_then(Value::as_array) {
        let due: Vec<&str> = due.iter().filter_map(Value::as_str).collect();
        let disabled = (!account.is("charges_enabled")).then_some("requirements.past_due");
        account["requirements"] = requirements(&due, disabled);
    }
    for (name, state) in change
        .get("capabilities")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        account["capabilities"][name] = state.clone();
    }
    if let Some(refused) = change.get("refused_currencies") {
        account["_refused_currencies"] = refused.clone();
    }
    event::emit(world, "account.updated", id);
    Ok(())
}

/// The owner revokes the platform's access.
pub fn deauthorize(world: &mut World, id: &str) -> Result<()> {
    connected(world, id)?;
    let application = json!({
        "id": "ca_fake", "object": "application", "name": "Platform", "_account": id,
    });
    event::emit_object(world, "account.application.deauthorized", &application);
    world.edit(id)["_deauthorized"] = json!(true);
    Ok(())
}

fn default_currency(country: &str) -> &'static str {
    match country {
        "AU" => "aud",
        "CA" => "cad",
        "CH" | "LI" => "chf",
        "DK" => "dkk",
        "GB" => "gbp",
        "JP" => "jpy",
        "NO" => "nok",
        "NZ" => "nzd",
        "PL" => "pln",
        "SE" => "sek",
        "SG" => "sgd",
        "US" => "usd",
        _ => "eur",
    }
}

fn requirements(due: &[&str], disabled: Option<&str>) -> Value {
    json!({
        "alternatives": [], "current_deadline": null, "currently_due": due, "disabled_reason": disabled,
        "errors": [], "eventually_due": due, "past_due": due, "pending_verification": [],
    })
}

fn write(call: &Call, account: &mut Value) -> Result<()> {
    let params = &call.params;
    for field in ["email", "default_currency"] {
        if let Some(value) = params.text(field) {
            account[field] = json!(value);
        }
    }
    let types = ["company", "government_entity", "individual", "non_profit"];
    if let Some(kind) = params.choice("business_type", &types)? {
        account["business_type"] = json!(kind);
    }
    let profile = params.below("business_profile");
    let fields = [
        "mcc",
        "name",
        "product_description",
        "support_email",
        "support_phone",
        "support_url",
        "url",
    ];
    profile.allow(&fields)?;
    for field in fields {
        if let Some(value) = profile.text(field) {
            account["business_profile"][field] = json!(value);
        }
    }
    for capability in ["card_payments", "transfers"] {
        let asked = params.flag(&format!("capabilities[{capability}][requested]"))?;
        if asked == Some(true) && account["capabilities"].get(capability).is_none() {
            let state = if account.is("charges_enabled") {
                "active"
            } else {
                "inactive"
            };
            account["capabilities"][capability] = json!(state);
        }
    }
    params.metadata(account)
}

/// An account that the platform still has access to.
fn connected<'a>(world: &'a World, id: &str) -> Result<&'a Value> {
    let found = world
        .get(id)
        .filter(|account| account.str("object") == "account");
    let found = found.filter(|account| !account.is("_deauthorized") && !account.is("deleted"));
    found.ok_or_else(|| ApiError::account_invalid(id))
}
