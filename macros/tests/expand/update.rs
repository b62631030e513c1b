#[input(update)]
pub struct UpdateEvent {
    #[input(required, length(1, 140))]
    pub title: Patch<String>,
    #[input(optional, places(2))]
    pub price: Patch<f64>,
    #[input(default = "EUR", format = "currency")]
    pub currency: Patch<String>,
    #[input(keep, optional, list(20, 5))]
    pub tags: Patch<Vec<String>>,
}
