use macros::Entity;

#[derive(Entity)]
struct Event<T> {
    title: T,
}

fn main() {}
