#[input(update)]
pub struct UpdateEvent {
    pub title: String,
}
