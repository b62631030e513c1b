//! The settings file. Environment variables take precedence; unknown names are refused.

use super::document;
use anyhow::{Context, Result, bail};
use std::{env, path::PathBuf};

/// The default file; `CULTUREPASS_SETTINGS` can name another.
const DEFAULT: &str = "culturepass.env";

/// Puts the settings of the file into the environment. Must be called before any thread is started.
pub fn load() -> Result<()> {
    let path = match env::var_os("CULTUREPASS_SETTINGS") {
        Some(path) => PathBuf::from(path),
        None if PathBuf::from(DEFAULT).is_file() => PathBuf::from(DEFAULT),
        None => return Ok(()),
    };
    let known = document::names();
    for line in dotenvy::from_path_iter(&path).with_context(|| path.display().to_string())? {
        let (name, _) = line.with_context(|| path.display().to_string())?;
        if !known.contains(&name) {
            bail!("{}: there is no setting `{name}`", path.display());
        }
    }
    dotenvy::from_path(&path).with_context(|| path.display().to_string())
}
