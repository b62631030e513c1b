//! Loans, reservations, penalties and posts, which concern one member.

use super::world::Library;
use serde_json::json;
use uuid::Uuid;

/// A request enqueues the jobs that the spec allows in its own transaction, on behalf of its caller; events are
/// emitted by changes of rows.
#[tokio::test]
async fn lending_asks_for_one_reminder_and_is_told_of() {
    let library = Library::open().await;
    let (rosa, karl) = (
        library.member("Rosa", None).await,
        library.member("Karl", None).await,
    );
    let (momo, alice) = (library.book("Momo").await, library.book("Alice").await);
    let loan = library.lend(&momo, &rosa).await.expect(201).id();
    library.lend(&alice, &rosa).await.expect(201);
    library.lend(&momo, &karl).await.expect(409);
    let mut conn = library.database.connect().await;
    let text = "select q.name, m.name, q.payload ->> 'member' from jobs.queue q join app.members m on m.id = q.on_behalf_of";
    let jobs: Vec<(String, String, String)> = sqlx::query_as(text)
        .fetch_all(&mut conn)
        .await
        .expect("jobs");
    let expected = ("reminders.remind", "Lena", rosa.id.to_string());
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    assert_eq!(
        (jobs[0].0.as_str(), jobs[0].1.as_str(), jobs[0].2.clone()),
        expected
    );

    let client = &library.librarian;
    client
        .act(&format!("/loans/{loan}/take-back"))
        .await
        .expect(200);
    let text = "select event || ' ' || (entity_id = $1) from jobs.events order by place";
    let told: Vec<String> = sqlx::query_scalar(text)
        .bind(loan.parse::<Uuid>().expect("an id"))
        .fetch_all(&mut conn)
        .await
        .expect("events");
    assert_eq!(
        told,
        [
            "loan.create true",
            "loan.create false",
            "loan.take_back true"
        ]
    );
}

/// The claimant is always the caller, which the database enforces; of two claims at the same moment, one is refused.
#[tokio::test]
async fn of_two_who_claim_an_enquiry_one_gets_it() {
    let library = Library::open().await;
    let (lena, mona) = (
        library.member("Leonie", Some("librarian")).await,
        library.member("Mona", Some("librarian")).await,
    );
    for verb in ["claim", "adopt"] {
        for n in 0..6 {
            let body = json!({"question": format!("Where is shelf {n}?")});
            let enquiry = library.visitor.post("/enquiries", body).await.expect(201);
            assert!(
                enquiry.text.is_empty(),
                "a visitor can't read the created enquiry"
            );
            let path = enquiry.header("location").expect("a place").to_owned();
            let act = format!("{path}/{verb}");
            let both = tokio::join!(lena.client.act(&act), mona.client.act(&act));
            let (won, lost, who) = match both.0.status.as_u16() {
                200 => (both.0, both.1, &lena),
                _ => (both.1, both.0, &mona),
            };
            let (won, lost) = (won.expect(200), lost.expect(409));
            assert_eq!(lost.problem(), "invalid-state", "{}", lost.text);
            let named = match verb {
                "claim" => "claimed_by_id",
                _ => "keeper_id",
            };
            assert_eq!(won.json[named], who.id.to_string());
            assert_eq!(verb == "claim", won.json["claimed_at"].is_string());
            let allowed = won.json["allowed_actions"].as_array().expect("a list");
            assert!(!allowed.contains(&json!(verb)), "{}", won.text);
        }
    }
}

