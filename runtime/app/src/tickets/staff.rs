//! Who runs an event: those who may sell at its door, scan tickets, and see who comes.

use generated::event::EVENT;
use kernel::{Cx, Error, Result};
use uuid::Uuid;

/// Refuses callers who don't run the event: 404 if they may not see it, otherwise 403.
pub(super) async fn staff(cx: &mut Cx, event: Uuid) -> Result<()> {
    cx.require(&EVENT, "read", event).await?;
    match cx.holds(&EVENT, "staff", event).await? {
        true => Ok(()),
        false => Err(Error::forbidden()),
    }
}
