//! The ledger: double-entry bookkeeping by currency.
//!
//! Every movement goes from one account to another, so the sum over all accounts is always zero. The accounts are the
//! outside world (`cards`, `bank`), Stripe itself (`stripe_fees`), money in transit (`refunds_pending`,
//! `disputes_held`), the `platform`, and each connected account by its id.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub const CARDS: &str = "cards";
pub const BANK: &str = "bank";
pub const STRIPE_FEES: &str = "stripe_fees";
pub const REFUNDS_PENDING: &str = "refunds_pending";
pub const DISPUTES_HELD: &str = "disputes_held";
pub const PLATFORM: &str = "platform";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    Capture,
    StripeFee,
    Transfer,
    TransferReversal,
    ApplicationFee,
    ApplicationFeeRefund,
    Refund,
    RefundSettled,
    RefundFailed,
    Dispute,
    DisputeWon,
    DisputeLost,
    TopUp,
    Payout,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub at: i64,
    pub currency: String,
    pub from: String,
    pub to: String,
    pub amount: i64,
    pub reason: Reason,
    pub object: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    entries: Vec<Entry>,
    balances: BTreeMap<String, BTreeMap<String, i64>>,
}

/// The books of one currency, with which tests compare the product's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// Balances by account. Their sum is `sum`.
    pub accounts: BTreeMap<String, i64>,
    /// Always zero.
    pub sum: i64,
    pub captured: i64,
    /// Refunds that have not failed, whether settled or not.
    pub refunded: i64,
    pub refunds_pending: i64,
    /// Withdrawn for disputes and not returned.
    pub disputed: i64,
    pub disputes_held: i64,
    pub disputes_lost: i64,
    /// Transferred to connected accounts, minus reversals.
    pub transferred: i64,
    /// Fees of the platform, minus refunded fees.
    pub application_fees: i64,
    pub stripe_fees: i64,
}

impl Ledger {
    pub fn book(&mut self, entry: Entry) {
        debug_assert!(entry.amount > 0 && entry.from != entry.to, "{entry:?}");
        let accounts = self.balances.entry(entry.currency.clone()).or_default();
        *accounts.entry(entry.from.clone()).or_default() -= entry.amount;
        *accounts.entry(entry.to.clone()).or_default() += entry.amount;
        self.entries.push(entry);
    }

    pub fn balance(&self, account: &str, currency: &str) -> i64 {
        let accounts = self.balances.get(currency);
        let balance = accounts.and_then(|accounts| accounts.get(account));
        balance.copied().unwrap_or_default()
    }

    /// The account's balances by currency.
    pub fn balances_of(&self, account: &str) -> BTreeMap<&str, i64> {
        let all = self.balances.iter();
        all.filter_map(|(currency, accounts)| Some((currency.as_str(), *accounts.get(account)?)))
            .collect()
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn books(&self) -> BTreeMap<String, Books> {
        let mut all: BTreeMap<String, Books> = BTreeMap::new();
        // Computed from the entries instead of the running balances, since the two are compared.
        for entry in &self.entries {
            let books = all.entry(entry.currency.clone()).or_default();
            *books.accounts.entry(entry.from.clone()).or_default() -= entry.amount;
            *books.accounts.entry(entry.to.clone()).or_default() += entry.amount;
            match entry.reason {
                Reason::Capture => books.captured += entry.amount,
                Reason::StripeFee => books.stripe_fees += entry.amount,
                Reason::Transfer => books.transferred += entry.amount,
                Reason::TransferReversal => books.transferred -= entry.amount,
                Reason::ApplicationFee => books.application_fees += entry.amount,
                Reason::ApplicationFeeRefund => books.application_fees -= entry.amount,
                Reason::Refund => books.refunded += entry.amount,
                Reason::RefundFailed => books.refunded -= entry.amount,
                Reason::Dispute => books.disputed += entry.amount,
                Reason::DisputeWon => books.disputed -= entry.amount,
                Reason::DisputeLost => books.disputes_lost += entry.amount,
                Reason::RefundSettled | Reason::TopUp | Reason::Payout => {}
            }
        }
        for books in all.values_mut() {
            books.sum = books.accounts.values().sum();
            let held = |name: &str| books.accounts.get(name).copied().unwrap_or_default();
            (books.refunds_pending, books.disputes_held) =
                (held(REFUNDS_PENDING), held(DISPUTES_HELD));
        }
        all
    }

    /// Whether the running balances agree with the entries.
    pub fn is_consistent(&self) -> bool {
        let books = self.books();
        let kept = self.balances.iter();
        kept.clone().count() == books.len()
            && kept.into_iter().all(|(currency, accounts)| {
                books
                    .get(currency)
                    .is_some_and(|books| books.accounts == *accounts)
            })
    }
}
