//! One line of a purchase: so many of one kind at one price. Knows no discount and no fee.

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

/// The lines are a purchase in this currency.
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
