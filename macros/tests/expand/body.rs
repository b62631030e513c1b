/// Who wants to come.
#[input(body, example = r#"{"email": "ana@example.org"}"#, check = Wish::sound)]
pub struct Wish {
    #[input(length(3, 254), format = "email")]
    pub email: String,
    /// People in all.
    #[input(range(1, 10), default = 1)]
    pub people: i32,
    pub note: Option<String>,
}
