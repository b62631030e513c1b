use macros::Input;

#[derive(Input)]
#[input(create)]
struct CreateEvent {
    #[input(length(140, 1))]
    title: String,
}

fn main() {}
