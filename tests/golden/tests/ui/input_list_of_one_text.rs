use macros::Input;

#[derive(Input)]
#[input(create)]
struct CreateEvent {
    #[input(list(20, 5))]
    tag: String,
}

fn main() {}
