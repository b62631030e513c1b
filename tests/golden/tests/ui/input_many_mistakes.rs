use macros::Input;

#[derive(Input)]
#[input(create)]
struct CreateEvent {
    #[input(lenght(1, 140))]
    title: String,
    #[input(rnage(1, 5))]
    capacity: i32,
}

// One mistake each: naming the type elsewhere adds none.
fn main() {
    let _ = CreateEvent::decode(b"{}", kernel::input::Mode::Create);
}
