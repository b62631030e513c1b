use macros::Choice;

#[derive(Clone, Copy, Choice)]
enum State {
    Draft,
    Paid(i64),
}

fn main() {}
