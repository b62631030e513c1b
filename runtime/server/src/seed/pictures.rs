//! Pictures of the demonstration, drawn here and uploaded through the API, to wherever the settings store files.
//! Nothing is inserted into tables. Does nothing if there is a picture already.

mod draw;

use super::{
    api::{Api, list},
    demo::PEOPLE,
};
use anyhow::{Context, Result, ensure};
use app::App;
use axum::{
    Router,
    body::Body,
    http::{Method, Request},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

/// The most pictures per member, which is the number of uploads that may be announced per minute.
const EACH: usize = 18;

/// In the order of [`PEOPLE`].
const PAULA: usize = 0;
const OLGA: usize = 2;
const BINH: usize = 3;
const MIRA: usize = 4;

/// Something to draw.
struct Target {
    entity: &'static str,
    id: String,
    name: String,
}

struct Pictures {
    api: Api,
    /// The prefix of addresses that lead to this application.
    here: String,
    http: reqwest::Client,
}

/// Returns how many were uploaded.
pub async fn make(app: &App, router: Router, here: &Url) -> Result<usize> {
    let pictures = Pictures {
        api: Api::of_everybody(app, router).await?,
        here: here.as_str().trim_end_matches('/').to_owned(),
        http: reqwest::Client::builder().no_proxy().build()?,
    };
    let before = pictures.api.get(PAULA, "/media?limit=1").await?;
    if !list(&before).is_empty() {
        return Ok(0);
    }
    pictures.run().await
}

impl Pictures {
    async fn run(&self) -> Result<usize> {
        let cities = self.api.get(PAULA, "/cities?slug=melbourne").await?;
        let city = cities["data"][0]["id"].as_str().context("Melbourne")?;
        let mut sent = 0;
        // One each for what the platform's administrator finds, two each for what people manage themselves.
        let mut all = Vec::new();
        for (entity, path, name, most) in [
            ("institution", "institutions", "name", 1),
            ("community", "communities", "name", 4),
            ("venue", "venues", "name", 4),
            ("event", "events", "title", 9),
        ] {
            let found = self.targets(PAULA, entity, path, name, city).await?;
            all.extend(found.into_iter().take(most));
        }
        sent += self.upload(PAULA, &all, 1).await?;
        for (who, entity, path, name) in [
            (OLGA, "organization", "organizations", "name"),
            (OLGA, "event", "events", "title"),
            (BINH, "business", "businesses", "name"),
        ] {
            let mut found = self.targets(who, entity, path, name, city).await?;
            found.retain(|one| all.iter().all(|other| other.id != one.id));
            found.truncate(4);
            sent += self.upload(who, &found, 2).await?;
        }
        let mira = self.api.get(MIRA, "/me").await?;
        let target = target("user", &mira, "display_name")?;
        sent += self.upload(MIRA, &[target], 1).await?;
        ensure!(
            sent > 10,
            "{} may change too little in Melbourne",
            PEOPLE[PAULA].handle
        );
        Ok(sent)
    }

    /// The objects that the member may change.
    async fn targets(
        &self,
        member: usize,
        entity: &'static str,
        path: &str,
        name: &str,
        city: &str,
    ) -> Result<Vec<Target>> {
        let page = format!("/{path}?city_id={city}&limit=60");
        let mut found = Vec::new();
        for row in list(&self.api.get(member, &page).await?) {
            let id = row["id"].as_str().context("an id")?;
            // Lists do not contain what the caller may do, but single objects do.
            let one = self.api.get(member, &format!("/{path}/{id}")).await?;
            let may = one["allowed_actions"].as_array();
            if may.is_some_and(|actions| actions.iter().any(|action| action == "update")) {
                found.push(target(entity, &one, name)?);
            }
            if found.len() == EACH {
                break;
            }
        }
        Ok(found)
    }

    async fn upload(&self, member: usize, targets: &[Target], each: usize) -> Result<usize> {
        for target in targets {
            for number in 0..each {
                self.one(member, target, number).await?;
            }
        }
        Ok(targets.len() * each)
    }

    async fn one(&self, member: usize, target: &Target, position: usize) -> Result<()> {
        let word = format!("{} {} {position}", target.entity, target.name);
        let bytes = draw::draw(&word)?;
        let sum: String = (Sha256::digest(&bytes).iter())
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let body = json!({"entity_type": target.entity, "entity_id": target.id, "content_type": "image/png",
            "bytes": bytes.len(), "sha256": sum, "position": position,
            "alt_text": format!("Hills in the evening, drawn for {}", target.name)});
        let upload = self.api.send(member, "/media/uploads", body).await?;
        self.put(&upload, bytes).await?;
        let id = upload["id"].as_str().context("an upload")?;
        let path = format!("/media/uploads/{id}/complete");
        self.api.send(member, &path, Value::Null).await.map(drop)
    }

    async fn put(&self, upload: &Value, bytes: Vec<u8>) -> Result<()> {
        let url = upload["url"].as_str().context("an address")?;
        let headers = upload["headers"].as_object().context("headers")?;
        let headers = headers
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_str()?)));
        if let Some(path) = url.strip_prefix(&self.here) {
            let mut request = Request::builder().method(Method::PUT).uri(path);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            return self
                .api
                .answer(request.body(Body::from(bytes))?)
                .await
                .map(drop);
        }
        let mut request = self.http.put(url).body(bytes);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let status = request.send().await.context("the store")?.status();
        ensure!(status.is_success(), "the store of files: {status}");
        Ok(())
    }
}

fn target(entity: &'static str, row: &Value, name: &str) -> Result<Target> {
    Ok(Target {
        entity,
        id: row["id"].as_str().context("an id")?.to_owned(),
        name: row[name].as_str().context("a name")?.to_owned(),
    })
}
