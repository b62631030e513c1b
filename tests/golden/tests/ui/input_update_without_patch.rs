use macros::Input;

#[derive(Input)]
#[input(update)]
struct UpdateEvent {
    title: Option<String>,
}

fn main() {}
