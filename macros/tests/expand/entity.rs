pub struct Event {
    pub id: Uuid,
    pub r#type: EventType,
    #[entity(private)]
    pub door_code: Option<String>,
}
