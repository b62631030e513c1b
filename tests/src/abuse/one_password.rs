//! One password that is tried on many accounts.

use super::sign_in::{behind_proxy, from};
use crate::support::people::{self, PASSWORD};

#[tokio::test]
async fn abuse_18_one_password_is_not_tried_on_everybody() {
    let server = behind_proxy(|sessions| {
        sessions.accounts_per_password = 5;
        sessions.accounts_per_password_anywhere = 12;
    })
    .await;
    people::sign_up(&server, "ana").await;
    from(&server.client, "198.51.100.7", "ana", PASSWORD)
        .await
        .expect(200);
    // From one network: five accounts, each with the allowed number of attempts.
    for at in 0..5 {
        for _ in 0..2 {
            let handle = format!("victim{at}");
            from(&server.client, "192.0.2.1", &handle, PASSWORD)
                .await
                .expect(401);
        }
    }
    from(&server.client, "192.0.2.1", "victim5", PASSWORD)
        .await
        .expect(429);
    from(&server.client, "192.0.2.1", "victim0", PASSWORD)
        .await
        .expect(429);
    from(&server.client, "192.0.2.1", "ana", PASSWORD)
        .await
        .expect(429);
    from(&server.client, "192.0.2.1", "victim5", "another password")
        .await
        .expect(401);
    // From many networks: the password is throttled for all callers from unknown networks.
    for at in 0..20 {
        let (ip, handle) = (format!("203.0.113.{at}"), format!("prey{at}"));
        from(&server.client, &ip, &handle, PASSWORD).await;
    }
    from(&server.client, "203.0.113.99", "prey99", PASSWORD)
        .await
        .expect(429);
    from(&server.client, "203.0.113.99", "prey99", "another password")
        .await
        .expect(401);
    // Ana has this password, and signs in from a known network.
    for _ in 0..3 {
        from(&server.client, "198.51.100.7", "ana", PASSWORD)
            .await
            .expect(200);
    }
}

/// A network whose attempts are refused can't prepare the way for others: accounts that it has named count when they are
/// tried from elsewhere. The control: with the mark that a refused attempt would leave, nothing is refused.
#[tokio::test]
async fn abuse_18_a_refused_network_marks_no_accounts_for_others() {
    let server = behind_proxy(|sessions| {
        sessions.accounts_per_password = 5;
        sessions.accounts_per_password_anywhere = 12;
        sessions.sign_in_failures_per_network = 1_000;
    })
    .await;
    let tried = async |ip: &str, accounts: std::ops::Range<usize>| {
        let mut refused = 0;
        for at in accounts {
            let answer = from(&server.client, ip, &format!("prey{at}"), PASSWORD).await;
            assert!([401, 429].contains(&answer.status.as_u16()));
            refused += usize::from(answer.status == 429);
        }
        refused
    };
    assert_eq!(tried("192.0.2.1", 0..40).await, 35);
    // Another network has its own five, and all networks together twelve.
    assert_eq!(tried("203.0.113.1", 5..40).await, 30);
    let mut refused = 0;
    for at in 20..40 {
        refused += tried(&format!("203.0.113.{at}"), at..at + 1).await;
    }
    assert_eq!(refused, 18);
    let mut conn = server.superuser().await;
    sqlx::raw_sql(
        "create function app.keep_marks() returns trigger language plpgsql as 'begin return null; end';
         create trigger keep_marks before delete on app.throttles for each row execute function app.keep_marks()",
    )
    .execute(&mut conn)
    .await
    .expect("the control");
    let other = async |ip: &str, at: usize| {
        let handle = format!("prey{at}");
        from(&server.client, ip, &handle, "another of their passwords").await
    };
    for at in 0..40 {
        other("198.51.100.1", at).await;
    }
    for at in 5..40 {
        other("198.51.100.2", at).await.expect(401);
    }
}

/// A password can be spelled in thousands of ways (Unicode), and is counted in the normalized form in which it is
/// checked.
#[tokio::test]
async fn abuse_18_one_password_in_many_spellings_is_one() {
    let server = behind_proxy(|sessions| sessions.accounts_per_password = 5).await;
    let letters: Vec<char> = PASSWORD.chars().collect();
    for at in 0..8 {
        // One more full-width letter each time.
        let spelled: String = (letters.iter().enumerate())
            .map(|(n, letter)| match n < at && letter.is_ascii_lowercase() {
                true => char::from_u32(u32::from(*letter) + 0xfee0).expect("full width"),
                false => *letter,
            })
            .collect();
        let status = if at < 5 { 401 } else { 429 };
        from(
            &server.client,
            "192.0.2.1",
            &format!("victim{at}"),
            &spelled,
        )
        .await
        .expect(status);
    }
}
