use macros::Input;

#[derive(Input)]
#[input(create, update)]
struct CreateEvent {
    title: String,
}

fn main() {}