#[tokio::test]
async fn who_has_claimed_lets_go_and_nobody_puts_another_there() {
    let library = Library::open().await;
    let lena = library.member("Leonie", Some("librarian")).await;
    let mona = library.member("Mona", Some("librarian")).await;
    let body = json!({"question": "Where are the atlases?"});
    let asked = library.visitor.post("/enquiries", body).await.expect(201);
    let path = asked.header("location").expect("a place").to_owned();
    let id = asked.id_in_location();
    let claim = format!("{path}/claim");
    library.visitor.act(&claim).await.expect(401);
    lena.client.act(&claim).await.expect(200);
    // Neither by a body, nor for somebody else.
    let tag = mona.client.get(&path).await.expect(200).etag();
    let theirs = json!({"claimed_by_id": mona.id});
    mona.client.patch(&path, &tag, theirs).await.expect(422);
    mona.client.act(&format!("{path}/answer")).await.expect(403);
    mona.client
        .act(&format!("{path}/release"))
        .await
        .expect(403);
    let free = lena
        .client
        .act(&format!("{path}/release"))
        .await
        .expect(200);
    assert_eq!(free.json["claimed_by_id"], json!(null));
    assert_eq!(free.json["claimed_at"], json!(null));
    mona.client.act(&claim).await.expect(200);
    mona.client.act(&format!("{path}/answer")).await.expect(200);

    // Bypassing the engine, as the request role: the state may change, but the claimant is the caller, and the time is
    // now.
    let mut conn = library.database.connect().await;
    let text = "update app.enquiries set state = 'open', claimed_by_id = null, claimed_at = null where id = $1";
    sqlx::query(text)
        .bind(id)
        .execute(&mut conn)
        .await
        .expect("open again");
    let other = mona.id;
    for (set, code) in [
        (
            format!("claimed_by_id = '{other}', claimed_at = now()"),
            Some("42501"),
        ),
        (
            "claimed_by_id = null, claimed_at = now()".to_owned(),
            Some("42501"),
        ),
        (
            "claimed_by_id = sec.uid(), claimed_at = now() - interval '1 day'".to_owned(),
            Some("42501"),
        ),
        ("claimed_at = now()".to_owned(), Some("42501")),
        (
            format!("claimed_by_id = sec.uid(), claimed_at = now(), keeper_id = '{other}'"),
            Some("42501"),
        ),
        (
            "claimed_by_id = sec.uid(), claimed_at = now()".to_owned(),
            None,
        ),
    ] {
        let text = format!(
            "begin; set local role library_app; select sec.enter('{}', '{}', 'claim', '{}');
             update app.enquiries set state = 'claimed', {set} where id = '{id}'; rollback",
            lena.id,
            Uuid::now_v7(),
            Uuid::now_v7(),
        );
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(text))
            .execute(&mut conn)
            .await;
        sqlx::raw_sql("rollback")
            .execute(&mut conn)
            .await
            .expect("back");
        let found = done
            .err()
            .and_then(|error| error.as_database_error()?.code().map(|c| c.into_owned()));
        assert_eq!(found.as_deref(), code, "{set}");
    }
    // Claiming emits an event.
    let told: Vec<String> = sqlx::query_scalar(
        "select event from jobs.events where entity_type = 'enquiry' order by place",
    )
    .fetch_all(&mut conn)
    .await
    .expect("events");
    assert_eq!(told, ["enquiry.claim", "enquiry.claim"]);
}

#[tokio::test]
async fn the_event_of_an_update_says_what_it_changed() {
    let library = Library::open().await;
    let rosa = library.member("Rosa", None).await;
    let book = library.book("Momo").await;
    let lent = library.lend(&book, &rosa).await.expect(201);
    let path = format!("/loans/{}", lent.id());
    let change = json!({"due_on": "2027-01-31", "renewals": 1, "note": "By telephone."});
    let changed = library
        .librarian
        .patch(&path, &lent.etag(), change)
        .await
        .expect(200);
    // An update that changes nothing emits no event.
    let same = json!({"renewals": 1});
    library
        .librarian
        .patch(&path, &changed.etag(), same)
        .await
        .expect(200);
    let mut conn = library.database.connect().await;
    let told: Vec<serde_json::Value> =
        sqlx::query_scalar("select payload from jobs.events where event = 'loan.update'")
            .fetch_all(&mut conn)
            .await
            .expect("events");
    assert_eq!(told, [json!({"changed": ["due_on", "renewals", "note"]})]);
}

