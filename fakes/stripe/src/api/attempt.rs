//! The answer of a card to an attempt: the part that payment and setup intents have in common.

use super::payment_method;
use crate::{
    card::{self, Behaviour},
    error::{ApiError, Result},
    json::Fields,
    world::{Call, World},
};
use serde_json::{Value, json};

/// The conditions of an attempt.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    pub authenticated: bool,
    /// The buyer is absent and can't authenticate.
    pub off_session: bool,
    pub error_on_action: bool,
    /// The card is to be saved, not charged.
    pub set_up: bool,
}

pub enum Answer {
    Yes,
    /// The buyer must authenticate.
    Action,
    No(Box<ApiError>),
}

pub fn ask(method: &Value, terms: Terms) -> Answer {
    let behaviour = payment_method::card_of(method).behaviour;
    let asks = match behaviour {
        Behaviour::Authenticates | Behaviour::AuthenticatesThenDeclines(..) => true,
        Behaviour::AuthenticatesUnlessSetUp => !method.is("_set_up"),
        _ => false,
    };
    if asks && !terms.authenticated {
        if terms.off_session || terms.error_on_action {
            let code = "authentication_required";
            let decline = terms.off_session.then_some(code);
            return Answer::No(ApiError::card(code, decline, card::message(code, decline)));
        }
        return Answer::Action;
    }
    let decline = |code, decline_code| {
        Answer::No(ApiError::card(
            code,
            decline_code,
            card::message(code, decline_code),
        ))
    };
    match behaviour {
        Behaviour::DeclinesAttach(code, decline_code) => decline(code, decline_code),
        // These cards can be saved, and decline only when they are charged.
        _ if terms.set_up => Answer::Yes,
        Behaviour::Declines(code, decline_code)
        | Behaviour::AuthenticatesThenDeclines(code, decline_code) => decline(code, decline_code),
        Behaviour::Blocked => decline("card_declined", Some("fraudulent")),
        _ => Answer::Yes,
    }
}

/// The error on an intent whose buyer failed to authenticate.
pub fn unauthenticated(of_setup: bool) -> Box<ApiError> {
    let (code, message) = match of_setup {
        true => (
            "setup_intent_authentication_failure",
            "The latest attempt to set up the payment method has failed because authentication failed.",
        ),
        false => (
            "payment_intent_authentication_failure",
            "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new \
             PaymentMethod to attempt to fulfill this PaymentIntent again.",
        ),
    };
    ApiError::invalid(code, message)
}

/// The redirect to the page of the fake where the buyer authenticates.
pub fn next_action(world: &World, intent: &Value, page: &str, return_url: Option<&str>) -> Value {
    let url = format!(
        "{}/_fake/{page}/{}?client_secret={}",
        world.config.base_url,
        intent.str("id"),
        intent.str("client_secret")
    );
    match return_url {
        Some(back) => json!({
            "type": "redirect_to_url",
            "redirect_to_url": { "return_url": back, "url": url },
        }),
        None => json!({
            "type": "use_stripe_sdk",
            "use_stripe_sdk": { "type": "three_d_secure_redirect", "stripe_js": url },
        }),
    }
}

/// The payment method that a call names by id, or creates from data. Checks first that the intent may use it.
pub fn chosen(world: &mut World, call: &Call, customer: Option<&str>) -> Result<Option<String>> {
    let params = &call.params;
    if params.has_below("payment_method_data") {
        let data = params.below("payment_method_data");
        return payment_method::create_from(world, call, &data, "payment_method_data[card]")
            .map(Some);
    }
    let Some(id) = params.text("payment_method") else {
        return Ok(None);
    };
    payment_method::check_named(world, call, "payment_method", id)?;
    if !id.starts_with("pm_card_") {
        check_use(world.object(id), customer)?;
    }
    payment_method::resolve(world, call, "payment_method", id).map(Some)
}

/// Checks that a customer's card is only used for that customer. A card without a customer can be used once.
pub fn check_use(method: &Value, customer: Option<&str>) -> Result<()> {
    match method.maybe("customer") {
        Some(owner) if Some(owner) != customer => Err(ApiError::invalid(
            "payment_method_customer_mismatch",
            format!(
                "The provided PaymentMethod cannot be used: it belongs to another Customer ({owner}). Please supply \
                 the Customer in the `customer` param."
            ),
        )
        .param("payment_method")),
        None if method.is("_spent") => Err(payment_method::spent()),
        _ => Ok(()),
    }
}
