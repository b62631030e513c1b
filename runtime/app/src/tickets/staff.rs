//! Who runs an event: those who may scan tickets and see who comes, and those of them who may sell at its door.

use generated::event::EVENT;
use kernel::{Cx, Error, Result};
use uuid::Uuid;

/// Refuses callers who don't run the event: 404 if they may not see it, otherwise 403.
pub(super) async fn staff(cx: &mut Cx, event: Uuid) -> Result<()> {
    fulfils(cx, "staff", event).await
}

/// Refuses callers who don't administer the host. The city and the platform help at the door, but what is sold there is
/// the host's income, and its debt to the platform.
pub(super) async fn seller(cx: &mut Cx, event: Uuid) -> Result<()> {
    fulfils(cx, "admin", event).await
}

async fn fulfils(cx: &mut Cx, condition: &'static str, event: Uuid) -> Result<()> {
    cx.require(&EVENT, "read", event).await?;
    match cx.holds(&EVENT, condition, event).await? {
        true => Ok(()),
        false => Err(Error::forbidden()),
    }
}
