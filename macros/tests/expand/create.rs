#[input(create)]
pub struct CreateEvent {
    #[input(length(1, 140))]
    pub title: String,
    #[input(default = EventType::Other)]
    pub r#type: EventType,
    #[input(range(1, _), default = 5)]
    pub capacity: Option<i32>,
    pub host_type: Option<EventHostType>,
    #[input(with = "host_type")]
    pub host_id: Option<Uuid>,
}
