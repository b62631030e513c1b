//! Writes the list of settings from their definitions: `culturepass.env.example` and a table.

use crate::cli::Cli;
use anyhow::{Context, Result};
use clap::{Arg, Command, CommandFactory};
use std::{collections::BTreeSet, fmt::Write, fs};

/// Groups in reading order: the title, and one setting that belongs to the group.
const GROUPS: &[(&str, &[&str])] = &[
    ("General", &["CULTUREPASS_ENV", "LOG", "LOG_FORMAT"]),
    (
        "Owner of the database: for migrate and seed; not for the server",
        &["DATABASE_URL", "DATABASE_URL_FILE"],
    ),
];

/// Names of all settings.
pub fn names() -> BTreeSet<String> {
    all().into_iter().map(|setting| setting.name).collect()
}

struct Setting {
    name: String,
    doc: String,
    default: Option<String>,
}

/// The text of `culturepass.env.example`.
pub fn example() -> String {
    let mut text = String::from(
        "# Settings of CulturePass. Copy to `culturepass.env` and uncomment what you change, or set environment\n\
         # variables of the same names: those take precedence. Commented values are the defaults.\n\
         # Made by `culturepass settings --write`.\n",
    );
    let settings = all();
    let grouped: Vec<&str> = GROUPS
        .iter()
        .flat_map(|(_, names)| names.iter().copied())
        .collect();
    for (title, names) in GROUPS {
        let _ = writeln!(text, "\n## {title}");
        settings
            .iter()
            .filter(|setting| names.contains(&setting.name.as_str()))
            .for_each(|setting| entry(&mut text, setting));
    }
    let _ = writeln!(text, "\n## Server and worker");
    settings
        .iter()
        .filter(|setting| !grouped.contains(&setting.name.as_str()))
        .for_each(|setting| entry(&mut text, setting));
    text
}

/// The table of `docs/settings.md`.
pub fn table() -> String {
    let mut text = String::from("| setting | default | meaning |\n|---|---|---|\n");
    for setting in all() {
        let default = setting
            .default
            .map(|default| format!("`{default}`"))
            .unwrap_or_default();
        let _ = writeln!(text, "| `{}` | {default} | {} |", setting.name, setting.doc);
    }
    text
}

/// Writes both files in the repository.
pub fn write() -> Result<()> {
    const PAGE: &str = "docs/settings.md";
    let page = fs::read_to_string(PAGE)
        .with_context(|| format!("{PAGE}: not the folder of the repository?"))?;
    let (before, _) = page
        .split_once("| setting |")
        .with_context(|| format!("{PAGE} has no table of settings"))?;
    fs::write(PAGE, format!("{before}{}", table()))?;
    fs::write("culturepass.env.example", example())?;
    Ok(())
}

/// Each setting once, in the order of definition.
fn all() -> Vec<Setting> {
    let mut settings: Vec<Setting> = Vec::new();
    let mut command = Cli::command();
    command.build();
    collect(&command, &mut settings);
    settings
}

fn collect(command: &Command, settings: &mut Vec<Setting>) {
    for argument in command.get_arguments() {
        let Some(name) = argument.get_env() else {
            continue;
        };
        let name = name.to_string_lossy().into_owned();
        if !settings.iter().any(|setting| setting.name == name) {
            settings.push(Setting {
                name,
                doc: doc(argument),
                default: default(argument),
            });
        }
    }
    for command in command.get_subcommands() {
        collect(command, settings);
    }
}

fn doc(argument: &Arg) -> String {
    let help = argument
        .get_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    help.trim_end_matches('.').to_owned() + "."
}

fn default(argument: &Arg) -> Option<String> {
    let values: Vec<_> = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy())
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn entry(text: &mut String, setting: &Setting) {
    let _ = writeln!(
        text,
        "\n# {}\n#{}={}",
        setting.doc,
        setting.name,
        setting.default.as_deref().unwrap_or_default()
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    /// Suffixes of the names of secret settings.
    const SECRET: [&str; 7] = [
        "_SECRET",
        "_SECRETS",
        "_PASSWORD",
        "_KEY",
        "_KEYS",
        "_ACCOUNT",
        "DATABASE_URL",
    ];

    /// Parsed settings are likely to be printed with `Debug` at some time, and `--help` prints the values from the
    /// environment.
    #[test]
    fn abuse_20_no_setting_prints_a_secret() {
        let mut serve = Cli::command();
        serve.build();
        let serve = serve.find_subcommand("serve").expect("a command");
        let mut arguments = ["culturepass", "--log=shown-0f6a3c1b", "serve"]
            .map(str::to_owned)
            .to_vec();
        let mut secrets = 0;
        for argument in serve.get_arguments() {
            let Some(name) = argument.get_env().map(|name| name.to_string_lossy()) else {
                continue;
            };
            // The name of a limit, such as the number of accounts on which one password may be tried, can have the
            // suffix of a secret.
            let is_number = name.contains("_PER_");
            let is_secret = !is_number && SECRET.iter().any(|end| name.ends_with(end));
            assert_eq!(is_secret, argument.is_hide_env_values_set(), "{name}");
            if is_secret {
                let long = argument.get_long().expect("an argument");
                arguments.push(format!("--{long}=canary-0f6a3c1b"));
                secrets += 1;
            }
        }
        assert!(secrets > 10, "{secrets}");
        let cli = Cli::try_parse_from(arguments).expect("settings");
        let printed = format!("{cli:?}");
        assert!(printed.contains("shown-0f6a3c1b"), "the control");
        assert!(!printed.contains("canary-0f6a3c1b"), "{printed}");
    }

    /// A message takes about 50 milliseconds, so with one connection only about 20 could be sent per second.
    #[test]
    fn no10_smtp_has_eight_connections_unless_set() {
        let mut serve = Cli::command();
        serve.build();
        let serve = serve.find_subcommand("serve").expect("a command");
        let mut arguments = serve.get_arguments();
        let setting = arguments.find(|argument| argument.get_id() == "smtp_connections");
        let default = &setting.expect("a setting").get_default_values()[0];
        let connections: u32 = default.to_string_lossy().parse().expect("a number");
        assert!(connections >= 8, "{connections}");
    }

    #[test]
    fn the_example_file_lists_every_setting() {
        let file = include_str!("../../../../culturepass.env.example");
        assert_eq!(
            file,
            example(),
            "run `cargo run -p server -- settings --write`"
        );
    }

    #[test]
    fn the_page_lists_every_setting() {
        let page = include_str!("../../../../docs/settings.md");
        assert!(
            page.contains(&table()),
            "run `cargo run -p server -- settings --write`"
        );
    }
}
