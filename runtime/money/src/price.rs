//! The price of a purchase: the same function computes it for the preview and for the charge.
//!
//! A [`Quote`] is what the buyer is shown and what the order stores. Nothing in it is computed again later, so editing
//! a rule or a price does not change existing orders.

use crate::{
    amount::Money,
    commission::{self, PaidBy, Terms},
    currency::Currency,
    discount::{Promo, discounts},
    error::{Error, Result},
    funding::{self, Funding, Funds},
    line::{self, Line},
    rule::{Rule, Unresolved},
    share::{BasisPoints, Parts, by_weights},
};
use uuid::Uuid;

/// A purchase, and everything that its price depends on.
#[derive(Debug, Clone, Copy)]
pub struct Purchase<'a> {
    pub currency: Currency,
    pub lines: &'a [Line],
    pub promo: Option<Promo>,
    /// The commission rule, or why none was found; without a rule only a purchase that costs something is refused. None:
    /// there is no commission.
    pub rule: Result<Option<&'a Rule>, Unresolved>,
    /// The city that gets a share of the fee. None: the whole fee is the platform's.
    pub city: Option<Uuid>,
    /// Credits to be used as far as possible; the rest is paid by card.
    pub credits: Money,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    pub lines: Vec<QuotedLine>,
    /// The sum of the lines before the discount; `gross` is the sum after it.
    pub subtotal: Money,
    pub discount: Money,
    pub gross: Money,
    pub fee: Money,
    pub fee_paid_by: PaidBy,
    /// The id of the rule by which the fee was computed. None: the purchase is free, or has no commission.
    pub rule: Option<Uuid>,
    /// The amount that the buyer pays: `gross`, plus the fee if the buyer pays it.
    pub total: Money,
    pub parts: Parts,
    pub funds: Funds,
    pub funding: Funding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotedLine {
    pub line: Line,
    pub discount: Money,
    pub total: Money,
}

/// Computes what a purchase costs, how the amount is divided, and how it is paid.
pub fn price(purchase: &Purchase<'_>) -> Result<Quote> {
    let currency = purchase.currency;
    line::check(purchase.lines, currency)?;
    let lines = quoted(purchase)?;
    let sum = |of: fn(&QuotedLine) -> Money| Money::sum(currency, lines.iter().map(of));
    let discount = sum(|line| line.discount)?;
    let gross = sum(|line| line.total)?;
    let taken = Taken::of(purchase, &lines, gross)?;
    let total = match taken.paid_by {
        PaidBy::Buyer => gross.plus(taken.fee)?,
        PaidBy::Organizer => gross,
    };
    let parts = commission::split(gross, taken.fee, taken.paid_by, taken.city_share)?;
    let funds = funding::pay(total, purchase.credits)?;
    let quote = Quote {
        subtotal: gross.plus(discount)?,
        discount,
        gross,
        fee: taken.fee,
        fee_paid_by: taken.paid_by,
        rule: taken.rule,
        total,
        parts,
        funds,
        funding: funding::funding(&funds, parts.organizer)?,
        lines,
    };
    quote.check()?;
    Ok(quote)
}

fn quoted(purchase: &Purchase<'_>) -> Result<Vec<QuotedLine>> {
    let discounts = discounts(purchase.lines, purchase.promo)?;
    let lines = purchase.lines.iter().zip(discounts);
    lines
        .map(|(line, discount)| {
            Ok(QuotedLine {
                line: *line,
                discount,
                total: line.subtotal()?.minus(discount)?.not_negative()?,
            })
        })
        .collect()
}

/// The fee, and the terms of its rule that are needed to divide it.
struct Taken {
    fee: Money,
    paid_by: PaidBy,
    city_share: BasisPoints,
    rule: Option<Uuid>,
}

impl Taken {
    fn of(purchase: &Purchase<'_>, lines: &[QuotedLine], gross: Money) -> Result<Self> {
        let none = Self {
            fee: Money::zero(purchase.currency),
            paid_by: PaidBy::default(),
            city_share: BasisPoints::NONE,
            rule: None,
        };
        if gross.is_zero() {
            return Ok(none);
        }
        let Some(Rule { id, terms, .. }) = purchase.rule? else {
            return Ok(none);
        };
        let Terms {
            paid_by,
            city_share,
            ..
        } = *terms;
        Ok(Self {
            fee: commission::fee(terms, gross, paid_quantity(lines)?)?,
            paid_by,
            city_share: purchase.city.map_or(BasisPoints::NONE, |_| city_share),
            rule: Some(*id),
        })
    }
}

/// The number of tickets in lines that cost something after the discount.
fn paid_quantity(lines: &[QuotedLine]) -> Result<u32> {
    let paid = lines.iter().filter(|line| !line.total.is_zero());
    paid.map(|line| line.line.quantity)
        .try_fold(0, u32::checked_add)
        .ok_or(Error::Overflow)
}

impl Quote {
    /// Checks that all amounts add up and that none is negative. [`price`] calls it before a price is shown; an audit
    /// may call it again.
    pub fn check(&self) -> Result<()> {
        let Parts {
            organizer,
            platform,
            city_share,
        } = self.parts;
        let to_organizer = self.funds.card.minus(self.funding.application_fee)?;
        let to_organizer = to_organizer.plus(self.funding.top_up)?;
        let lines = Money::sum(
            self.total.currency(),
            self.lines.iter().map(|line| line.total),
        )?;
        let equal = lines == self.gross
            && self.subtotal.minus(self.discount)? == self.gross
            && self.parts.total()? == self.total
            && self.funds.total()? == self.total
            && platform.plus(city_share)? == self.fee
            && to_organizer == organizer;
        let amounts = [
            self.gross,
            organizer,
            platform,
            city_share,
            self.funds.wallet,
            self.funds.card,
            self.funding.application_fee,
            self.funding.top_up,
        ];
        if equal && !amounts.into_iter().any(Money::is_negative) {
            return Ok(());
        }
        Err(Error::Unbalanced)
    }

    /// The amount paid for each ticket of each line, including discount and fee. The amounts sum to the total exactly;
    /// a refund of a ticket gives this amount back.
    pub fn tickets(&self) -> Result<Vec<Vec<Money>>> {
        let weights = self.lines.iter().map(|line| line.total.quanta());
        let lines = by_weights(self.total, &weights.collect::<Result<Vec<_>>>()?)?;
        let lines = self.lines.iter().zip(lines);
        lines
            .map(|(line, paid)| {
                let count = usize::try_from(line.line.quantity).map_err(|_| Error::Overflow)?;
                by_weights(paid, &vec![1; count])
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
