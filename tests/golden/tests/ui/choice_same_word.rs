use macros::Choice;

#[derive(Clone, Copy, Choice)]
enum State {
    Draft,
    #[choice(rename = "draft")]
    Paid,
}

fn main() {}
