//! Mail addresses and names: whose account a link creates, limits of mails, and which handles and passwords are valid.

use super::sign_in::{behind_proxy, from, wish};
use crate::support::{
    Client, TestServer,
    people::{self, PASSWORD, address, mailed_token, sign_in},
};
use serde_json::{Value, json};

pub(super) async fn mail_from(client: &Client, ip: &str, path: &str, body: Value) {
    let headers = [("x-forwarded-for", ip)];
    client
        .send(reqwest::Method::POST, path, Some(body), &headers)
        .await
        .expect(202);
}

/// The number of mails to an address after all requests have been processed.
async fn mails_to(server: &TestServer, address: &str) -> usize {
    server.settled().await;
    server.mailer.count_to(address)
}

#[tokio::test]
async fn abuse_18_strangers_do_not_use_up_the_owners_mail() {
    let server = behind_proxy(|sessions| {
        sessions.mails_per_hour = 2;
        sessions.mails_per_hour_anywhere = 6;
    })
    .await;
    people::sign_up(&server, "ana").await;
    from(&server.client, "198.51.100.7", "ana", PASSWORD)
        .await
        .expect(200);
    let ana = address("ana");
    let ask = async |ip: &str| {
        mail_from(
            &server.client,
            ip,
            "/auth/forgot-password",
            json!({"email": ana}),
        )
        .await;
    };
    let before = server.mailer.count_to(&ana);
    // A network can cause a limited number of mails,
    for _ in 0..6 {
        ask("192.0.2.1").await;
    }
    assert_eq!(mails_to(&server, &ana).await, before + 2);
    // and so can all unknown networks together,
    for at in 0..20 {
        ask(&format!("203.0.113.{at}")).await;
    }
    assert_eq!(mails_to(&server, &ana).await, before + 6);
    // but the owner still gets a mail when asking from a known network. All of these links are valid until one is
    // used.
    let count = server.mailer.count();
    ask("198.51.100.7").await;
    let token = people::mailed_token(&server, &ana, count).await;
    assert_eq!(server.mailer.count_to(&ana), before + 7);
    // Mails for signing up and for changing the address are counted separately.
    mail_from(
        &server.client,
        "203.0.113.1",
        "/auth/sign-up",
        wish("dora", &ana),
    )
    .await;
    assert_eq!(mails_to(&server, &ana).await, before + 8);
    let body = json!({"token": token, "password": "eight large giraffes"});
    server
        .client
        .post("/auth/reset-password", body)
        .await
        .expect(204);
}

/// A stranger requests five links with the owner's address: whichever link the owner uses, the account belongs to the
/// owner.
#[tokio::test]
async fn abuse_18_whoever_has_the_mailbox_sets_the_password() {
    let server = behind_proxy(|_| {}).await;
    let (ana, thiefs) = (address("ana"), "twelve patient crows");
    // A sign-up can't contain a password.
    let planted =
        json!({"email": ana, "password": thiefs, "handle": "thief", "display_name": "Thief"});
    let answer = server
        .client
        .post("/auth/sign-up", planted)
        .await
        .expect(422);
    assert_eq!(answer.pointers(), ["/password"]);
    mail_from(
        &server.client,
        "198.51.100.7",
        "/auth/sign-up",
        wish("ana", &ana),
    )
    .await;
    let own = people::mailed_token(&server, &ana, 0).await;
    let mut links = Vec::new();
    for at in 0..5 {
        let before = server.mailer.count();
        let handle = format!("thief{at}");
        mail_from(
            &server.client,
            "192.0.2.1",
            "/auth/sign-up",
            wish(&handle, &ana),
        )
        .await;
        links.push(people::mailed_token(&server, &ana, before).await);
    }
    // The newest link is the stranger's. Without a password it creates no account, and stays valid.
    let newest = links.last().expect("links").clone();
    let open = async |body: Value| server.client.post("/auth/verify-email", body).await;
    let answer = open(json!({"token": newest})).await.expect(422);
    assert_eq!(answer.pointers(), ["/password"]);
    let weak = open(json!({"token": newest, "password": "password12", "handle": "ana"})).await;
    assert_eq!(weak.expect(422).pointers(), ["/password"]);
    let body = json!({"token": newest, "password": PASSWORD, "handle": "ana", "display_name": "Ana Costa"});
    open(body).await.expect(204);
    for link in links.iter().chain([&own]) {
        open(json!({"token": link, "password": thiefs}))
            .await
            .expect(410);
    }
    sign_in(&server.client, "ana", thiefs).await.expect(401);
    let signed = sign_in(&server.client, "ana", PASSWORD).await.expect(200);
    let me = server
        .client
        .with_token(signed.json["access_token"].as_str().expect("a token"));
    let me = me.get("/me").await.expect(200);
    assert_eq!(
        (&me.json["handle"], &me.json["display_name"]),
        (&json!("ana"), &json!("Ana Costa"))
    );
}

