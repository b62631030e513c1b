//! Refunds in any number of steps: the parts that they are taken from, and where they go.

use crate::{Verdict, count, currencies, holds, is_refuted, money, nearest, quanta};
use money::{
    Currency, Funds, Money, Parts, Result,
    refund::{self, To},
    share::by_weights,
};
use proptest::prelude::*;

/// Random payments: the organizer's, platform's and city's parts, and refunds in thousandths of what is left.
fn refunds() -> impl Strategy<Value = (Currency, [i64; 3], Vec<i64>)> {
    let pieces = prop::collection::vec(1..=1_000_i64, 0..8);
    (currencies(), [quanta(), quanta(), quanta()], pieces)
}

fn whole(currency: Currency, [organizer, platform, city_share]: [i64; 3]) -> Parts {
    Parts {
        organizer: money(organizer, currency),
        platform: money(platform, currency),
        city_share: money(city_share, currency),
    }
}

fn each(parts: &Parts) -> [i128; 3] {
    [parts.organizer, parts.platform, parts.city_share].map(count)
}

/// The amounts of the refunds; their sum is the whole payment.
fn amounts(total: i64, pieces: &[i64]) -> Vec<i64> {
    let mut left = total;
    let mut amounts = Vec::new();
    for piece in pieces {
        let amount = i64::try_from(i128::from(left) * i128::from(*piece) / 1_000).expect("a piece");
        amounts.push(amount);
        left -= amount;
    }
    amounts.push(left);
    amounts
}

/// Computes the parts of a refund from the parts that were paid, the parts already refunded, and the refund's amount.
type Step = fn(&Parts, &Parts, Money) -> Result<Parts>;

fn step(paid: &Parts, already: &Parts, amount: Money) -> Result<Parts> {
    refund::parts(paid, already.total()?, amount)
}

/// Every refund is the sum of its parts, none of which is negative; no part's total exceeds what was paid or deviates
/// from its proportion by a quantum; and at the end everything has been refunded.
fn returns_everything(
    (currency, parts, pieces): (Currency, [i64; 3], Vec<i64>),
    step: Step,
) -> Verdict {
    let paid = whole(currency, parts);
    let total: i64 = parts.iter().sum();
    let mut already = Parts::none(currency);
    for amount in amounts(total, &pieces) {
        let back = match step(&paid, &already, money(amount, currency)) {
            Ok(back) => back,
            Err(refused) => return Err(TestCaseError::fail(refused.to_string())),
        };
        prop_assert_eq!(each(&back).iter().sum::<i128>(), i128::from(amount));
        prop_assert!(each(&back).iter().all(|part| *part >= 0), "{back:?}");
        already = already.plus(&back).expect("a sum");
        let refunded: i128 = each(&already).iter().sum();
        for (back, part) in each(&already).into_iter().zip(parts.map(i128::from)) {
            prop_assert!(back <= part, "{back} of {part}");
            let off = back * i128::from(total) - part * refunded;
            prop_assert!(off.abs() < i128::from(total).max(1), "{back} of {part}");
        }
    }
    prop_assert_eq!(already, paid);
    Ok(())
}

#[test]
fn t12_partial_refunds_return_every_part() {
    holds(&refunds(), |case| returns_everything(case, step));
    is_refuted(&refunds(), |case| {
        returns_everything(case, parts_rounded_alone)
    });
    is_refuted(&refunds(), |case| {
        returns_everything(case, each_refund_rounded)
    });
    is_refuted(&refunds(), |case| returns_everything(case, three_at_once));
}

/// Bug: `round(part × refunded / gross) − already` for each of the three parts.
fn parts_rounded_alone(paid: &Parts, already: &Parts, amount: Money) -> Result<Parts> {
    let by_now = count(already.total()?.plus(amount)?);
    let total = count(paid.total()?).max(1);
    let [organizer, platform, city_share] =
        each(paid).map(|part| i64::try_from(nearest(part, by_now, total)).expect("a part"));
    whole(amount.currency(), [organizer, platform, city_share]).minus(already)
}

/// Bug: rounds each refund instead of the cumulative amounts.
fn each_refund_rounded(paid: &Parts, _already: &Parts, amount: Money) -> Result<Parts> {
    refund::cumulative(paid, amount)
}

