//! A line of a purchase: a quantity of one ticket type at one price. It does not include discounts or fees.

use crate::{
    amount::Money,
    currency::Currency,
    error::{Error, Result},
};
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    pub ticket_type: Uuid,
    pub quantity: u32,
    pub unit_price: Money,
}

impl Line {
    pub fn subtotal(&self) -> Result<Money> {
        self.unit_price.times(self.quantity)
    }
}

/// Checks that the lines are a valid purchase in this currency.
pub(crate) fn check(lines: &[Line], currency: Currency) -> Result<()> {
    if lines.is_empty() {
        return Err(Error::NoLines);
    }
    for (place, line) in lines.iter().enumerate() {
        line.unit_price.same(currency)?;
        line.unit_price.quanta()?;
        if line.quantity == 0 {
            return Err(Error::NoQuantity(line.ticket_type));
        }
        let mut before = lines.iter().take(place);
        if before.any(|other| other.ticket_type == line.ticket_type) {
            return Err(Error::NamedTwice(line.ticket_type));
        }
    }
    Ok(())
}