/// A stranger requests a change of the stranger's own address to the owner's, while the owner signs up: the page that
/// the owner expects does nothing with that link.
#[tokio::test]
async fn abuse_18_a_link_for_another_account_makes_nobody() {
    let server = TestServer::start().await;
    people::sign_up(&server, "thief").await;
    let thief = sign_in(&server.client, "thief", PASSWORD).await.expect(200);
    let thief = server
        .client
        .with_token(thief.json["access_token"].as_str().expect("a token"));
    let ana = address("ana");
    server
        .client
        .post("/auth/sign-up", wish("ana", &ana))
        .await
        .expect(202);
    let own = people::mailed_token(&server, &ana, 0).await;
    let before = server.mailer.count();
    thief
        .send(
            reqwest::Method::PUT,
            "/me/email",
            Some(json!({ "email": ana })),
            &[],
        )
        .await
        .expect(202);
    let thiefs = people::mailed_token(&server, &ana, before).await;
    // The mail says which account it is about.
    assert!(
        server
            .mailer
            .last_to(&ana)
            .expect("a mail")
            .contains("@thief")
    );
    let body = |token: &str| json!({"token": token, "password": PASSWORD});
    let verify = async |body: Value| server.client.post("/auth/verify-email", body).await;
    verify(body(&thiefs)).await.expect(410);
    let confirm = async |body: Value| server.client.post("/auth/confirm-email", body).await;
    let answer = confirm(body(&thiefs)).await.expect(422);
    assert_eq!(answer.pointers(), ["/password"]);
    confirm(json!({ "token": own })).await.expect(410);
    verify(body(&own)).await.expect(204);
    sign_in(&server.client, "ana", PASSWORD).await.expect(200);
    // Now the address is taken; and signing out cancels the change.
    confirm(json!({ "token": thiefs })).await.expect(409);
    thief.act("/auth/sign-out").await.expect(204);
    confirm(json!({ "token": thiefs })).await.expect(410);
}

#[tokio::test]
async fn abuse_18_one_network_does_not_write_to_a_whole_town() {
    let server = behind_proxy(|sessions| sessions.mails_per_hour_from_network = 4).await;
    let sign_up = async |ip: &str, at: usize| {
        let (handle, to) = (format!("guest{at}"), format!("guest{at}@example.org"));
        mail_from(&server.client, ip, "/auth/sign-up", wish(&handle, &to)).await;
        mails_to(&server, &to).await
    };
    for at in 0..4 {
        assert_eq!(sign_up("192.0.2.1", at).await, 1, "{at}");
    }
    // Refused in the same way for every address, whether or not it is a member's.
    people::sign_up(&server, "ana").await;
    for (path, body) in [
        ("/auth/sign-up", wish("guest4", "guest4@example.org")),
        ("/auth/forgot-password", json!({"email": address("ana")})),
        (
            "/auth/forgot-password",
            json!({"email": "nobody@example.org"}),
        ),
    ] {
        let headers = [("x-forwarded-for", "192.0.2.1")];
        let post = reqwest::Method::POST;
        let refused = server.client.send(post, path, Some(body), &headers).await;
        let refused = refused.expect(429);
        let wait: u64 = (refused.header("retry-after").expect("when to come again"))
            .parse()
            .expect("seconds");
        assert!((3000..=3600).contains(&wait), "{wait}");
    }
    assert_eq!(mails_to(&server, "guest4@example.org").await, 0);
    assert_eq!(sign_up("192.0.2.2", 5).await, 1);
}

