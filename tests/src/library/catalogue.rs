//! Books, authors and the tree of categories, which everybody may read.

use super::world::Library;
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn the_staff_keeps_a_catalogue_that_everybody_reads() {
    let library = Library::open().await;
    let reader = library.member("Rosa", None).await;
    let body = json!({"name": "Ursula", "born_on": "1929-10-21"});
    library
        .visitor
        .post("/authors", body.clone())
        .await
        .expect(401);
    reader
        .client
        .post("/authors", body.clone())
        .await
        .expect(403);
    let author = library
        .librarian
        .post("/authors", body)
        .await
        .expect(201)
        .id();
    let book = library.book("The Dispossessed").await;

    // Many to many: the same two can be joined once per part.
    let part = |part: &str| json!({"book_id": book, "author_id": author, "part": part});
    library
        .librarian
        .post("/book-authors", part("writer"))
        .await
        .expect(201);
    library
        .librarian
        .post("/book-authors", part("editor"))
        .await
        .expect(201);
    let twice = library
        .librarian
        .post("/book-authors", part("writer"))
        .await
        .expect(409);
    assert_eq!(twice.problem(), "conflict");

    // A book with all its authors in one request; if one is invalid, nothing is created.
    let category = library.category("Utopias", None).await.expect(201).id();
    let whole = |parts: serde_json::Value| json!({"title": "Always Coming Home", "language": "en", "category_id": category, "authors": parts});
    let parts =
        json!([{"author_id": author}, {"author_id": author, "part": "illustrator", "position": 2}]);
    let made = library
        .librarian
        .post("/books", whole(parts))
        .await
        .expect(201);
    let shown: Vec<_> = (made.json["authors"].as_array().expect("a list").iter())
        .map(|row| (&row["part"], &row["book_id"]))
        .collect();
    let id = &made.json["id"];
    assert_eq!(shown, [(&json!("writer"), id), (&json!("illustrator"), id)]);
    let nobody = json!([{"author_id": author}, {"author_id": Uuid::now_v7(), "part": "editor"}]);
    let refused = library
        .librarian
        .post("/books", whole(nobody))
        .await
        .expect(422);
    assert_eq!(
        refused.pointers(),
        ["/authors/1/author_id"],
        "{}",
        refused.text
    );
    let found = library.visitor.get("/books?q=Always").await.expect(200);
    assert_eq!(
        found.json["data"].as_array().map(Vec::len),
        Some(1),
        "{}",
        found.text
    );

    let page = library
        .visitor
        .get(&format!("/books/{book}/authors?expand=author"))
        .await
        .expect(200);
    let names: Vec<_> = page.json["data"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| &row["author"]["name"])
        .collect();
    assert_eq!(names, ["Ursula", "Ursula"], "{}", page.text);
    let author = library
        .visitor
        .get(&format!("/authors/{author}"))
        .await
        .expect(200);
    assert_eq!(author.json["work_count"], 4);

    let found = library
        .visitor
        .get("/books?q=dispossessed")
        .await
        .expect(200);
    assert_eq!(found.json["data"][0]["id"], json!(book), "{}", found.text);
}

#[tokio::test]
async fn categories_are_a_tree() {
    let library = Library::open().await;
    let fiction = library.category("fiction", None).await.expect(201).id();
    let crime = library.category("crime", Some(&fiction)).await.expect(201);
    let children = library
        .visitor
        .get(&format!("/categories/{fiction}/children"))
        .await
        .expect(200);
    assert_eq!(children.json["data"][0]["id"], json!(crime.id()));

    let path = format!("/categories/{fiction}");
    let etag = library.librarian.get(&path).await.etag();
    let below_itself = library
        .librarian
        .patch(&path, &etag, json!({"parent_id": fiction}))
        .await;
    assert_eq!(below_itself.expect(422).problem(), "invalid-request");
    let nowhere = library
        .category("lost", Some(&Uuid::now_v7().to_string()))
        .await
        .expect(422);
    assert_eq!(nowhere.pointers(), ["/parent_id"]);

    // `on archive restrict`: a category with children can't be archived.
    library.librarian.delete(&path).await.expect(403);
    library.admin.delete(&path).await.expect(409);
    library
        .admin
        .delete(&format!("/categories/{}", crime.id()))
        .await
        .expect(204);
    library.admin.delete(&path).await.expect(204);
}

#[tokio::test]
async fn what_a_book_cost_is_for_the_staff() {
    let library = Library::open().await;
    let book = format!("/books/{}", library.book("Momo").await);
    let asked = library.visitor.get(&book).await.expect(200);
    assert!(asked.json.get("purchase_cents").is_none(), "{}", asked.text);
    assert_eq!(
        library.librarian.get(&book).await.expect(200).json["purchase_cents"],
        1990
    );
    let logged = "select (changed ->> 'purchase_cents') || ' by ' || m.name
        from audit.audit_logs l join app.members m on m.id = l.performed_by where l.entity_type = 'book'";
    assert_eq!(library.database.text(logged).await, "• by Lena");
}

/// Claim: the noted changes of a `delta` counter are added up exactly once, whoever does it.
#[tokio::test]
async fn what_is_noted_is_added_up_once() {
    let library = Library::open().await;
    let book = library.book("The Word for World Is Forest").await;
    for name in ["Rosa", "Karl", "Emma"] {
        let reader = library.member(name, None).await;
        let body = json!({"book_id": book});
        let made = reader.client.post("/reservations", body).await.expect(201);
        if name == "Emma" {
            let path = format!("/reservations/{}", made.id());
            reader.client.delete(&path).await.expect(204);
        }
    }
    let shown = async || {
        let book = library
            .visitor
            .get(&format!("/books/{book}"))
            .await
            .expect(200);
        book.json["reservation_count"].clone()
    };
    assert_eq!(shown().await, 0, "noted only");
    assert_eq!(
        library
            .database
            .text("select count(*)::text from counters.books_delta")
            .await,
        "4"
    );

    // Two at once: the second one has nothing to do.
    let roll_up = "select counters.roll_up(100)";
    let (mut first, mut second) = (
        library.database.connect().await,
        library.database.connect().await,
    );
    sqlx::raw_sql("begin")
        .execute(&mut first)
        .await
        .expect("begun");
    let taken: i64 = sqlx::query_scalar(roll_up)
        .fetch_one(&mut first)
        .await
        .expect("added up");
    assert_eq!(taken, 4);
    let taken: i64 = sqlx::query_scalar(roll_up)
        .fetch_one(&mut second)
        .await
        .expect("added up");
    assert_eq!(taken, 0);
    assert_eq!(shown().await, 0, "not yet");
    sqlx::raw_sql("commit")
        .execute(&mut first)
        .await
        .expect("committed");
    assert_eq!(shown().await, 2);
    let taken: i64 = sqlx::query_scalar(roll_up)
        .fetch_one(&mut second)
        .await
        .expect("added up");
    assert_eq!((taken, shown().await), (0, json!(2)));

    let sorted = library
        .visitor
        .get("/books?sort=-reservation_count")
        .await
        .expect(200);
    assert_eq!(sorted.json["data"][0]["id"], json!(book), "{}", sorted.text);
}
