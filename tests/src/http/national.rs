//! Telephone numbers without a country code: which country they are taken to be of, and what is stored.

use super::operations::document;
use crate::support::{Answer, TestServer, server::Member};
use serde_json::{Value, json};
use uuid::Uuid;

/// The code of a country, a number as people there write it, and the same number as E.164.
const WRITTEN: [(&str, &str, &str); 16] = [
    // In Italy the leading zero is part of the number.
    ("IT", "06 6982 0000", "+390669820000"),
    // Mobile numbers of Argentina: at home 15 follows the area code, from abroad 9 precedes it.
    ("AR", "011 15-2345-6789", "+5491123456789"),
    ("GB", "(0)20 7183 8750", "+442071838750"),
    ("GB", "020 7183 8750", "+442071838750"),
    ("DE", "0171/1234567", "+491711234567"),
    ("US", "(212) 736-5000", "+12127365000"),
    ("US", "1-212-736-5000", "+12127365000"),
    ("FR", "06 12 34 56 78", "+33612345678"),
    ("VN", "090 123 45 67", "+84901234567"),
    ("NG", "0803 123 4567", "+2348031234567"),
    ("BR", "(11) 91234-5678", "+5511912345678"),
    ("JP", "０３ー１２３４ー５６７８", "+81312345678"),
    ("EG", "٠١٠ ١٢٣٤ ٥٦٧٨", "+201012345678"),
    ("CH", "+41 (0)44 668 18 00", "+41446681800"),
    // What is dialled before a number abroad is the country's as well.
    ("AU", "0011 44 20 7946 0000", "+442079460000"),
    ("JP", "010 44 20 7946 0000", "+442079460000"),
];

async fn city_in(server: &TestServer, country: &str) -> Uuid {
    sqlx::query_scalar(
        "select i.id from app.cities i join app.countries c on c.id = i.country_id where c.code = $1
         order by i.population desc nulls last limit 1",
    )
    .bind(country)
    .fetch_one(&mut server.superuser().await)
    .await
    .expect("a city of the reference data")
}

async fn change(member: &Member, path: &str, body: Value) -> Answer {
    member.client.patch(path, "*", body).await
}

fn is_refused(answer: &Answer) {
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert_eq!(answer.pointers(), ["/phone"], "{}", answer.text);
    let detail = answer.json["errors"][0]["detail"].as_str().unwrap_or("");
    assert!(detail.contains("with the code of its country"), "{detail}");
}

#[tokio::test]
async fn numbers_are_of_the_country_of_the_object() {
    let server = TestServer::start().await;
    let member = server.member("nils_national").await;
    for (at, (country, written, stored)) in WRITTEN.into_iter().enumerate() {
        let city = city_in(&server, country).await;
        // First with the city that the body names, then with the city of the stored row.
        let body = json!({"home_city_id": city, "phone": written});
        let answer = change(&member, "/me", body).await.expect(200);
        assert_eq!(answer.json["phone"], stored, "{country} {written}");
        change(&member, "/me", json!({"phone": null}))
            .await
            .expect(200);
        let answer = change(&member, "/me", json!({"phone": written}))
            .await
            .expect(200);
        assert_eq!(answer.json["phone"], stored, "{country} {written}");
        // A member may create 10 businesses per day.
        if at < 10 {
            let body = json!({"name": format!("Firm {at}"), "city_id": city, "phone": written});
            let made = member.client.post("/businesses", body).await.expect(201);
            assert_eq!(made.json["phone"], stored, "{country} {written}");
        }
    }
}

/// A number on WhatsApp is one as well; the rest of the object stays.
#[tokio::test]
async fn numbers_within_objects_are_completed_too() {
    let server = TestServer::start().await;
    let member = server.member("nick_national").await;
    let links = json!({"whatsapp": "044 668 18 00", "instagram": "@nick"});
    let body = json!({"social_links": links, "phone": "044 668 18 01"});
    let answer = change(&member, "/me", body.clone()).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    let mut pointers = answer.pointers();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/phone", "/social_links/whatsapp"]);
    let city = city_in(&server, "CH").await;
    change(&member, "/me", json!({"home_city_id": city}))
        .await
        .expect(200);
    let answer = change(&member, "/me", body).await.expect(200);
    let links = &answer.json["social_links"];
    assert_eq!(links["whatsapp"], "https://wa.me/41446681800");
    assert_eq!(links["instagram"], "https://www.instagram.com/nick");
    assert_eq!(answer.json["phone"], "+41446681801");
}

