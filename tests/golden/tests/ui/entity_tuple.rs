use macros::Entity;

#[derive(Entity)]
struct Event(String);

fn main() {}
