use macros::Input;

#[derive(Input)]
struct CreateEvent {
    title: String,
}

fn main() {}
