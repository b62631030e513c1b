//! Purchases whose amounts can be checked by hand.

use super::*;
use crate::rule::{Charge, Scope};
use chrono::DateTime;

fn money(amount: i64, code: &str) -> Money {
    Money::new(amount, Currency::parse(code).expect(code))
}

fn line(id: u128, quantity: u32, unit_price: Money) -> Line {
    Line {
        ticket_type: Uuid::from_u128(id),
        quantity,
        unit_price,
    }
}

fn points(hundredths: i64) -> BasisPoints {
    BasisPoints::new(hundredths).expect("basis points")
}

/// A rule with 5 % and `fixed` for each ticket; a quarter of the fee is the city's.
fn rule(fixed: Money, paid_by: PaidBy) -> Rule {
    Rule {
        id: Uuid::from_u128(7),
        scope: Scope::Platform,
        charge: Charge::Ticket,
        terms: Terms {
            currency: fixed.currency(),
            percentage: points(500),
            fixed_cents: fixed.amount(),
            min_cents: 0,
            max_cents: None,
            paid_by,
            city_share: points(2_500),
        },
        valid_from: DateTime::UNIX_EPOCH,
        valid_to: None,
    }
}

fn purchase<'a>(lines: &'a [Line], rule: &'a Rule, credits: Money) -> Purchase<'a> {
    Purchase {
        currency: credits.currency(),
        lines,
        promo: None,
        rule: Ok(Some(rule)),
        city: Some(Uuid::from_u128(1)),
        credits,
    }
}

/// What the buyer pays, the parts, and how the organizer gets its part.
fn amounts(quote: &Quote) -> [i64; 8] {
    let Quote {
        total,
        parts,
        funds,
        funding,
        ..
    } = quote;
    [
        *total,
        parts.organizer,
        parts.platform,
        parts.city_share,
        funds.wallet,
        funds.card,
        funding.application_fee,
        funding.top_up,
    ]
    .map(Money::amount)
}

#[test]
fn two_tickets_and_a_free_one() {
    let aud = |amount| money(amount, "AUD");
    let lines = [line(1, 2, aud(2_500)), line(2, 1, aud(0))];
    let rule = rule(aud(30), PaidBy::Organizer);
    let mut bought = purchase(&lines, &rule, aud(0));

    // 50.00 × 5 % + 2 × 0.30 = 3.10, of which the city's are 0.775; the half cent is the platform's.
    let quote = price(&bought).expect("a quote");
    assert_eq!(quote.fee, aud(310));
    assert_eq!(amounts(&quote), [5_000, 4_690, 233, 77, 0, 5_000, 310, 0]);
    assert_eq!(quote.rule, Some(rule.id));

    // 10.00 are paid with credits: the card's 40.00 are less than the organizer's part.
    bought.credits = aud(1_000);
    let quote = price(&bought).expect("a quote");
    assert_eq!(
        amounts(&quote),
        [5_000, 4_690, 233, 77, 1_000, 4_000, 0, 690]
    );

    // A fifth off: 40.00 × 5 % + 0.60 = 2.60.
    bought.promo = Some(Promo::Percentage(points(2_000)));
    bought.credits = aud(0);
    let quote = price(&bought).expect("a quote");
    assert_eq!(
        [quote.subtotal, quote.discount, quote.gross],
        [aud(5_000), aud(1_000), aud(4_000)]
    );
    assert_eq!(amounts(&quote), [4_000, 3_740, 195, 65, 0, 4_000, 260, 0]);

    // Without a city there is no city share.
    bought.city = None;
    let quote = price(&bought).expect("a quote");
    assert_eq!(amounts(&quote), [4_000, 3_740, 260, 0, 0, 4_000, 260, 0]);
}

#[test]
fn the_fee_on_top() {
    let jpy = |amount| money(amount, "JPY");
    let lines = [line(1, 3, jpy(1_200))];
    let rule = rule(jpy(10), PaidBy::Buyer);
    // 3,600 × 5 % + 3 × 10 = 210; the city's quarter is 52.5.
    let quote = price(&purchase(&lines, &rule, jpy(0))).expect("a quote");
    assert_eq!(amounts(&quote), [3_810, 3_600, 158, 52, 0, 3_810, 210, 0]);
    let tickets = quote.tickets().expect("tickets");
    assert_eq!(tickets, [[jpy(1_270); 3]]);
}

#[test]
fn three_decimals_in_steps_of_ten() {
    let kwd = |amount| money(amount, "KWD");
    let lines = [line(1, 1, kwd(5_130))];
    let rule = rule(kwd(100), PaidBy::Organizer);
    // 5.130 × 5 % = 0.2565, in steps 0.260, and 0.100. The city's quarter is 0.090.
    let quote = price(&purchase(&lines, &rule, kwd(0))).expect("a quote");
    assert_eq!(amounts(&quote), [5_130, 4_770, 270, 90, 0, 5_130, 360, 0]);

    let odd = [line(1, 1, kwd(5_124))];
    let refused = price(&purchase(&odd, &rule, kwd(0)));
    let (amount, step) = (kwd(5_124), kwd(10));
    assert_eq!(refused, Err(Error::Step { amount, step }));
    // Neither can five of them, though their sum is a multiple of the step: a single one could not be refunded.
    let odd = [line(1, 5, kwd(5_124))];
    let refused = price(&purchase(&odd, &rule, kwd(0)));
    assert_eq!(refused, Err(Error::Step { amount, step }));
}

#[test]
fn what_costs_nothing_needs_no_rule() {
    let aud = |amount| money(amount, "AUD");
    let mut any = rule(aud(30), PaidBy::Buyer);
    any.terms.min_cents = 100;
    let free = [line(1, 4, aud(0))];
    let mut bought = purchase(&free, &any, aud(5_000));
    let quote = price(&bought).expect("a quote");
    assert_eq!(amounts(&quote), [0; 8]);
    assert_eq!((quote.rule, quote.fee_paid_by), (None, PaidBy::Organizer));

    let missing = Unresolved::NoRule(aud(0).currency());
    bought.rule = Err(missing);
    assert_eq!(price(&bought), Ok(quote));
    let paid = [line(1, 4, aud(100))];
    bought.lines = &paid;
    assert_eq!(price(&bought), Err(Error::Unresolved(missing)));
    // Unless a promo code makes it free.
    bought.promo = Some(Promo::PerTicket(aud(100)));
    assert_eq!(price(&bought).map(|quote| quote.total), Ok(aud(0)));
}

#[test]
fn purchases_that_are_none() {
    let aud = |amount| money(amount, "AUD");
    let rule = rule(aud(0), PaidBy::Organizer);
    let refused = |lines: &[Line]| price(&purchase(lines, &rule, aud(0))).err();
    let id = Uuid::from_u128(1);
    assert_eq!(refused(&[]), Some(Error::NoLines));
    assert_eq!(refused(&[line(1, 0, aud(1))]), Some(Error::NoQuantity(id)));
    assert_eq!(
        refused(&[line(1, 1, aud(900)), line(1, 2, aud(900))]),
        Some(Error::NamedTwice(id))
    );
    assert_eq!(
        refused(&[line(1, 1, aud(-1))]),
        Some(Error::Negative(aud(-1)))
    );
    assert!(matches!(
        refused(&[line(1, 1, aud(900)), line(2, 1, money(900, "JPY"))]),
        Some(Error::Mismatch { .. })
    ));
    assert_eq!(
        refused(&[line(1, u32::MAX, aud(i64::MAX))]),
        Some(Error::Overflow)
    );
}
