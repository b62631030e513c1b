//! Whose reviews are taken. Who was there is for the database to say (`app.was_there` in `spec/sql/ratings.sql`).

use super::{Ratings, ReviewsFrom};
use crate::problems;
use generated::review::CreateReview;
use kernel::{Cx, Error, Result, input::Choice, problem::Item};

impl Ratings {
    /// Refuses a review of somebody who was not there, where those alone are taken. Of a target that the caller does not see
    /// the engine says so.
    pub async fn refuse(&self, cx: &mut Cx, review: &CreateReview) -> Result<()> {
        if self.settings.reviews_from == ReviewsFrom::Members {
            return Ok(());
        }
        let is_refused: bool = sqlx::query_scalar(
            "select not app.was_there($1, $2) and exists (
               select t.id from app.organizations t where t.id = $2
               union all select t.id from app.businesses t where t.id = $2
               union all select t.id from app.venues t where t.id = $2
               union all select t.id from app.communities t where t.id = $2)",
        )
        .bind(review.entity_type.as_str())
        .bind(review.entity_id)
        .fetch_one(cx.conn())
        .await?;
        match is_refused {
            false => Ok(()),
            true => Err(Error::new(&problems::GUESTS_ONLY).item(Item::body(
                "/entity_id",
                "not_a_guest",
                "was not visited by the caller, as far as tickets tell",
            ))),
        }
    }
}
