//! Connected accounts, transfers, balances.

use crate::{
    client::{Client, part},
    convert,
    list::{self, PAGE, unreadable},
    payments::{currency, metadata, read},
};
use gateway::{
    Account, AccountLink, BalanceLine, Failure, FindAccounts, Key, NewAccount, NewAccountLink,
    NewReversal, NewTransfer, Reversal, Transfer,
};
use stripe_client_core::StripeRequest;
use stripe_connect::{
    account::{
        CreateAccount, CreateAccountCapabilities, CreateAccountCapabilitiesCardPayments,
        CreateAccountCapabilitiesTransfers, CreateAccountType, ListAccount, RetrieveAccount,
    },
    account_link::{CreateAccountLink, CreateAccountLinkType},
    transfer::{CreateTransfer, ListTransfer},
    transfer_reversal::{CreateIdTransferReversal, ListIdTransferReversal},
};
use stripe_core::balance::RetrieveForMyAccountBalance;
use stripe_types::{RangeBoundsTs, RangeQueryTs};

pub async fn create(client: &Client, key: &Key, new: &NewAccount) -> Result<Account, Failure> {
    let mut known = metadata(&new.metadata);
    known.insert(convert::OWNER.to_owned(), new.owner.clone());
    let mut capabilities = CreateAccountCapabilities::new();
    // Transfers are needed to be paid; card payments are needed to be the merchant (`on_behalf_of`) if buyer and
    // organizer are in different regions.
    capabilities.card_payments = Some(CreateAccountCapabilitiesCardPayments {
        requested: Some(true),
    });
    capabilities.transfers = Some(CreateAccountCapabilitiesTransfers {
        requested: Some(true),
    });
    let mut request = CreateAccount::new()
        .type_(CreateAccountType::Express)
        .country(&new.country)
        .capabilities(capabilities)
        .metadata(known);
    if let Some(email) = &new.email {
        request = request.email(email.expose());
    }
    read(client.change(key, request).await?, convert::account)
}

pub async fn find(client: &Client, query: &FindAccounts) -> Result<Vec<Account>, Failure> {
    let created = RangeQueryTs::Bounds(RangeBoundsTs {
        gt: None,
        gte: Some(query.created_since.timestamp()),
        lt: None,
        lte: None,
    });
    let page = |after: Option<String>| {
        let request = ListAccount::new().created(created).limit(PAGE);
        match after {
            Some(after) => request.starting_after(after).build(),
            None => request.build(),
        }
    };
    let items = list::all(client, None, page).await?;
    let accounts = items.iter().map(|text| list::item(text, convert::account));
    let accounts: Vec<Account> = accounts.collect::<Result<_, _>>()?;
    let ours = |account: &Account| account.owner.as_ref() == Some(&query.owner);
    Ok(accounts.into_iter().filter(ours).collect())
}

pub async fn account(client: &Client, id: &str) -> Result<Account, Failure> {
    let request = RetrieveAccount::new(part(id)?);
    read(client.read(request).await?, convert::account)
}

pub async fn create_link(
    client: &Client,
    key: &Key,
    new: &NewAccountLink,
) -> Result<AccountLink, Failure> {
    let request = CreateAccountLink::new(&new.account, CreateAccountLinkType::AccountOnboarding)
        .refresh_url(&new.refresh_url)
        .return_url(&new.return_url);
    read(client.change(key, request).await?, convert::account_link)
}

pub async fn create_transfer(
    client: &Client,
    key: &Key,
    new: &NewTransfer,
) -> Result<Transfer, Failure> {
    let mut request = CreateTransfer::new(currency(new.currency)?, &new.destination)
        .amount(new.amount)
        .metadata(metadata(&new.metadata));
    if let Some(group) = &new.transfer_group {
        request = request.transfer_group(group);
    }
    if let Some(charge) = &new.source_charge {
        request = request.source_transaction(charge);
    }
    if let Some(description) = &new.description {
        request = request.description(description);
    }
    read(client.change(key, request).await?, convert::transfer)
}

pub async fn transfers(client: &Client, group: &str) -> Result<Vec<Transfer>, Failure> {
    let page = |after: Option<String>| {
        let request = ListTransfer::new().transfer_group(group).limit(PAGE);
        match after {
            Some(after) => request.starting_after(after).build(),
            None => request.build(),
        }
    };
    let items = list::all(client, None, page).await?;
    let transfers = items.iter().map(|text| list::item(text, convert::transfer));
    transfers.collect()
}

pub async fn reversals(client: &Client, transfer: &str) -> Result<Vec<Reversal>, Failure> {
    let of = part(transfer)?;
    let page = |after: Option<String>| {
        let request = ListIdTransferReversal::new(of).limit(PAGE);
        match after {
            Some(after) => request.starting_after(after).build(),
            None => request.build(),
        }
    };
    let items = list::all(client, None, page).await?;
    let reversals = items.iter().map(|text| list::item(text, convert::reversal));
    reversals.collect()
}

pub async fn reverse(client: &Client, key: &Key, new: &NewReversal) -> Result<Reversal, Failure> {
    let mut request = CreateIdTransferReversal::new(part(&new.transfer)?)
        .amount(new.amount)
        .metadata(metadata(&new.metadata));
    if new.refund_application_fee {
        request = request.refund_application_fee(true);
    }
    read(client.change(key, request).await?, convert::reversal)
}

pub async fn balance(client: &Client, account: Option<&str>) -> Result<Vec<BalanceLine>, Failure> {
    let request = RetrieveForMyAccountBalance::new().build();
    let body = client.read_raw(request, account).await?;
    let text = String::from_utf8(body).map_err(|_| unreadable())?;
    list::item(&text, convert::balance)
}