/// Bug: divides the cumulative amount by largest remainder among the three parts.
fn three_at_once(paid: &Parts, already: &Parts, amount: Money) -> Result<Parts> {
    let weights = each(paid).map(|part| u64::try_from(part).expect("a part"));
    let by_now = by_weights(already.total()?.plus(amount)?, &weights)?;
    let by_now = Parts {
        organizer: by_now[0],
        platform: by_now[1],
        city_share: by_now[2],
    };
    by_now.minus(already)
}

/// All payments up to 24 cents, cent by cent; every other sequence of refunds consists of these steps.
#[test]
fn t12_all_small_refunds() {
    let aud = Currency::parse("AUD").expect("AUD");
    for total in 0..=24_i64 {
        for organizer in 0..=total {
            for platform in 0..=total - organizer {
                let parts = [organizer, platform, total - organizer - platform];
                let paid = whole(aud, parts);
                let mut before = each(&Parts::none(aud));
                for refunded in 1..=total {
                    let back = refund::cumulative(&paid, money(refunded, aud)).expect("parts");
                    let back = each(&back);
                    // The organizer's part is exactly the rounded proportion.
                    assert_eq!(
                        back[0],
                        nearest(i128::from(organizer), refunded.into(), total.into())
                    );
                    assert_eq!(back.iter().sum::<i128>(), i128::from(refunded));
                    assert!(back.iter().zip(before).all(|(now, before)| *now >= before));
                    before = back;
                }
                assert_eq!(before, parts.map(i128::from));
            }
        }
    }
}

/// Random payments by credits and by card, and refunds with the buyer's choice for each.
fn destinations() -> impl Strategy<Value = (Currency, [i64; 2], Vec<(i64, bool)>)> {
    let refunds = prop::collection::vec((1..=1_200_i64, any::<bool>()), 0..8);
    (currencies(), [quanta(), quanta()], refunds)
}

type Send = fn(&Funds, &Funds, Money, To) -> Result<Funds>;

/// The card gets at most what it was charged; the buyer gets at most what was paid, and everything that may be
/// refunded.
fn arrives(
    (currency, [wallet, card], refunds): (Currency, [i64; 2], Vec<(i64, bool)>),
    send: Send,
) -> Verdict {
    let paid = Funds {
        wallet: money(wallet, currency),
        card: money(card, currency),
    };
    let mut already = Funds::none(currency);
    let mut left = i128::from(wallet) + i128::from(card);
    let (mut to_card, mut by_choice) = (0, 0);
    for (piece, wants_card) in refunds {
        let to = if wants_card { To::Card } else { To::Wallet };
        let asked = i128::from(wallet + card) * i128::from(piece) / 1_000;
        let amount = money(i64::try_from(asked).expect("a piece"), currency);
        let Ok(back) = send(&paid, &already, amount, to) else {
            prop_assert!(asked > left, "{asked} of {left} is refused");
            continue;
        };
        prop_assert!(asked <= left, "{asked} of {left} is given back");
        let (into_wallet, onto_card) = (count(back.wallet), count(back.card));
        prop_assert_eq!(into_wallet + onto_card, asked);
        prop_assert!(into_wallet >= 0 && onto_card >= 0, "{back:?}");
        left -= asked;
        to_card += onto_card;
        by_choice += if wants_card { 0 } else { asked };
        prop_assert!(to_card <= i128::from(card));
        if wants_card && into_wallet > 0 {
            prop_assert_eq!(to_card, i128::from(card), "the card first");
        }
        prop_assert!(wants_card || onto_card == 0, "against the buyer's choice");
        already = already.plus(&back).expect("a sum");
    }
    prop_assert!(by_choice <= count(already.wallet));
    Ok(())
}

#[test]
fn t12_refunds_go_where_the_money_came_from() {
    holds(&destinations(), |case| arrives(case, refund::destination));
    is_refuted(&destinations(), |case| arrives(case, all_to_the_card));
    is_refuted(&destinations(), |case| arrives(case, as_if_the_first));
}

fn all_to_the_card(paid: &Funds, already: &Funds, amount: Money, to: To) -> Result<Funds> {
    let back = refund::destination(paid, already, amount, to)?;
    let nothing = Money::zero(amount.currency());
    Ok(match to {
        To::Wallet => back,
        To::Card => Funds {
            wallet: nothing,
            card: amount,
        },
    })
}

/// Bug: ignores earlier refunds.
fn as_if_the_first(paid: &Funds, _already: &Funds, amount: Money, to: To) -> Result<Funds> {
    refund::destination(paid, &Funds::none(amount.currency()), amount, to)
}
