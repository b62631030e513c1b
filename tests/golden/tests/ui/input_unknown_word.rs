use macros::Input;

#[derive(Input)]
#[input(create)]
struct CreateEvent {
    #[input(max = 140)]
    title: String,
}

fn main() {}
