//! The settings of reviews.

/// Reviews.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Settings {
    /// Who may review profiles and venues: `members`, all of them; `guests`, who was let in to an event of theirs or has a
    /// ticket to one that has begun, and of a business also who has accepted an offer of it. Reviews that are there stay. The worker writes it down within a minute, and the database holds to that.
    #[arg(long, env = "REVIEWS_FROM", default_value = "members")]
    pub reviews_from: ReviewsFrom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ReviewsFrom {
    Members,
    Guests,
}
