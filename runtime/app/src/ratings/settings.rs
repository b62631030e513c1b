//! The settings of reviews.

/// Reviews.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Settings {
    /// Who may review profiles and venues: `members`, all members; `guests`, members who were checked in to one of
    /// their events or have a ticket to one that has begun and, for a business, also members who have accepted a quote
    /// of it. Existing reviews are kept. The worker stores the setting in the database within a minute, and the
    /// database enforces it.
    #[arg(long, env = "REVIEWS_FROM", default_value = "members")]
    pub reviews_from: ReviewsFrom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ReviewsFrom {
    Members,
    Guests,
}
