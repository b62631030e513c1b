//! Accounts, transfers and balances.

use super::{Converted, currency, id, metadata, time};
use gateway::{Account, AccountLink, BalanceLine, Currency, Private, Reversal, Transfer};
use std::collections::BTreeMap;
use stripe_shared as shared;

/// The key of an account's metadata that holds its owner's id.
pub const OWNER: &str = "owner_id";

pub fn account(from: shared::Account) -> Converted<Account> {
    let active = |capability: &Option<shared::AccountCapabilitiesStatus>| {
        matches!(capability, Some(shared::AccountCapabilitiesStatus::Active))
    };
    let capabilities = from.capabilities.as_ref();
    let transfers_active = capabilities.is_some_and(|all| active(&all.transfers));
    let metadata = metadata(from.metadata.unwrap_or_default());
    let requirements = from.requirements;
    let due = |requirements: &shared::AccountRequirements| requirements.currently_due.clone();
    let past_due = |requirements: &shared::AccountRequirements| requirements.past_due.clone();
    let disabled = requirements
        .as_ref()
        .and_then(|all| all.disabled_reason.as_ref());
    Ok(Account {
        owner: metadata.get(OWNER).cloned(),
        transfers_active,
        requirements_due: requirements.as_ref().and_then(due).unwrap_or_default(),
        requirements_past_due: requirements.as_ref().and_then(past_due).unwrap_or_default(),
        disabled_reason: disabled.map(|reason| reason.as_str().to_owned()),
        default_currency: from.default_currency.as_ref().map(currency).transpose()?,
        metadata,
        id: from.id.to_string(),
        // A missing capability counts as not allowed.
        charges_enabled: from.charges_enabled.unwrap_or(false),
        payouts_enabled: from.payouts_enabled.unwrap_or(false),
        details_submitted: from.details_submitted.unwrap_or(false),
        country: from.country,
    })
}

pub fn account_link(from: stripe_connect::AccountLink) -> Converted<AccountLink> {
    Ok(AccountLink {
        expires_at: time(from.expires_at)?,
        url: Private::new(from.url),
    })
}

pub fn transfer(from: shared::Transfer) -> Converted<Transfer> {
    Ok(Transfer {
        destination: from.destination.as_ref().map(id),
        source_charge: from.source_transaction.as_ref().map(id),
        currency: currency(&from.currency)?,
        created: time(from.created)?,
        metadata: metadata(from.metadata),
        id: from.id.to_string(),
        amount: from.amount,
        amount_reversed: from.amount_reversed,
        transfer_group: from.transfer_group,
        livemode: from.livemode,
    })
}

pub fn reversal(from: shared::TransferReversal) -> Converted<Reversal> {
    Ok(Reversal {
        transfer: id(&from.transfer),
        currency: currency(&from.currency)?,
        created: time(from.created)?,
        metadata: metadata(from.metadata.unwrap_or_default()),
        id: from.id.to_string(),
        amount: from.amount,
    })
}

/// One line for each currency of the balance, sorted by code.
pub fn balance(from: stripe_core::Balance) -> Converted<Vec<BalanceLine>> {
    let mut lines: BTreeMap<Currency, BalanceLine> = BTreeMap::new();
    let available = from.available.iter().map(|amount| (amount, true));
    let pending = from.pending.iter().map(|amount| (amount, false));
    for (amount, is_available) in available.chain(pending) {
        let currency = currency(&amount.currency)?;
        let line = lines.entry(currency).or_insert(BalanceLine {
            currency,
            available: 0,
            pending: 0,
        });
        let sum = if is_available {
            &mut line.available
        } else {
            &mut line.pending
        };
        *sum = sum
            .checked_add(amount.amount)
            .ok_or("a balance that is too large")?;
    }
    Ok(lines.into_values().collect())
}
