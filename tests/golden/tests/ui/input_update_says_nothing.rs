use kernel::input::Patch;
use macros::Input;

#[derive(Input)]
#[input(update)]
struct UpdateEvent {
    title: Patch<String>,
}

fn main() {}
