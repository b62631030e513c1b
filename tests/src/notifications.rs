//! Notifications: who gets what, through which channel and when, by the number of the requirement.

mod causes;
mod choices;
mod deliveries;
mod digests;
mod ended;
mod fcm;
mod feedback;
mod inside;
mod kills;
mod leave;
mod lists;
mod parts;
mod planning;
mod quiet;
mod reminders;
mod settings;
mod soonest;
pub mod stage;
mod strangers;
mod stream;
mod wordings;
