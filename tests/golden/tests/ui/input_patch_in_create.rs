use kernel::input::Patch;
use macros::Input;

#[derive(Input)]
#[input(create)]
struct CreateEvent {
    title: Patch<String>,
}

fn main() {}
