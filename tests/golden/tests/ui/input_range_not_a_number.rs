use macros::Input;

#[derive(Input)]
#[input(create)]
struct CreateEvent {
    #[input(range(1, many))]
    capacity: i32,
}

fn main() {}
