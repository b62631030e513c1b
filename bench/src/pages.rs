//! Cursors of a deep page, obtained as clients do: by reading page after page.

use anyhow::{Context, Result};
use std::{fs, path::Path};

/// The number of pages before the one that is measured.
const BEFORE: usize = 89;
/// The number of cities whose lists are read.
const CITIES: usize = 5;

/// Writes `pages.txt`: the path and query of page 90 of some cities' lists, one per line.
pub async fn write(port: u16, token: &str, files: &Path) -> Result<()> {
    let client = reqwest::Client::new();
    let cities = fs::read_to_string(files.join("cities.txt"))?;
    let mut lines = String::new();
    for city in cities.lines().take(CITIES) {
        let first = format!("/institutions?city_id={city}&sort=name&limit=20");
        let mut path = first.clone();
        for page in 1..=BEFORE {
            let answer: serde_json::Value = client
                .get(format!("http://127.0.0.1:{port}{path}"))
                .bearer_auth(token)
                .send()
                .await?
                .error_for_status()?
                .json()
                .await?;
            let cursor = answer["next_cursor"]
                .as_str()
                .with_context(|| format!("page {page} is the last one"))?;
            path = format!("{first}&cursor={cursor}");
        }
        lines.push_str(&path);
        lines.push('\n');
    }
    Ok(fs::write(files.join("pages.txt"), lines)?)
}
