use macros::Input;

#[derive(Input)]
#[input(create)]
struct CreateEvent {
    #[input(format = "e-mail")]
    email: String,
}

fn main() {}
