//! Refunding a payment, possibly in several refunds: how each refund is divided among the parts of the payment, and
//! whether it goes to the card or the wallet.
//!
//! A part of a refund is that part's cumulative amount after the refund less its cumulative amount before. Only
//! cumulative amounts are rounded, not each refund, so rounding errors do not add up, and the last refund gives back
//! exactly what is left.
//!
//! Three parts that are rounded separately need not sum to the refund. Dividing by largest remainder among three is
//! not possible either: a part can get *less* of a larger sum (the Alabama paradox), and the refund in between would
//! be negative. With two parts neither can happen. So a refund is divided twice in two, as the payment was: into
//! organizer and commission, and the commission into platform and city.

use crate::{
    amount::Money,
    commission::two,
    error::{Error, Result},
    funding::Funds,
    share::{Parts, by_weights},
};

/// The cumulative refund of each part once `refunded` of the payment has been given back in total.
pub fn cumulative(paid: &Parts, refunded: Money) -> Result<Parts> {
    let total = paid.total()?;
    if refunded.not_negative()?.compare(total)?.is_gt() {
        return Err(Error::RefundTooLarge {
            asked: refunded,
            left: total,
        });
    }
    let commission = paid.platform.plus(paid.city_share)?;
    let [organizer, of_commission] = between(refunded, paid.organizer, commission)?;
    let [platform, city_share] = between(of_commission, paid.platform, paid.city_share)?;
    Ok(Parts {
        organizer,
        platform,
        city_share,
    })
}

/// The parts of a refund of `amount` after refunds of `already`. Refuses more than is left.
pub fn parts(paid: &Parts, already: Money, amount: Money) -> Result<Parts> {
    let left = paid.total()?.minus(already)?;
    if amount.not_negative()?.compare(left)?.is_gt() {
        return Err(Error::RefundTooLarge {
            asked: amount,
            left,
        });
    }
    let by_now = cumulative(paid, already.plus(amount)?)?;
    by_now.minus(&cumulative(paid, already)?)
}

/// Where the buyer wants the refund to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// To the card, up to what was charged and not yet refunded; the rest was paid with credits and becomes credits
    /// again.
    Card,
    /// All of it becomes credits, including what was paid by card.
    Wallet,
}

/// How much of a refund of `amount`, after refunds of `already`, goes to the wallet and to the card. Refuses more than
/// is left.
pub fn destination(paid: &Funds, already: &Funds, amount: Money, to: To) -> Result<Funds> {
    let left = paid.total()?.minus(already.total()?)?;
    if amount.not_negative()?.compare(left)?.is_gt() {
        return Err(Error::RefundTooLarge {
            asked: amount,
            left,
        });
    }
    amount.quanta()?;
    let card = match to {
        To::Card => amount.min(paid.card.minus(already.card)?.not_negative()?)?,
        To::Wallet => Money::zero(amount.currency()),
    };
    Ok(Funds {
        wallet: amount.minus(card)?,
        card,
    })
}

/// Divides in proportion to two parts; a tie of half a quantum goes to the first.
fn between(refunded: Money, first: Money, second: Money) -> Result<[Money; 2]> {
    two(by_weights(refunded, &[first.quanta()?, second.quanta()?])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::currency::Currency;

    fn aud(amount: i64) -> Money {
        Money::new(amount, Currency::parse("AUD").expect("AUD"))
    }

    fn paid(organizer: i64, platform: i64, city_share: i64) -> Parts {
        Parts {
            organizer: aud(organizer),
            platform: aud(platform),
            city_share: aud(city_share),
        }
    }

    fn amounts(parts: &Parts) -> [i64; 3] {
        [parts.organizer, parts.platform, parts.city_share].map(Money::amount)
    }

    /// 10.00 in three refunds: of these 9.33 were the organizer's part, 0.50 the platform's, and 0.17 the city's.
    #[test]
    fn thirds_return_every_cent() {
        let paid = paid(933, 50, 17);
        let mut already = aud(0);
        let mut back = Vec::new();
        for amount in [334, 333, 333] {
            back.push(amounts(&parts(&paid, already, aud(amount)).expect("parts")));
            already = already.plus(aud(amount)).expect("a sum");
        }
        // Cumulative parts after each refund: 312 16 6 (exactly 311.6 16.7 5.7), 622 34 11 (exactly 622.3 33.4 11.3),
        // and everything.
        assert_eq!(back, [[312, 16, 6], [310, 18, 5], [311, 16, 6]]);
        let more = parts(&paid, already, aud(1));
        let (asked, left) = (aud(1), aud(0));
        assert_eq!(more, Err(Error::RefundTooLarge { asked, left }));
    }

    #[test]
    fn an_order_that_cost_nothing_gives_nothing_back() {
        assert_eq!(parts(&paid(0, 0, 0), aud(0), aud(0)), Ok(paid(0, 0, 0)));
    }

    fn funds(wallet: i64, card: i64) -> Funds {
        Funds {
            wallet: aud(wallet),
            card: aud(card),
        }
    }

    #[test]
    fn the_card_gets_at_most_what_it_was_charged() {
        let paid = funds(300, 700);
        let to = |already: Funds, amount, to| destination(&paid, &already, aud(amount), to);
        assert_eq!(to(funds(0, 0), 400, To::Card), Ok(funds(0, 400)));
        assert_eq!(to(funds(0, 400), 400, To::Card), Ok(funds(100, 300)));
        assert_eq!(to(funds(0, 400), 600, To::Wallet), Ok(funds(600, 0)));
        // A buyer who took credits for a part that was paid by card can still get the rest back, and no more.
        assert_eq!(to(funds(600, 0), 400, To::Card), Ok(funds(0, 400)));
        let (asked, left) = (aud(401), aud(400));
        assert_eq!(
            to(funds(600, 0), 401, To::Wallet),
            Err(Error::RefundTooLarge { asked, left })
        );
    }
}
