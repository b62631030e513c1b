//! Pictures of profiles, venues, members and events: uploaded in two steps, checked, and stored in several sizes.
//!
//! A member announces a file, uploads it directly to the store, and then reports that it is there ([`announce`],
//! [`complete`]). A file that can be decoded as a picture is encoded anew and shown; the uploaded file itself is
//! deleted. No transaction is open during calls to the store, so files are deleted by a job that is enqueued in the
//! deciding transaction ([`lifecycle`]).

mod announce;
mod audit;
mod bodies;
mod complete;
mod files;
mod lifecycle;
mod routes;
mod settings;

use crate::{
    access::{Access, Table},
    clock::Clock,
    module::{Module, Parts},
    problems,
};
use axum::Router;
use generated::{
    business::BUSINESS, community::COMMUNITY, event::EVENT, institution::INSTITUTION,
    media::MediaEntityType, organization::ORGANIZATION, user::USER, venue::VENUE,
};
use images::Workshop;
use kernel::{
    Db, Error,
    config::BodyLimit,
    cx::in_transaction,
    http::ConfigError,
    idempotency::Keyed,
    jobs::{Consumer, Event, Job, Periodic},
    resource::Resource,
};
use settings::Settings;
use std::time::Duration;
use storage::Storage;
use url::Url;
use utoipa::openapi::OpenApi;
use uuid::Uuid;

pub use audit::Audit;

/// Why a file is not taken again.
const SUSPENDED: &str = "A moderator has suspended this picture here. It can be shown again only by lifting that \
     (`POST /media/{id}/unsuspend`), not by uploading it once more.";

/// File names of the sizes, smallest first.
const PARTS: [&str; images::SIDES.len()] = ["320.jpg", "800.jpg", "1600.jpg"];

/// How long a request waits while other pictures are being processed.
const PATIENCE: Duration = Duration::from_secs(5);

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Media {
    db: Db,
    keyed: Keyed,
    clock: Clock,
    storage: Storage,
    workshop: Workshop,
    settings: Settings,
    /// The base of pictures' URLs, without a slash at its end.
    public_url: String,
}

impl Media {
    /// How many pictures this process is processing now, and the maximum so far.
    pub fn load(&self) -> (usize, usize) {
        self.workshop.load()
    }
}

impl Module for Media {
    const NAME: &'static str = "media";
    type Settings = Settings;

    fn new(parts: &Parts, settings: Settings) -> Result<Self, ConfigError> {
        let below =
            |path: &str| format!("{}{path}", parts.public_url.as_str().trim_end_matches('/'));
        let uploads = Url::parse(&below("/media/uploads")).map_err(|error| ConfigError {
            setting: "PUBLIC_URL",
            reason: error.to_string(),
        })?;
        let public_url = match &settings.media_public_url {
            Some(url) if settings::is_web(url) => url.as_str().trim_end_matches('/').to_owned(),
            Some(_) => {
                return Err(ConfigError {
                    setting: "MEDIA_PUBLIC_URL",
                    reason: "an address of http or https".to_owned(),
                });
            }
            None => below("/media/files"),
        };
        let place = settings.place(uploads, parts.secret("media uploads"))?;
        let storage = Storage::new(place, in_transaction).map_err(|error| ConfigError {
            setting: "MEDIA_S3_BUCKET",
            reason: error.to_string(),
        })?;
        Ok(Self {
            db: parts.db.clone(),
            keyed: parts.keyed.clone(),
            clock: parts.clock.clone(),
            storage,
            workshop: Workshop::new(settings.media_checks_at_once.into(), PATIENCE),
            settings,
            public_url,
        })
    }

    fn routes(&self, generated: &Router) -> Router {
        routes::router(self.clone(), generated)
    }

    fn body_limits(&self) -> Vec<BodyLimit> {
        routes::body_limits(self.settings.media_max_bytes)
    }

    fn access() -> Table {
        &[
            ("announcePicture", Access::Concerned),
            ("sendPicture", Access::Signed),
            ("completePicture", Access::Concerned),
        ]
    }

    fn document() -> OpenApi {
        routes::document()
    }

    fn jobs(&self) -> Vec<Job> {
        // These jobs may have to wait for a slow store.
        let long = Duration::from_mins(10);
        vec![
            Job::of(self, "media.sweep", |media, _| async move {
                Ok(media.sweep().await.map(drop)?)
            })
            .timeout(long),
            Job::of(self, "media.clear", |media, run| async move {
                Ok(media.clear(&run.payload()?).await?)
            }),
            Job::of(self, "media.place", |media, run| async move {
                let event: Event = run.payload()?;
                Ok(media.place(event.entity_id).await?)
            }),
            Job::of(self, "media.place_below", |media, run| async move {
                let event: Event = run.payload()?;
                Ok(media.place_below(event.entity_id).await?)
            })
            .timeout(long),
            Job::of(self, "media.audit", |media, _| async move {
                Ok(media.audit().await.map(drop)?)
            })
            .timeout(long),
        ]
    }

    fn periodic(&self) -> Vec<Periodic> {
        vec![
            Periodic::every("media.sweep", Duration::from_hours(1)),
            Periodic::every("media.audit", Duration::from_hours(24)),
        ]
    }

    fn consumers(&self) -> Vec<Consumer> {
        let told = [
            "media.shown",
            "media.archive",
            "media.restore",
            "media.suspend",
            "media.unsuspend",
        ];
        // The entities that pictures can belong to.
        let above = [
            "user.suspend",
            "user.unsuspend",
            "community.suspend",
            "community.unsuspend",
            "organization.suspend",
            "organization.unsuspend",
            "business.suspend",
            "business.unsuspend",
            "venue.suspend",
            "venue.unsuspend",
            "institution.suspend",
            "institution.unsuspend",
            "event.suspend",
            "event.unsuspend",
        ];
        let places = told.map(|event| (event, "media.place")).into_iter();
        let places = places.chain(above.map(|event| (event, "media.place_below")));
        places.map(|(event, job)| Consumer { event, job }).collect()
    }
}

impl Media {
    fn url(&self, key: Uuid, part: &str) -> String {
        format!("{}/{key}/{part}", self.public_url)
    }
}

/// The entity that a picture belongs to.
fn target(entity_type: MediaEntityType) -> &'static Resource {
    match entity_type {
        MediaEntityType::User => &USER,
        MediaEntityType::Community => &COMMUNITY,
        MediaEntityType::Organization => &ORGANIZATION,
        MediaEntityType::Business => &BUSINESS,
        MediaEntityType::Venue => &VENUE,
        MediaEntityType::Institution => &INSTITUTION,
        MediaEntityType::Event => &EVENT,
    }
}

/// The error if the store does not answer, or refuses our credentials.
fn away(error: storage::Error) -> Error {
    match error {
        storage::Error::InTransaction => Error::internal(error),
        _ => Error::new(&problems::STORE_AWAY)
            .retry_after(5)
            .because(error),
    }
}