#[tokio::test]
async fn a_copy_goes_out_and_comes_back() {
    let library = Library::open().await;
    let (rosa, karl) = (
        library.member("Rosa", None).await,
        library.member("Karl", None).await,
    );
    let book = library.book("Momo").await;
    let body = json!({"due_on": "2026-12-24", "book_id": book, "member_id": rosa.id});
    rosa.client.post("/loans", body).await.expect(403);
    let loan = format!(
        "/loans/{}",
        library.lend(&book, &rosa).await.expect(201).id()
    );

    // First the hand-written hook refuses, then the rule about the counter.
    let none_left = library.lend(&book, &karl).await.expect(409);
    assert_eq!(none_left.json["detail"], "All copies are on loan.");
    let lent = library
        .visitor
        .get(&format!("/books/{book}"))
        .await
        .expect(200);
    assert_eq!(
        (&lent.json["on_loan"], &lent.json["at_hand"]),
        (&json!(1), &json!(false))
    );
    library
        .librarian
        .delete(&format!("/books/{book}"))
        .await
        .expect(409);

    // A loan is visible to its member and the staff; the note to the staff only.
    let hers = rosa.client.get(&loan).await.expect(200);
    assert_eq!(hers.json.get("note"), None);
    let theirs = library.librarian.get(&loan).await.expect(200);
    assert_eq!(theirs.json["note"], "cover torn");
    assert_eq!(
        theirs.json["allowed_actions"],
        json!(["update", "take_back", "give_up"])
    );
    karl.client.get(&loan).await.expect(404);
    let own = karl.client.get("/loans").await.expect(200);
    assert_eq!(own.json["data"], json!([]));

    rosa.client
        .act(&format!("{loan}/take-back"))
        .await
        .expect(403);
    library
        .librarian
        .act(&format!("{loan}/take-back"))
        .await
        .expect(200);
    library
        .librarian
        .act(&format!("{loan}/take-back"))
        .await
        .expect(409);
    library.librarian.delete(&loan).await.expect(405);
    library
        .librarian
        .delete(&format!("/books/{book}"))
        .await
        .expect(204);
}

#[tokio::test]
async fn money_owed_is_added_up_and_never_rewritten() {
    let library = Library::open().await;
    let (rosa, karl) = (
        library.member("Rosa", None).await,
        library.member("Karl", None).await,
    );
    let loan = library
        .lend(&library.book("Momo").await, &rosa)
        .await
        .expect(201)
        .id();
    let penalty = |member: Uuid, cents: i64| json!({"amount_cents": cents, "reason": "late", "member_id": member, "loan_id": loan});
    let of_another = library
        .librarian
        .post("/penalties", penalty(karl.id, 100))
        .await;
    assert_eq!(of_another.expect(422).pointers(), ["/loan_id"]);
    let id = library
        .librarian
        .post("/penalties", penalty(rosa.id, 250))
        .await
        .expect(201)
        .id();
    library
        .librarian
        .post("/penalties", penalty(rosa.id, -100))
        .await
        .expect(201);
    let path = format!("/penalties/{id}");
    library
        .admin
        .put(&path, "\"1\"", penalty(rosa.id, 0))
        .await
        .expect(405);
    library.admin.delete(&path).await.expect(405);
    let mine = rosa
        .client
        .get(&format!("/members/{}", rosa.id))
        .await
        .expect(200);
    assert_eq!(mine.json["owed_cents"], 150);
    karl.client
        .get(&format!("/members/{}", rosa.id))
        .await
        .expect(404);
}

#[tokio::test]
async fn a_member_waits_for_a_book_once() {
    let library = Library::open().await;
    let (rosa, karl) = (
        library.member("Rosa", None).await,
        library.member("Karl", None).await,
    );
    let wanted = json!({"book_id": library.book("Momo").await});
    library
        .visitor
        .post("/reservations", wanted.clone())
        .await
        .expect(401);
    let made = rosa
        .client
        .post("/reservations", wanted.clone())
        .await
        .expect(201);
    assert_eq!(made.json["member_id"], json!(rosa.id));
    let twice = rosa.client.post("/reservations", wanted.clone()).await;
    let detail = &twice.expect(409).json["errors"][0]["detail"];
    let sentence =
        "there is already a reservation with this book and member where state is not collected";
    assert_eq!(detail, sentence);
    let path = format!("/reservations/{}", made.id());
    karl.client.delete(&path).await.expect(404);
    rosa.client.delete(&path).await.expect(204);
    // Unique among live rows only; the archived row can't be restored then.
    rosa.client.post("/reservations", wanted).await.expect(201);
    rosa.client
        .act(&format!("{path}/restore"))
        .await
        .expect(404);
}

