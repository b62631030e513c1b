//! Case 54: the server never fetches URLs given by callers, so no check of such URLs can be circumvented. These tests
//! ensure that it stays that way.

use crate::support::{TestServer, model, root};
use codegen::model::Ty;
use server::seed::demo::PEOPLE;
use sqlx::AssertSqlSafe;
use std::{collections::BTreeSet, fs, path::Path, time::Duration};
use tokio::net::{TcpListener, TcpStream};

/// The files that open connections to the outside. Each of their addresses is a setting.
const CALLERS: [&str; 12] = [
    // FCM, Resend, SendGrid, and Google's token endpoint.
    "runtime/delivery/src/exchange.rs",
    "runtime/delivery/src/fcm.rs",
    "runtime/delivery/src/fcm/account.rs",
    "runtime/delivery/src/resend.rs",
    "runtime/delivery/src/sendgrid.rs",
    "runtime/delivery/src/smtp.rs",
    // Key sets of token issuers.
    "runtime/kernel/src/auth/external.rs",
    // For development: the fakes, and the server itself.
    "runtime/server/src/outbox.rs",
    "runtime/server/src/seed/pictures.rs",
    "runtime/server/src/seed/trade.rs",
    // The bucket.
    "runtime/storage/src/bucket.rs",
    "runtime/stripe/src/network.rs",
];

/// Names whose use opens a connection.
const WAYS: [&str; 10] = [
    "reqwest::Client",
    "reqwest::ClientBuilder",
    "reqwest::get",
    "TcpStream::connect",
    "UdpSocket",
    "lookup_host",
    "ToSocketAddrs",
    "AmazonS3Builder",
    "AsyncSmtpTransport",
    "CustomServiceAccount",
];

#[test]
fn abuse_54_connections_are_opened_to_addresses_that_are_set_and_to_no_others() {
    let mut callers = BTreeSet::new();
    for crates in ["runtime", "generated"] {
        sources(&root().join(crates), &mut |path, text| {
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            if WAYS.iter().any(|way| text.contains(way)) {
                callers.insert(path.to_owned());
            }
        });
    }
    let known: BTreeSet<String> = CALLERS.map(str::to_owned).into();
    let unknown: Vec<_> = callers.difference(&known).collect();
    assert_eq!(
        unknown,
        Vec::<&String>::new(),
        "files that open connections must be listed in CALLERS"
    );
    assert!(callers.len() >= 6, "{callers:?}");
    // The crate of the modules has no dependency that can open connections.
    let manifest = fs::read_to_string(root().join("runtime/app/Cargo.toml")).expect("a manifest");
    let (_, dependencies) = manifest.split_once("[dependencies]").expect("dependencies");
    let dependencies = dependencies
        .split("[dev-dependencies]")
        .next()
        .unwrap_or_default();
    for client in [
        "reqwest",
        "hyper",
        "ureq",
        "object_store",
        "lettre",
        "gcp_auth",
    ] {
        assert!(
            !dependencies.lines().any(|line| line.starts_with(client)),
            "{client}"
        );
    }
}

fn sources(folder: &Path, each: &mut impl FnMut(&str, &str)) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.strip_prefix(root()).expect("below").to_string_lossy();
        if path.is_dir() && !name.ends_with("/tests") {
            sources(&path, each);
        } else if name.ends_with(".rs") && !name.ends_with("/tests.rs") {
            each(&name, &fs::read_to_string(&path).expect("a source"));
        }
    }
}

/// All URLs in rows point to this test's port, and every object is read: no connection arrives.
#[tokio::test]
async fn abuse_54_no_address_of_a_row_is_ever_visited() {
    let server = TestServer::demo().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mut conn = server.superuser().await;
    let mut set = 0;
    for entity in &model().entities {
        let fields = entity.fields.iter().filter(|field| field.ty == Ty::Url);
        for field in fields {
            let text = format!(
                "set session_replication_role = replica;
                 update app.{} set {} = 'https://127.0.0.1:{port}/{}';
                 reset session_replication_role",
                entity.plural, field.name, field.name
            );
            sqlx::raw_sql(AssertSqlSafe(text.clone()))
                .execute(&mut conn)
                .await
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            set += 1;
        }
    }
    assert!(set >= 8, "{set} fields");
    let olga = server.sign_in(PEOPLE[2].id).await;
    for path in ["/me", "/home", "/search?q=a", "/events/upcoming"] {
        olga.client.get(path).await;
    }
    for entity in model().entities.iter().filter(|entity| !entity.internal) {
        let path = format!("/{}", entity.plural.replace('_', "-"));
        let list = olga.client.get(&format!("{path}?limit=3")).await;
        let rows = list.json["data"].as_array().cloned().unwrap_or_default();
        for row in rows.iter().filter_map(|row| row["id"].as_str()) {
            olga.client.get(&format!("{path}/{row}")).await;
        }
    }
    server.settled().await;
    let came = tokio::time::timeout(Duration::from_millis(300), listener.accept()).await;
    assert!(came.is_err(), "somebody came from {came:?}");
    // The negative control: a connection is noticed.
    let visit = TcpStream::connect(("127.0.0.1", port));
    let (seen, visit) = tokio::join!(listener.accept(), visit);
    assert!(seen.is_ok() && visit.is_ok());
}
