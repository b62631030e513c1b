//! What is mailed about accounts: templates in `mail/`.
//!
//! Knows texts, no tables. Texts of members are made harmless before they are put in. How mail leaves is `delivery`.

mod templates;

pub use templates::Template;