/// A condition on the book, which counts its loans; and a completed reservation makes room for another.
#[tokio::test]
async fn a_reservation_is_ready_when_a_copy_is_there_and_over_when_it_is_collected() {
    let library = Library::open().await;
    let (rosa, karl) = (
        library.member("Rosa", None).await,
        library.member("Karl", None).await,
    );
    let book = library.book("Momo").await;
    let loan = library.lend(&book, &karl).await.expect(201).id();
    let wanted = json!({"book_id": book});
    let made = rosa.client.post("/reservations", wanted.clone()).await;
    let path = format!("/reservations/{}", made.expect(201).id());
    let desk = &library.librarian;
    let ready = format!("{path}/make-ready");
    let refused = desk.act(&ready).await.expect(409);
    let sentence = "This is only possible when copies of book > on_loan of book.";
    assert_eq!(refused.json["detail"], sentence);
    let seen = desk.get(&path).await.expect(200);
    assert_eq!(seen.json["allowed_actions"], json!(["delete"]));
    desk.act(&format!("/loans/{loan}/take-back"))
        .await
        .expect(200);
    let seen = desk.get(&path).await.expect(200);
    assert_eq!(
        seen.json["allowed_actions"],
        json!(["delete", "make_ready"])
    );
    desk.act(&ready).await.expect(200);
    rosa.client
        .post("/reservations", wanted.clone())
        .await
        .expect(409);
    desk.act(&format!("{path}/collect")).await.expect(200);
    rosa.client.post("/reservations", wanted).await.expect(201);
}

#[tokio::test]
async fn posts_are_given_by_the_administration_and_count_at_once() {
    let library = Library::open().await;
    let rosa = library.member("Rosa", None).await;
    let post = json!({"role": "librarian", "member_id": rosa.id});
    rosa.client
        .post("/appointments", post.clone())
        .await
        .expect(403);
    library
        .librarian
        .post("/appointments", post.clone())
        .await
        .expect(403);
    let author = json!({"name": "Michael"});
    rosa.client
        .post("/authors", author.clone())
        .await
        .expect(403);
    let given = library
        .admin
        .post("/appointments", post)
        .await
        .expect(201)
        .id();
    rosa.client
        .post("/authors", author.clone())
        .await
        .expect(201);
    library
        .admin
        .delete(&format!("/appointments/{given}"))
        .await
        .expect(204);
    rosa.client.post("/authors", author).await.expect(403);

    let member = format!("/members/{}", rosa.id);
    library
        .librarian
        .act(&format!("{member}/suspend"))
        .await
        .expect(200);
    rosa.client.get(&member).await.expect(401);
}

#[tokio::test]
async fn who_leaves_a_question_does_not_read_what_others_ask() {
    let library = Library::open().await;
    let rosa = library.member("Rosa", None).await;
    let book = library.book("Momo").await;
    for client in [&library.visitor, &rosa.client] {
        let body = json!({"question": "When is it back?", "book_id": book});
        let left = client.post("/enquiries", body).await.expect(201);
        assert_eq!(left.text, "");
        let place = left.header("location").expect("a place").to_owned();
        assert_eq!(client.get(&place).await.status.as_u16() / 100, 4);
        let read = library.librarian.get(&place).await.expect(200);
        assert_eq!(read.json["question"], "When is it back?");
    }
    // A creator whose row is passed on may not be able to see it afterwards.
    let body = json!({"question": "May I complain?"});
    let left = library.visitor.post("/enquiries", body).await.expect(201);
    let place = left.header("location").expect("a place").to_owned();
    let desk = |desk: &str| {
        let (librarian, place) = (library.librarian.clone(), place.clone());
        let body = json!({ "desk": desk });
        async move { librarian.patch(&place, "*", body).await }
    };
    let moved = desk("administration").await.expect(204);
    assert_eq!(moved.text, "");
    desk("lending").await.expect(404);
    let read = library.admin.get(&place).await.expect(200);
    assert_eq!(read.json["desk"], "administration");
    // The staff can read the new row at once.
    let body = json!({"question": "Who had it last?"});
    let own = library.librarian.post("/enquiries", body).await.expect(201);
    assert_eq!(own.json["question"], "Who had it last?");
    // Errors are reported as usual.
    let body = json!({"question": "Where?", "book_id": Uuid::now_v7()});
    let wrong = library.visitor.post("/enquiries", body).await.expect(422);
    assert_eq!(wrong.pointers(), ["/book_id"]);
    library
        .visitor
        .post("/enquiries", json!({}))
        .await
        .expect(422);
}
