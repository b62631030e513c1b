//! Stripe's documented test cards, by their number and by their `pm_card_…` name.

/// The behaviour of a card when it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    Succeeds,
    /// Declines with the code and the decline code.
    Declines(&'static str, Option<&'static str>),
    /// Declines as soon as it is attached to a customer.
    DeclinesAttach(&'static str, Option<&'static str>),
    /// Blocked by Stripe's fraud prevention.
    Blocked,
    /// Requires authentication each time.
    Authenticates,
    /// Requires authentication unless it was set up with it.
    AuthenticatesUnlessSetUp,
    /// Requires authentication, and declines after it.
    AuthenticatesThenDeclines(&'static str, Option<&'static str>),
    /// Succeeds, and is disputed for this reason right after the capture.
    Disputes(&'static str),
    /// Succeeds, and the bank opens an inquiry right after the capture, which takes no money back.
    Inquires,
    /// Refunds succeed at first and fail later.
    RefundFails,
    /// Refunds are pending at first and succeed later.
    RefundPends,
}

#[derive(Debug)]
pub struct Card {
    pub number: &'static str,
    pub name: &'static str,
    pub brand: &'static str,
    pub behaviour: Behaviour,
}

impl Card {
    pub fn last4(&self) -> &str {
        &self.number[self.number.len() - 4..]
    }
}

const DECLINED: &str = "card_declined";

pub const CARDS: &[Card] = &[
    card("4242424242424242", "visa", "visa", Behaviour::Succeeds),
    card(
        "4000056655665556",
        "visa_debit",
        "visa",
        Behaviour::Succeeds,
    ),
    card(
        "5555555555554444",
        "mastercard",
        "mastercard",
        Behaviour::Succeeds,
    ),
    card(
        "5200828282828210",
        "mastercard_debit",
        "mastercard",
        Behaviour::Succeeds,
    ),
    card("378282246310005", "amex", "amex", Behaviour::Succeeds),
    card(
        "6011111111111117",
        "discover",
        "discover",
        Behaviour::Succeeds,
    ),
    card("3056930009020004", "diners", "diners", Behaviour::Succeeds),
    card("3566002020360505", "jcb", "jcb", Behaviour::Succeeds),
    card(
        "6200000000000005",
        "unionpay",
        "unionpay",
        Behaviour::Succeeds,
    ),
    card(
        "4000000000000077",
        "bypassPending",
        "visa",
        Behaviour::Succeeds,
    ),
    card(
        "4000000000000002",
        "chargeDeclined",
        "visa",
        Behaviour::DeclinesAttach(DECLINED, Some("generic_decline")),
    ),
    card(
        "4000000000009995",
        "chargeDeclinedInsufficientFunds",
        "visa",
        Behaviour::DeclinesAttach(DECLINED, Some("insufficient_funds")),
    ),
    card(
        "4000000000009987",
        "chargeDeclinedLostCard",
        "visa",
        Behaviour::DeclinesAttach(DECLINED, Some("lost_card")),
    ),
    card(
        "4000000000009979",
        "chargeDeclinedStolenCard",
        "visa",
        Behaviour::DeclinesAttach(DECLINED, Some("stolen_card")),
    ),
    card(
        "4000000000000069",
        "chargeDeclinedExpiredCard",
        "visa",
        Behaviour::DeclinesAttach("expired_card", None),
    ),
    card(
        "4000000000000127",
        "chargeDeclinedIncorrectCvc",
        "visa",
        Behaviour::DeclinesAttach("incorrect_cvc", None),
    ),
    card(
        "4000000000000119",
        "chargeDeclinedProcessingError",
        "visa",
        Behaviour::DeclinesAttach("processing_error", None),
    ),
    card(
        "4000000000006975",
        "chargeDeclinedVelocityLimitExceeded",
        "visa",
        Behaviour::DeclinesAttach(DECLINED, Some("card_velocity_exceeded")),
    ),
    card(
        "4000000000000341",
        "chargeCustomerFail",
        "visa",
        Behaviour::Declines(DECLINED, Some("generic_decline")),
    ),
    card("4100000000000019", "radarBlock", "visa", Behaviour::Blocked),
    card(
        "4000002760003184",
        "authenticationRequired",
        "visa",
        Behaviour::Authenticates,
    ),
    card(
        "4000000000003220",
        "threeDSecure2Required",
        "visa",
        Behaviour::Authenticates,
    ),
    card(
        "4000002500003155",
        "authenticationRequiredOnSetup",
        "visa",
        Behaviour::AuthenticatesUnlessSetUp,
    ),
    card(
        "4000008260003178",
        "authenticationRequiredChargeDeclinedInsufficientFunds",
        "visa",
        Behaviour::AuthenticatesThenDeclines(DECLINED, Some("insufficient_funds")),
    ),
    card(
        "4000000000000259",
        "createDispute",
        "visa",
        Behaviour::Disputes("fraudulent"),
    ),
    card(
        "4000000000002685",
        "createDisputeProductNotReceived",
        "visa",
        Behaviour::Disputes("product_not_received"),
    ),
    card(
        "4000000000001976",
        "createDisputeInquiry",
        "visa",
        Behaviour::Inquires,
    ),
    card(
        "4000000000005126",
        "refundFail",
        "visa",
        Behaviour::RefundFails,
    ),
    card(
        "4000000000007726",
        "pendingRefund",
        "visa",
        Behaviour::RefundPends,
    ),
];

/// The card with the name `pm_card_…`; some of Stripe's names contain the brand as well, as in
/// `pm_card_visa_chargeDeclined`.
pub fn by_name(id: &str) -> Option<&'static Card> {
    let name = id
        .strip_prefix("pm_card_")
        .or_else(|| id.strip_prefix("tok_"))?;
    let bare = name.strip_prefix("visa_").unwrap_or(name);
    let find = |name: &str| CARDS.iter().find(|card| card.name == name);
    find(name).or_else(|| find(bare))
}

pub fn by_number(number: &str) -> Option<&'static Card> {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    CARDS.iter().find(|card| card.number == digits)
}

/// Stripe's message to the cardholder.
pub fn message(code: &str, decline_code: Option<&str>) -> &'static str {
    match (code, decline_code) {
        ("expired_card", _) => "Your card has expired.",
        ("incorrect_cvc", _) => "Your card's security code is incorrect.",
        ("processing_error", _) => {
            "An error occurred while processing your card. Try again in a little bit."
        }
        ("authentication_required", _) => {
            "Your card was declined. This transaction requires authentication."
        }
        (_, Some("insufficient_funds")) => "Your card has insufficient funds.",
        (_, Some("card_velocity_exceeded")) => {
            "Your card was declined for making repeated attempts too frequently or exceeding its amount limit."
        }
        _ => "Your card was declined.",
    }
}

const fn card(
    number: &'static str,
    name: &'static str,
    brand: &'static str,
    behaviour: Behaviour,
) -> Card {
    Card {
        number,
        name,
        brand,
        behaviour,
    }
}