/// Of several links for the same address that are used at the same time, only one creates an account.
#[tokio::test]
async fn abuse_18_of_links_that_are_opened_together_one_counts() {
    let server = TestServer::start().await;
    let mut links = Vec::new();
    for handle in ["ana", "ben", "carla"] {
        let before = server.mailer.count();
        server
            .client
            .post("/auth/sign-up", wish(handle, &address("ana")))
            .await
            .expect(202);
        links.push(people::mailed_token(&server, &address("ana"), before).await);
    }
    let opened: Vec<_> = links
        .into_iter()
        .map(|token| {
            let client = server.client.clone();
            let body = json!({"token": token, "password": PASSWORD});
            tokio::spawn(async move {
                client
                    .post("/auth/verify-email", body)
                    .await
                    .status
                    .as_u16()
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for one in opened {
        statuses.push(one.await.expect("an answer"));
    }
    statuses.sort_unstable();
    assert_eq!(statuses[0], 204, "{statuses:?}");
    assert!(
        statuses[1..]
            .iter()
            .all(|status| matches!(status, 409 | 410)),
        "{statuses:?}"
    );
}

#[tokio::test]
async fn abuse_18_a_handle_does_not_speak_for_the_platform() {
    let server = TestServer::start().await;
    for handle in [
        "admin",
        "support",
        "root",
        "culturepass",
        "adm1n",
        "the_admin",
        "support_7",
        "culturepass_help",
    ] {
        let answer = server
            .client
            .post("/auth/sign-up", wish(handle, "x@example.org"))
            .await
            .expect(422);
        assert_eq!(answer.pointers(), ["/handle"], "{handle}");
        let body = json!({"token": "any", "password": PASSWORD, "handle": handle});
        let answer = server
            .client
            .post("/auth/verify-email", body)
            .await
            .expect(422);
        assert_eq!(answer.pointers(), ["/handle"], "{handle}");
    }
    server
        .client
        .post("/auth/sign-up", wish("administrative_ana", "x@example.org"))
        .await
        .expect(202);
}

/// The same password typed on different keyboards, and a password that was hashed before passwords were normalized.
#[tokio::test]
async fn abuse_18_a_password_is_the_same_from_every_keyboard() {
    let server = TestServer::start().await;
    people::sign_up(&server, "ana").await;
    let composed = "sept caf\u{e9}s br\u{fb02}ants";
    let decomposed = "sept cafe\u{301}s brflants";
    let mut conn = server.superuser().await;
    let set = async |conn: &mut sqlx::PgConnection, hash: String| {
        sqlx::query("update app.credentials set password_hash = $1")
            .bind(hash)
            .execute(conn)
            .await
            .expect("set");
    };
    let hash = app::sessions::password_hash(&composed.into()).expect("a hash");
    set(&mut conn, hash).await;
    for typed in [composed, decomposed] {
        sign_in(&server.client, "ana", typed).await.expect(200);
    }
    // The password was hashed as typed, as before normalization.
    let old = raw_hash(decomposed);
    set(&mut conn, old.clone()).await;
    sign_in(&server.client, "ana", composed).await.expect(401);
    sign_in(&server.client, "ana", decomposed).await.expect(200);
    // After a successful sign-in, the normalized password is stored.
    sign_in(&server.client, "ana", composed).await.expect(200);
    let now: String = sqlx::query_scalar("select password_hash from app.credentials")
        .fetch_one(&mut conn)
        .await
        .expect("a hash");
    assert_ne!(now, old);
}

/// The hash of a password as it was stored before passwords were normalized.
fn raw_hash(password: &str) -> String {
    use argon2::password_hash::PasswordHasher;
    let hash = argon2::Argon2::default().hash_password(password.as_bytes());
    hash.expect("a hash").to_string()
}

/// Signing up refuses them too: whoever guesses passwords begins with the names of the account.
#[tokio::test]
async fn abuse_18_no_new_password_contains_the_names_of_its_member() {
    let server = TestServer::start().await;
    people::sign_up(&server, "marianne").await;
    let signed = sign_in(&server.client, "marianne", PASSWORD).await;
    let token = signed.expect(200).json["access_token"].clone();
    let marianne = server.client.with_token(token.as_str().expect("a token"));
    let own = "xx-Marianne-99";
    let body = json!({"current_password": PASSWORD, "password": own});
    let refused = marianne.send(reqwest::Method::PUT, "/me/password", Some(body), &[]);
    assert_eq!(refused.await.expect(422).pointers(), ["/password"]);
    let before = server.mailer.count();
    let body = json!({"email": address("marianne")});
    let asked = server.client.post("/auth/forgot-password", body).await;
    asked.expect(202);
    let token = mailed_token(&server, &address("marianne"), before).await;
    let reset = async |password: &str| {
        let body = json!({"token": token, "password": password});
        server.client.post("/auth/reset-password", body).await
    };
    assert_eq!(reset(own).await.expect(422).pointers(), ["/password"]);
    // After the refusal, the link is still good.
    reset("nine large giraffes").await.expect(204);
}

/// Mails about accounts are in the language of their reader: before there is an account that of the request, afterwards
/// the member's, whatever language the request is in.
#[tokio::test]
async fn no7_mails_about_accounts_are_in_the_language_of_their_reader() {
    let server = behind_proxy(|_| {}).await;
    let subject = async |address: &str| {
        server.settled().await;
        let mails = server.mailer.all_to(address);
        mails.last().expect("a mail").subject.clone()
    };
    let send = async |path: &str, body: Value, accepted: &str| {
        let headers = [("accept-language", accepted)];
        let sent = server
            .client
            .send(reqwest::Method::POST, path, Some(body), &headers);
        sent.await.expect(202);
    };
    let ana = address("ana");
    let mut german = wish("ana", &ana);
    german["locale"] = json!("de-CH");
    send("/auth/sign-up", german, "en").await;
    assert!(subject(&ana).await.starts_with("Bestätige"));
    let token = people::mailed_token(&server, &ana, 0).await;
    let body = json!({"token": token, "password": PASSWORD});
    server
        .client
        .post("/auth/verify-email", body)
        .await
        .expect(204);
    send("/auth/forgot-password", json!({"email": ana}), "en").await;
    assert!(subject(&ana).await.starts_with("Wähle ein neues Passwort"));
    // What a stranger's program asks for changes nothing.
    send("/auth/sign-up", wish("eve", &ana), "en").await;
    assert!(subject(&ana).await.starts_with("Du bist schon Mitglied"));
    // Without a locale, the language of the program is that of the mail and of the account.
    let ben = address("ben");
    send(
        "/auth/sign-up",
        wish("ben", &ben),
        "fr, de-AT;q=0.9, en;q=0.8",
    )
    .await;
    assert!(subject(&ben).await.starts_with("Bestätige"));
    let mut conn = server.superuser().await;
    let locale: String = sqlx::query_scalar("select locale from app.sign_ups where handle = 'ben'")
        .fetch_one(&mut conn)
        .await
        .expect("a sign-up");
    assert_eq!(locale, "de-AT");
    // The control: nobody says a language.
    let cy = address("cy_of_wales");
    send("/auth/sign-up", wish("cy_of_wales", &cy), "*").await;
    assert!(subject(&cy).await.starts_with("Confirm"));
}
