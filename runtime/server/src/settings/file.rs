//! The settings file. Environment variables take precedence; unknown names are refused, and empty values.

use super::document;
use anyhow::{Result, bail};
use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The default file; `CULTUREPASS_SETTINGS` can name another.
const DEFAULT: &str = "culturepass.env";

/// Puts the settings of the file into the environment. Must be called before any thread is started.
pub fn load() -> Result<()> {
    let known = document::names();
    let path = match env::var_os("CULTUREPASS_SETTINGS") {
        Some(path) if path.is_empty() => {
            bail!("CULTUREPASS_SETTINGS is empty: give it the path of a file, or leave it out")
        }
        Some(path) => Some(PathBuf::from(path)),
        None => Some(PathBuf::from(DEFAULT)).filter(|path| path.is_file()),
    };
    if let Some(path) = path {
        read(&path, &known)?;
    }
    usable(&known, |name| env::var_os(name))
}

fn read(path: &Path, known: &BTreeSet<String>) -> Result<()> {
    let wrong = |error| refusal(path, known, error);
    for line in dotenvy::from_path_iter(path).map_err(wrong)? {
        let (name, _) = line.map_err(wrong)?;
        if !known.contains(&name) {
            bail!("{}: there is no setting `{name}`", path.display());
        }
    }
    dotenvy::from_path(path).map_err(wrong)
}

/// The library quotes the whole line that it can't read, which may hold a secret. Only the name is passed on, if it is
/// one.
fn refusal(path: &Path, known: &BTreeSet<String>, error: dotenvy::Error) -> anyhow::Error {
    let path = path.display();
    let dotenvy::Error::LineParse(line, _) = error else {
        return anyhow::Error::new(error).context(path.to_string());
    };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let start = line.trim_start_matches("export ");
    let end = start.find(|c| !word(c)).unwrap_or(start.len());
    let name = match &start[..end] {
        name if known.contains(name) => name,
        _ => "a line",
    };
    anyhow::anyhow!(
        "{path}: {name} can't be read. A line is NAME=VALUE; a value with blanks, quotes, `#` or `$` stands in single \
         quotes, which have to be closed"
    )
}

/// A value that is there but empty (`TICKET_KEYS=`, or a variable of a template that was not filled in) counts as set:
/// as a key that everybody knows, a password that is refused, an issuer that fits every token.
fn usable(known: &BTreeSet<String>, value: impl Fn(&str) -> Option<OsString>) -> Result<()> {
    for name in known {
        let Some(value) = value(name) else { continue };
        let is_path = ["_FILE", "_FILES", "_DIR"]
            .iter()
            .any(|end| name.ends_with(end));
        match value.to_str() {
            Some(text) if text.trim().is_empty() => {
                bail!("{name} is empty: give it a value, or leave it out, which means its default")
            }
            None if !is_path => bail!("{name} is not UTF-8"),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

    #[test]
    fn empty_values_and_other_encodings_are_refused_by_name() {
        let known = document::names();
        assert!(known.len() > 100);
        for name in &known {
            let with = |value: &[u8]| {
                let value = OsStr::from_bytes(value).to_owned();
                let said = usable(&known, |asked| (asked == name).then(|| value.clone()));
                said.map_err(|error| error.to_string())
            };
            for empty in ["", " ", "\n"] {
                let said = with(empty.as_bytes()).unwrap_err();
                assert!(said.starts_with(&format!("{name} is empty")), "{said}");
            }
            assert_eq!(with(b"x"), Ok(()), "{name}");
            let path = ["_FILE", "_FILES", "_DIR"].map(|end| name.ends_with(end));
            assert_eq!(with(b"\xff").is_ok(), path.contains(&true), "{name}");
        }
        assert!(usable(&known, |_| None).is_ok());
    }

    #[test]
    fn a_line_that_can_not_be_read_is_not_repeated() {
        let file = env::temp_dir().join(format!("settings-{}.env", uuid::Uuid::now_v7()));
        for (text, named) in [
            ("STRIPE_SECRET_KEY sk_live_canary\n", "STRIPE_SECRET_KEY"),
            (
                "TOKEN_KEY='canary\nSTRIPE_SECRET_KEY=sk_live_canary\n",
                "TOKEN_KEY",
            ),
            ("export SMTP_PASSWORD 'canary'\n", "SMTP_PASSWORD"),
            ("sk_live_canary\n", "a line"),
            ("sk_live_canary and more\n", "a line"),
        ] {
            fs::write(&file, text).unwrap();
            let said = format!("{:#}", read(&file, &document::names()).unwrap_err());
            assert!(
                !said.contains("canary") && said.contains(&format!(": {named} can't be read")),
                "{said}"
            );
        }
        fs::remove_file(&file).unwrap();
    }
}
