use macros::Input;

#[derive(Input)]
#[input(create)]
struct CreateEvent {
    #[input(with = "host_kind")]
    host_id: Option<uuid::Uuid>,
}

fn main() {}
