pub enum State {
    Draft,
    PartRefunded,
    #[choice(rename = "AU")]
    Au,
}