/// The country of the object takes precedence over that of the caller, and the body over the stored row.
#[tokio::test]
async fn the_nearest_country_counts() {
    let server = TestServer::start().await;
    let member = server.member("nora_national").await;
    let (italy, france) = (city_in(&server, "IT").await, city_in(&server, "FR").await);
    change(&member, "/me", json!({"home_city_id": france}))
        .await
        .expect(200);
    let body = json!({"name": "Firm", "city_id": italy, "phone": "06 6982 0000"});
    let made = member.client.post("/businesses", body).await.expect(201);
    assert_eq!(made.json["phone"], "+390669820000");
    let path = format!("/businesses/{}", made.id());
    // This would be a mobile number in France.
    let answer = change(&member, &path, json!({"phone": "06 12 34 56 78"})).await;
    assert_ne!(answer.json["phone"], "+33612345678", "{}", answer.text);
    let answer = change(&member, "/me", json!({"phone": "06 12 34 56 78"}))
        .await
        .expect(200);
    assert_eq!(answer.json["phone"], "+33612345678");
    let body = json!({"phone": "06 6982 0000", "home_city_id": italy});
    let answer = change(&member, "/me", body).await.expect(200);
    assert_eq!(answer.json["phone"], "+390669820000");

    // If a member without a city is changed by an administrator, the administrator's city is used.
    let admin = server.member("ada_national").await;
    server.grant(&admin, "platformAdmin", None).await;
    change(&admin, "/me", json!({"home_city_id": france}))
        .await
        .expect(200);
    let other = server.member("omar_national").await;
    let path = format!("/users/{}", other.id);
    let answer = change(&admin, &path, json!({"phone": "06 12 34 56 78"}))
        .await
        .expect(200);
    assert_eq!(answer.json["phone"], "+33612345678");
}

/// If no country is known, or the number is not valid in the country, the answer says what to send; other errors of
/// the body are reported too.
#[tokio::test]
async fn what_cannot_be_understood_is_refused_with_the_rest() {
    let server = TestServer::start().await;
    let member = server.member("nemo_national").await;
    is_refused(&change(&member, "/me", json!({"phone": "044 668 18 00"})).await);
    // A city that does not exist, or a value that is no id, leads to no country.
    for city in [json!(Uuid::now_v7()), json!("Zürich"), json!(null)] {
        let body = json!({"phone": "044 668 18 00", "home_city_id": city});
        let answer = change(&member, "/me", body).await.expect(422);
        assert!(answer.pointers().contains(&"/phone"), "{}", answer.text);
    }
    let home = json!({"home_city_id": city_in(&server, "CH").await});
    change(&member, "/me", home).await.expect(200);
    for wrong in [
        "112",
        "044 668",
        "044 CALL NOW",
        "044 668 18 00 / 01",
        "+41 44 668 18 00 / 01",
        "0011 44 20 7946 0000",
        "00",
        "12345678901234567890123",
    ] {
        is_refused(&change(&member, "/me", json!({"phone": wrong})).await);
    }
    let body = json!({"phone": "044 668", "display_name": ""});
    let answer = change(&member, "/me", body).await.expect(422);
    let mut pointers = answer.pointers();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/display_name", "/phone"]);
    // The number of a payment card is refused as such, although it might be a telephone number.
    let card = change(&member, "/me", json!({"phone": "4242 4242 4242 4242"}))
        .await
        .expect(422);
    assert_eq!(card.json["errors"][0]["code"], "card_number");
    // International numbers are not compared with the numbering plan, which may be older than the number.
    let answer = change(&member, "/me", json!({"phone": "+41 99 123 45 67 8"}))
        .await
        .expect(200);
    assert_eq!(answer.json["phone"], "+419912345678");
}

/// A caller who can't see the object gets the same answer whether or not the number is valid in its country.
#[tokio::test]
async fn strangers_learn_no_country() {
    let server = TestServer::start().await;
    let (owner, stranger) = (
        server.member("olga_national").await,
        server.member("sven_national").await,
    );
    let home = json!({"home_city_id": city_in(&server, "CH").await, "is_public": false});
    change(&owner, "/me", home).await.expect(200);
    let path = format!("/users/{}", owner.id);
    let valid = change(&stranger, &path, json!({"phone": "044 668 18 00"}))
        .await
        .told();
    let invalid = change(&stranger, &path, json!({"phone": "044 668 18"}))
        .await
        .told();
    assert_eq!(valid, invalid);
    assert_eq!(valid.0, 422);
}

#[test]
fn the_document_says_which_country() {
    let said = |schema: &str| {
        let schema = &document()["components"]["schemas"][schema];
        schema["properties"]["phone"]["description"]
            .as_str()
            .unwrap_or("")
            .to_owned()
    };
    for (schema, of) in [
        (
            "CreateBusiness",
            "the country of the `city`, or else of the caller's `home_city`",
        ),
        ("PatchUser", "the country of the `home_city`"),
    ] {
        assert!(said(schema).contains(of), "{schema}: {}", said(schema));
    }
}
