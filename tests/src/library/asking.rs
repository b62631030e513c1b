//! Questions to the library's desk, which need no account: `create: anyone` with a relation that `set me` fills if it can.

use super::world::Library;
use serde_json::json;
use uuid::Uuid;

/// `set me` of a relation that may be empty: nobody has to be signed in, and nobody can ask as somebody else.
#[tokio::test]
async fn who_asks_is_the_caller_if_there_is_one() {
    let library = Library::open().await;
    let rosa = library.member("Rosa", None).await;
    let mut conn = library.database.connect().await;
    for (client, asks) in [(&library.visitor, None), (&rosa.client, Some(rosa.id))] {
        let body = json!({"question": "When do you open?"});
        let enquiry = client.post("/enquiries", body).await.expect(201);
        let id = enquiry.id_in_location();
        let by: Option<Uuid> =
            sqlx::query_scalar("select asked_by_id from app.enquiries where id = $1")
                .bind(id)
                .fetch_one(&mut conn)
                .await
                .expect("the enquiry");
        assert_eq!(by, asks);
        let body = json!({"question": "When do you open?", "asked_by_id": rosa.id});
        client.post("/enquiries", body).await.expect(422);
    }
}
