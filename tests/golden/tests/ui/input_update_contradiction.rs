use kernel::input::Patch;
use macros::Input;

#[derive(Input)]
#[input(update)]
struct UpdateEvent {
    #[input(required, optional)]
    title: Patch<String>,
}

fn main() {}
