//! Answers of the layers around every route.

use crate::support::{empty, http, request, routes, send};
use axum::{body::Body, http::Request};
use futures_util::stream;
use kernel::{config::RateLimit, http::client::Peer};
use std::time::Duration;

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let routes = routes(&http(|_| ()));
    for path in [
        "/nowhere",
        "/echo/",
        "//echo",
        "/ECHO",
        "/%65cho/",
        "/echo/..%2fecho",
        "/",
    ] {
        let answer = send(&routes, empty(request("GET", path))).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (404, "no-such-route"),
            "{path}"
        );
    }
    for method in ["DELETE", "PUT", "OPTIONS", "TRACE", "BREW"] {
        let answer = send(&routes, empty(request(method, "/echo"))).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (405, "method-not-allowed"),
            "{method}"
        );
        let allow = answer.headers["allow"].to_str().unwrap();
        assert!(
            allow.contains("GET") && allow.contains("HEAD") && allow.contains("POST"),
            "{allow}"
        );
    }
    let tricked = request("GET", "/json").header("x-http-method-override", "POST");
    assert_eq!(send(&routes, empty(tricked)).await.status, 405);
}

#[tokio::test]
async fn every_answer_protects_itself() {
    let routes = routes(&http(|_| ()));
    for path in ["/echo", "/nowhere", "/panic", "/problems"] {
        let answer = send(&routes, empty(request("GET", path))).await;
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["x-frame-options"], "DENY");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        assert!(
            answer.headers["content-security-policy"]
                .to_str()
                .unwrap()
                .contains("default-src 'none'")
        );
        assert!(
            answer.headers["vary"]
                .to_str()
                .unwrap()
                .contains("authorization")
        );
        assert_eq!(answer.headers["x-request-id"].len(), 36);
    }
    let given = request("GET", "/echo").header("x-request-id", "mine");
    assert_ne!(
        send(&routes, empty(given)).await.headers["x-request-id"],
        "mine"
    );
}

#[tokio::test]
async fn a_panic_tells_nothing() {
    let routes = routes(&http(|_| ()));
    let answer = send(&routes, empty(request("GET", "/panic"))).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (500, "internal-error")
    );
    assert!(!answer.text.contains("secret"));
    assert_eq!(
        send(&routes, empty(request("GET", "/echo"))).await.text,
        "hello"
    );
}

