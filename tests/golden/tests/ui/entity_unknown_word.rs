use macros::Entity;

#[derive(Entity)]
struct Event {
    #[entity(skip)]
    title: String,
}

fn main() {}
