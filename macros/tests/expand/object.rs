#[input(object)]
pub struct Links {
    #[input(format = "https")]
    pub website: Option<String>,
}