#[tokio::test]
async fn problems_explain_themselves() {
    let routes = routes(&http(|_| ()));
    let list = send(&routes, empty(request("GET", "/problems"))).await;
    for kind in kernel::problems::ALL {
        assert!(list.text.contains(kind.slug));
        let page = send(
            &routes,
            empty(request("GET", &format!("/problems/{}", kind.slug))),
        )
        .await;
        assert_eq!(
            (page.status.as_u16(), page.text.contains(kind.title)),
            (200, true)
        );
    }
    assert_eq!(
        send(&routes, empty(request("GET", "/problems/none")))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn bodies_are_limited_before_and_while_they_are_read() {
    let routes = routes(&http(|config| {
        config.body_timeout = Duration::from_millis(50)
    }));
    let whole = |length: usize| {
        request("POST", "/echo")
            .body(Body::from(vec![b'x'; length]))
            .unwrap()
    };
    assert_eq!(send(&routes, whole(1000)).await.status, 200);
    assert_eq!(
        send(&routes, whole(1001)).await.problem(),
        "content-too-large"
    );
    let chunks = stream::iter((0..2000).map(|_| Ok::<_, std::io::Error>("x")));
    let chunked = request("POST", "/json").header("content-type", "application/json");
    let chunked = chunked.body(Body::from_stream(chunks)).unwrap();
    assert_eq!(send(&routes, chunked).await.problem(), "content-too-large");
    let never = stream::pending::<Result<&str, std::io::Error>>();
    let slow = request("POST", "/json").header("content-type", "application/json");
    let slow = slow.body(Body::from_stream(never)).unwrap();
    assert_eq!(send(&routes, slow).await.problem(), "request-timeout");
}

/// A route may take more than others, or less; what it takes comes as it was sent.
#[tokio::test]
async fn a_route_may_have_a_limit_of_its_own() {
    let limit = |path, bytes| kernel::config::BodyLimit { path, bytes };
    let routes = routes(&http(|config| {
        config.body_limits = vec![limit("/raw/{id}", 5000), limit("/json", 10)];
    }));
    let post = |path: &str, length: usize| {
        let body = Body::from(vec![0xff; length]);
        request("POST", path).body(body).unwrap()
    };
    let taken = send(&routes, post("/raw/7", 5000)).await;
    assert_eq!((taken.status.as_u16(), taken.text.as_str()), (200, "5000"));
    for (path, length) in [("/raw/7", 5001), ("/json", 11), ("/echo", 1001)] {
        let refused = send(&routes, post(path, length)).await;
        assert_eq!(refused.status, 413, "{path}");
    }
}

#[tokio::test]
async fn only_plain_json_is_json() {
    let routes = routes(&http(|_| ()));
    let good = r#"{"number":1}"#;
    let json = |header: &'static str, value: &'static str, body: &'static str| -> Request<Body> {
        let builder = request("POST", "/json").header(header, value);
        let builder = if header == "content-type" {
            builder
        } else {
            builder.header("content-type", "application/json")
        };
        builder.body(Body::from(body)).unwrap()
    };
    let plain = |body| json("content-type", "application/json", body);
    assert_eq!(send(&routes, plain(good)).await.text, "1");
    for (header, value) in [
        ("content-type", "text/json"),
        ("content-type", "application/json; charset=utf-16"),
        ("content-encoding", "gzip"),
        ("content-encoding", "br"),
    ] {
        let answer = send(&routes, json(header, value, good)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (415, "unsupported-media-type")
        );
    }
    for (body, status) in [(r#"{"number":1"#, 400), ("{}", 422)] {
        assert_eq!(send(&routes, plain(body)).await.status, status, "{body}");
    }
}

#[tokio::test]
async fn headers_are_limited() {
    let routes = routes(&http(|_| ()));
    let many = request("GET", "/echo").header("x-large", "x".repeat(17_000));
    assert_eq!(
        send(&routes, empty(many)).await.problem(),
        "headers-too-large"
    );
}

#[tokio::test]
async fn addresses_have_buckets_and_strangers_cannot_change_theirs() {
    let http = http(|config| {
        config.ip_limit = Some(RateLimit {
            per_minute: 1,
            burst: 2,
        });
        config.trusted_proxies = vec!["10.0.0.0/8".into()];
    });
    let routes = routes(&http);
    let from = |peer: &str, forwarded: &str| {
        let peer = Peer(format!("{peer}:4000").parse().unwrap());
        empty(
            request("GET", "/ip")
                .header("x-forwarded-for", forwarded)
                .extension(peer),
        )
    };
    let first = send(&routes, from("198.51.100.7", "1.1.1.1")).await;
    assert_eq!(
        (first.text.as_str(), &first.headers["ratelimit"]),
        ("Some(198.51.100.7)", &"\"ip\";r=1".parse().unwrap())
    );
    assert_eq!(first.headers["ratelimit-policy"], "\"ip\";q=2;w=120");
    assert_eq!(
        send(&routes, from("198.51.100.7", "2.2.2.2")).await.status,
        200
    );
    let refused = send(&routes, from("198.51.100.7", "3.3.3.3")).await;
    assert_eq!(
        (refused.status.as_u16(), refused.problem().as_str()),
        (429, "quota-exceeded")
    );
    for name in ["retry-after", "ratelimit", "ratelimit-policy"] {
        assert!(refused.headers.contains_key(name), "{name}");
    }
    assert_eq!(
        send(&routes, from("10.0.0.1", "198.51.100.7")).await.status,
        429,
        "the same client by proxy"
    );
    assert_eq!(
        send(&routes, from("10.0.0.1", "198.51.100.8")).await.status,
        200
    );
}

#[tokio::test]
async fn too_much_at_once_is_turned_away_at_once() {
    let http = http(|config| {
        config.max_requests = 1;
        config.handler_timeout = Duration::from_millis(200);
    });
    let routes = routes(&http);
    let (slow, shed) = tokio::join!(send(&routes, empty(request("GET", "/slow"))), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        send(&routes, empty(request("GET", "/echo"))).await
    });
    assert_eq!(
        (
            shed.status.as_u16(),
            shed.headers["retry-after"].to_str().unwrap()
        ),
        (503, "1")
    );
    assert_eq!(slow.problem(), "unavailable", "the handler's time is up");
    assert_eq!(
        send(&routes, empty(request("GET", "/echo"))).await.status,
        200
    );
}

/// Clients that send their bodies slowly would otherwise hold all places while nothing is worked on.
#[tokio::test]
async fn a_slow_body_holds_no_place() {
    let http = http(|config| config.max_requests = 1);
    let routes = routes(&http);
    let never = stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let slow = request("POST", "/json").header("content-type", "application/json");
    let slow = slow.body(Body::from_stream(never)).unwrap();
    let others = async {
        let (mut refused, mut tries) = (0, 0);
        while tries < 600 {
            match send(&routes, empty(request("GET", "/echo")))
                .await
                .status
                .as_u16()
            {
                200 => return refused,
                503 => refused += 1,
                other => panic!("{other}"),
            }
            tries += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the slow body still holds the place")
    };
    let refused = tokio::select! {
        biased;
        answer = send(&routes, slow) => panic!("{}", answer.status),
        refused = others => refused,
    };
    assert!(refused > 0, "while the body could still arrive in time");
}

#[tokio::test]
async fn pages_of_known_origins_may_call() {
    let http = http(|config| config.cors_origins = vec!["https://app.test".into()]);
    let routes = routes(&http);
    let preflight = |origin: &'static str| {
        let builder = request("OPTIONS", "/echo").header("origin", origin);
        empty(builder.header("access-control-request-method", "PATCH"))
    };
    let known = send(&routes, preflight("https://app.test")).await;
    assert_eq!(known.status, 204);
    assert_eq!(
        known.headers["access-control-allow-origin"],
        "https://app.test"
    );
    assert!(
        known.headers["access-control-allow-methods"]
            .to_str()
            .unwrap()
            .contains("PATCH")
    );
    for origin in [
        "https://evil.test",
        "null",
        "https://app.test.evil.test",
        "http://app.test",
    ] {
        let answer = send(&routes, preflight(origin)).await;
        assert!(
            !answer.headers.contains_key("access-control-allow-origin"),
            "{origin}"
        );
    }
    let failed = send(
        &routes,
        empty(request("GET", "/nowhere").header("origin", "https://app.test")),
    )
    .await;
    assert_eq!(
        failed.headers["access-control-allow-origin"], "https://app.test",
        "problems can be read too"
    );
    assert!(
        failed
            .headers
            .get_all("vary")
            .iter()
            .any(|value| value == "origin")
    );
}
