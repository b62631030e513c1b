pub struct Event {
    pub id: Uuid,
    pub r#type: EventType,
    #[entity(omit_null)]
    pub door_code: Option<String>,
}
