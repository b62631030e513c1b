//! Funding: the organizer gets the whole part, however much was paid by card and with credits.

use crate::{Verdict, count, currencies, holds, is_refuted, money, quanta};
use money::{Currency, Error, Funding, Funds, Money, Result, card, funding};
use proptest::prelude::*;

/// Random payments: the amounts by credits and by card, and the organizer's share in ten-thousandths.
fn payments() -> impl Strategy<Value = (Currency, i64, i64, i64)> {
    (currencies(), quanta(), quanta(), 0..=10_000_i64)
}

type Fund = fn(&Funds, Money) -> Result<Funding>;

/// Follows the money: from the card to the organizer's account, the fee back to the platform, and the top-up from
/// there.
fn arrives((currency, wallet, card, share): (Currency, i64, i64, i64), fund: Fund) -> Verdict {
    let total = wallet + card;
    let organizer = i64::try_from(i128::from(total) * i128::from(share) / 10_000).expect("a part");
    let paid = Funds {
        wallet: money(wallet, currency),
        card: money(card, currency),
    };
    let Funding {
        application_fee,
        top_up,
    } = fund(&paid, money(organizer, currency)).expect("funding");
    let (fee, top_up) = (count(application_fee), count(top_up));
    prop_assert!(fee >= 0 && top_up >= 0, "fee {fee}, top-up {top_up}");
    prop_assert!(fee <= i128::from(card), "the fee is taken of the charge");
    prop_assert!(fee == 0 || top_up == 0, "not there and back");
    let account = i128::from(card) - fee + top_up;
    // Spent credits are no debt to the buyer any more, so their amount belongs to the platform.
    let platform = i128::from(wallet) + fee - top_up;
    prop_assert_eq!(account, i128::from(organizer));
    prop_assert_eq!(platform, i128::from(total - organizer));
    Ok(())
}

#[test]
fn t12_the_organizer_gets_the_same_however_it_is_paid() {
    holds(&payments(), |case| arrives(case, funding::funding));
    is_refuted(&payments(), |case| arrives(case, without_top_up));
    is_refuted(&payments(), |case| arrives(case, credits_in_full));
}

/// Bug: computes the fee as if everything were paid by card.
fn without_top_up(paid: &Funds, organizer: Money) -> Result<Funding> {
    Ok(Funding {
        application_fee: paid.total()?.minus(organizer)?.min(paid.card)?,
        top_up: Money::zero(organizer.currency()),
    })
}

/// Bug: transfers the credits in full and takes the fee from the card's part only.
fn credits_in_full(paid: &Funds, organizer: Money) -> Result<Funding> {
    Ok(Funding {
        application_fee: paid.total()?.minus(organizer)?.min(paid.card)?,
        top_up: paid.wallet,
    })
}

type Pay = fn(Money, Money) -> Result<Funds>;

/// The whole total is paid, and the card's part is chargeable. If the payment is refused, following the error's advice
/// works.
fn can_be_charged((currency, total, credits, odd): (Currency, i64, i64, i64), pay: Pay) -> Verdict {
    let total = money(total, currency);
    // Credits, unlike prices, need not be multiples of the quantum.
    let credits = Money::new(money(credits, currency).amount() + odd % 10, currency);
    let paid = match pay(total, credits) {
        Ok(paid) => paid,
        Err(Error::CardMinimum {
            credits_at_most, ..
        }) => {
            let enough = [Some(total), credits_at_most];
            for advised in enough.into_iter().flatten() {
                let paid = pay(total, advised).expect("what was advised");
                prop_assert_eq!(paid.wallet, advised);
            }
            return Ok(());
        }
        Err(Error::CardMaximum {
            credits_at_least, ..
        }) => {
            for advised in [total, credits_at_least] {
                let paid = pay(total, advised).expect("what was advised");
                prop_assert_eq!(paid.wallet, advised);
            }
            return Ok(());
        }
        Err(other) => return Err(TestCaseError::fail(other.to_string())),
    };
    prop_assert_eq!(paid.total(), Ok(total));
    prop_assert!(paid.wallet.compare(credits).expect("one currency").is_le());
    prop_assert!(!paid.wallet.is_negative() && !paid.card.is_negative());
    let sent = card::to_processor(paid.card);
    prop_assert!(sent.is_ok(), "{sent:?}");
    let minimum = card::minimum(currency);
    let enough = paid.card.compare(minimum).expect("one currency").is_ge();
    prop_assert!(paid.card.is_zero() || enough, "{:?}", paid);
    Ok(())
}

#[test]
fn t12_cards_are_charged_what_they_can_be() {
    holds(&payments(), |case| can_be_charged(case, funding::pay));
    is_refuted(&payments(), |case| can_be_charged(case, rest_by_card));
    is_refuted(&payments(), |case| can_be_charged(case, to_the_last_fils));
}

/// Bug: charges the rest to the card even if it is below the minimum.
fn rest_by_card(total: Money, credits: Money) -> Result<Funds> {
    let quantum = i64::try_from(card::quantum(total.currency())).expect("a small number");
    let wallet = credits.min(total)?;
    let wallet = Money::new(wallet.amount() / quantum * quantum, total.currency());
    Ok(Funds {
        wallet,
        card: total.minus(wallet)?,
    })
}

/// Bug: uses credits to the last minor unit, so that the rest is not a multiple of the quantum.
fn to_the_last_fils(total: Money, credits: Money) -> Result<Funds> {
    let paid = funding::pay(total, credits)?;
    let wallet = credits.min(total)?;
    if paid.card.is_zero() {
        return Ok(paid);
    }
    Ok(Funds {
        wallet,
        card: total.minus(wallet)?,
    })
}
