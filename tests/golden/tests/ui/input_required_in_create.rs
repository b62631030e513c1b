use macros::Input;

#[derive(Input)]
#[input(create)]
struct CreateEvent {
    #[input(required)]
    title: String,
}

fn main() {}
