use macros::Input;

#[derive(Input)]
#[input(create)]
enum CreateEvent {
    Title,
}

fn main() {}
