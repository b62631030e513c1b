//! Settings of credits.

use std::str::FromStr;

/// Credits.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Settings {
    /// The number of days after which bonuses and rewards expire, unless another time is set when they are granted. 0:
    /// they do not expire.
    #[arg(long, env = "WALLET_CREDIT_DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub wallet_credit_days: u32,
    /// The reward of a member for referring another one who then buys by card, in the currency of that purchase:
    /// `AUD:500,JPY:500`, in the smallest unit of each. There is no reward for other currencies.
    #[arg(long, env = "REFERRAL_REWARDS", value_delimiter = ',')]
    pub referral_rewards: Vec<Reward>,
}

/// Credits in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reward {
    pub currency: String,
    pub amount_cents: i64,
}

impl FromStr for Reward {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || format!("`{text}` is not of the form AUD:500");
        let (currency, amount) = text.trim().split_once(':').ok_or_else(expected)?;
        let currency = money::Currency::parse(currency).map_err(|error| error.to_string())?;
        match amount.parse() {
            Ok(amount_cents @ 1..=money::Money::MOST) => Ok(Self {
                currency: currency.code().to_owned(),
                amount_cents,
            }),
            _ => Err(expected()),
        }
    }
}
