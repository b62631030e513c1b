//! Pictures, by the number of the requirement.

mod aside;
mod bucket;
mod disk;
mod files;
mod gallery;
mod kept;
mod moments;
mod quotas;
mod suspended;
mod uploads;

use crate::{
    abuse::moderated,
    support::{Member, TestServer},
};

/// A server, a member, and the id of an event of theirs.
struct Stage {
    server: TestServer,
    owner: Member,
    event: String,
}

impl Stage {
    async fn new() -> Self {
        Self::of(TestServer::demo().await).await
    }

    async fn of(server: TestServer) -> Self {
        let owner = server.member("owner").await;
        let host = moderated::organization(&server, &owner, "A house").await;
        let event = moderated::event(&server, &owner, host, "A night").await;
        let event = event.rsplit('/').next().expect("an id").to_owned();
        Self {
            server,
            owner,
            event,
        }
    }
}
