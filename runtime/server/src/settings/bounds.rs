//! Every number has bounds. Beyond them lie panics (a semaphore of 2^64 places, a time that no clock reaches), settings
//! that switch something off without saying so, and typing errors.

use crate::cli::Cli;
use clap::{Arg, Command, CommandFactory};

/// Settings whose 0 means something, which their documentation says, or which is what it looks like: no time, none.
const ZERO: &[&str] = &[
    "DRAIN_DELAY_SECONDS",
    "DRAIN_TIMEOUT_SECONDS",
    "FRAUD_CARD_TESTING",
    "FRAUD_DISPUTED_HOST",
    "FRAUD_DISPUTED_MEMBER",
    "FRAUD_LIKES_FROM_ONE_NETWORK",
    "FRAUD_NEW_REVIEWERS",
    "FRAUD_REFERRED_ONESELF",
    "FRAUD_RETURNED_TICKETS",
    "FRAUD_REVIEWS_FROM_ONE_NETWORK",
    "IP_RATE_PER_MINUTE",
    "JOBS_GRACE_SECONDS",
    "MARKETPLACE_FREE_LEADS",
    "MEDIA_KEEP_DAYS",
    "MONEY_REQUESTS_PER_DAY",
    "NOTIFICATIONS_DIGEST_MINUTES",
    "SUBSCRIPTION_GRACE_DAYS",
    "TRENDING_ACTIONS_A_DAY",
    "TRENDING_NEW_ACCOUNT_DAYS",
    "TRENDING_NEW_ACCOUNT_PERCENT",
    "USER_RATE_PER_MINUTE",
    "WALLET_CREDIT_DAYS",
];

/// The subcommands that together have all settings of a running server, without reading the environment.
fn commands() -> Vec<Command> {
    let mut command = Cli::command();
    command.build();
    let subcommands = command.get_subcommands();
    let serving = subcommands.filter(|one| ["serve", "worker"].contains(&one.get_name()));
    let bare = |one: &Command| one.clone().mut_args(|argument| argument.env(None::<&str>));
    serving.map(bare).collect()
}

fn numbers(command: &Command) -> Vec<(Arg, String)> {
    let named = command.get_arguments().filter_map(|argument| {
        let name = argument.get_long()?;
        let default = argument.get_default_values().first()?.to_str()?;
        default.parse::<i128>().ok()?;
        Some((argument.clone(), name.to_owned()))
    });
    named.collect()
}

fn takes(command: &Command, name: &str, value: &str) -> bool {
    let given = [command.get_name().to_owned(), format!("--{name}={value}")];
    command.clone().try_get_matches_from(given).is_ok()
}

#[test]
fn every_number_has_bounds() {
    let (mut tried, mut zero) = (0, Vec::new());
    for command in commands() {
        for (argument, name) in numbers(&command) {
            tried += 1;
            let default = argument.get_default_values()[0].to_str().expect("a number");
            assert!(takes(&command, &name, default), "{name}={default}");
            // The pictures of one member may take more bytes than 32 bits can count.
            let small = [u32::MAX.into(), i32::MAX.into()];
            let small = small.into_iter().filter(|_| !name.ends_with("-bytes"));
            for beyond in [u64::MAX.into(), i64::MAX.into(), -1_i128]
                .into_iter()
                .chain(small)
            {
                assert!(
                    !takes(&command, &name, &beyond.to_string()),
                    "{name}={beyond}"
                );
            }
            if takes(&command, &name, "0") {
                zero.push(name.to_uppercase().replace('-', "_"));
            }
        }
    }
    assert!(tried > 100, "{tried}");
    zero.sort_unstable();
    zero.dedup();
    assert_eq!(zero, ZERO);
}
