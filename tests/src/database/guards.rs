//! `when` over related rows: it holds during the transition even if the other row is changed concurrently, and does
//! not depend on whether the caller may see that row.

use super::world::{World, attempt, enter, new, reason, world};
use crate::migrations::{
    blank::Blank,
    repository::{script, world as spec},
};
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use std::time::Duration;
use uuid::Uuid;

const REFUSED: &str = "23514 quotes_accept_when";

/// A quote of `ben`'s business to the organization that `host` administers.
struct Offer {
    lead: Uuid,
    quote: Uuid,
}

impl Offer {
    async fn new(world: &World) -> Offer {
        let pool = &world.database.superuser;
        let (city, host) = (world.city, world.organization);
        let business =
            format!("businesses (city_id, name, state) values ('{city}', 'Ton', 'approved')");
        let business = new(pool, &business).await;
        let role = format!(
            "role_assignments (user_id, role, scope_type, scope_id, state) values ('{}', 'orgAdmin', 'business', '{business}', 'accepted')",
            world.ben
        );
        new(pool, &role).await;
        let request = format!(
            "service_requests (city_id, host_type, host_id, title, category, description) \
             values ('{city}', 'organization', '{host}', 'Sound', 'audio_visual', 'For an evening')"
        );
        let request = new(pool, &request).await;
        let lead = format!(
            "leads (service_request_id, business_id, title, details) values ('{request}', '{business}', 'Sound', 'Loud')"
        );
        let lead = new(pool, &lead).await;
        let quote = format!(
            "quotes (lead_id, amount_cents, currency, terms, valid_until, state) \
             values ('{lead}', 100, 'EUR', '', now() + interval '1 day', 'sent')"
        );
        let quote = new(pool, &quote).await;
        Offer { lead, quote }
    }

    /// The draft of another business of `ben` for the same request.
    async fn draft_of_another(&self, world: &World) -> Offer {
        let pool = &world.database.superuser;
        let business = format!(
            "businesses (city_id, name, state) values ('{}', 'Licht', 'approved')",
            world.city
        );
        let business = new(pool, &business).await;
        let role = format!(
            "role_assignments (user_id, role, scope_type, scope_id, state) values ('{}', 'orgAdmin', 'business', '{business}', 'accepted')",
            world.ben
        );
        new(pool, &role).await;
        let lead = format!(
            "leads (service_request_id, business_id, title, details) \
             select service_request_id, '{business}', 'Light', 'Bright' from app.leads where id = '{}'",
            self.lead
        );
        let lead = new(pool, &lead).await;
        let quote = format!(
            "quotes (lead_id, amount_cents, currency, terms, valid_until) \
             values ('{lead}', 90, 'EUR', '', now() + interval '1 day')"
        );
        let quote = new(pool, &quote).await;
        Offer { lead, quote }
    }

    fn accept(&self) -> String {
        format!(
            "update app.quotes set state = 'accepted', accepted_at = now(), accepted_by_id = sec.uid() where id = '{}'",
            self.quote
        )
    }

    fn decline(&self) -> String {
        format!(
            "update app.leads set state = 'declined' where id = '{}'",
            self.lead
        )
    }
}

/// The result of the second transaction, and whether it had to wait for the first.
async fn second(
    mut first: Transaction<'static, Postgres>,
    mut second: Transaction<'static, Postgres>,
    [one, two]: [String; 2],
) -> (Result<u64, String>, bool) {
    attempt(&mut *first, one).await.expect("the first is alone");
    let waiting = tokio::spawn(async move {
        let done = attempt(&mut *second, two).await?;
        second.commit().await.map_err(|error| reason(&error))?;
        Ok(done)
    });
    tokio::time::sleep(Duration::from_millis(400)).await;
    let waits = !waiting.is_finished();
    first.commit().await.expect("the first is committed");
    (waiting.await.expect("the second does not panic"), waits)
}

async fn decline_then_accept(world: &World) -> (Result<u64, String>, bool) {
    let offer = Offer::new(world).await;
    let declining = world.request(Some(world.ben), "decline").await;
    let accepting = world.request(Some(world.host), "accept").await;
    second(declining, accepting, [offer.decline(), offer.accept()]).await
}

#[tokio::test]
async fn abuse_75_a_guard_sees_what_another_is_about_to_change() {
    let world = world().await;
    let answer = decline_then_accept(&world).await;
    assert_eq!(answer, (Err(REFUSED.to_owned()), true));
}

/// Removes the marketplace's trigger on accepted quotes, which locks the lead as well.
async fn without_what_follows(world: &World) {
    let text = "drop trigger quotes_settle on app.quotes".to_owned();
    world.admin(text).await.expect("dropped");
}

/// The negative control: without its lock, the guard would allow accepting a declined lead's quote.
#[tokio::test]
async fn abuse_75_without_the_lock_the_guard_would_not_hold() {
    let world = world().await;
    let text = "select pg_get_functiondef('sec.quotes_accept_when(uuid)'::regprocedure)";
    let function = world.look::<String>(text).await;
    assert!(function.contains("for share;"), "{function}");
    let unlocked = function.replace("for share;", ";");
    without_what_follows(&world).await;
    world.admin(unlocked).await.expect("another function");
    assert_eq!(decline_then_accept(&world).await, (Ok(1), false));
}

#[tokio::test]
async fn what_a_guard_depends_on_stays_until_the_transition_is_done() {
    let world = world().await;
    let offer = Offer::new(&world).await;
    let accepting = world.request(Some(world.host), "accept").await;
    let declining = world.request(Some(world.ben), "decline").await;
    let answer = second(accepting, declining, [offer.accept(), offer.decline()]).await;
    // The quote was accepted first, so its lead is in the state `won`.
    assert_eq!(answer, (Err("23514 leads_decline_from".to_owned()), true));
    // Once a lead has been declined, its quote can't be accepted.
    let late = Offer::new(&world).await;
    assert_eq!(world.act(world.ben, "decline", late.decline()).await, Ok(1));
    let refused = world.act(world.host, "accept", late.accept()).await;
    assert_eq!(refused, Err(REFUSED.to_owned()));
}

/// A lead has at most one accepted quote: of two accepted at the same moment, the second waits and is refused. With
/// the marketplace's trigger, the first one has declined the second; without it, the unique index refuses the second.
#[tokio::test]
async fn abuse_75_two_quotes_of_one_lead_are_not_both_accepted() {
    for (follows, told) in [
        (true, "23514 quotes_accept_from"),
        (false, "23505 quotes_lead_id_key"),
    ] {
        let world = world().await;
        if !follows {
            without_what_follows(&world).await;
        }
        let offer = Offer::new(&world).await;
        let other = format!(
            "quotes (lead_id, amount_cents, currency, terms, valid_until, state) \
             values ('{}', 90, 'EUR', '', now() + interval '1 day', 'sent')",
            offer.lead
        );
        let other = Offer {
            lead: offer.lead,
            quote: new(&world.database.superuser, &other).await,
        };
        let one = world.request(Some(world.host), "accept").await;
        let two = world.request(Some(world.host), "accept").await;
        let answer = second(one, two, [offer.accept(), other.accept()]).await;
        assert_eq!(answer, (Err(told.to_owned()), true));
    }
}

/// Accepting a quote declines the others of its request, also one that is just being sent.
#[tokio::test]
async fn abuse_75_a_quote_that_is_being_sent_is_declined_with_the_others() {
    for is_kept in [true, false] {
        let world = world().await;
        if !is_kept {
            // The control: the others are read while one of them is still a draft.
            let text = "select pg_get_functiondef('app.settle_request()'::regprocedure)";
            let function = world.look::<String>(text).await;
            let careless = function.replace("for no key update", "");
            assert_ne!(careless, function);
            world.admin(careless).await.expect("another function");
        }
        let accepted = Offer::new(&world).await;
        let sent = accepted.draft_of_another(&world).await;
        let sending = world.request(Some(world.ben), "send").await;
        let accepting = world.request(Some(world.host), "accept").await;
        let send = format!(
            "update app.quotes set state = 'sent' where id = '{}'",
            sent.quote
        );
        let answer = second(sending, accepting, [send, accepted.accept()]).await;
        assert_eq!(answer, (Ok(1), true));
        let state = format!("select state from app.quotes where id = '{}'", sent.quote);
        let expected = if is_kept { "declined" } else { "sent" };
        assert_eq!(world.look::<String>(state).await, expected);
    }
}

const PASS: &str = "entity: pass
plural: passes
doc: Lets its owner in while the event is on.
fields:
  state: states(held, used) = held
belongs:
  event: event, on archive cascade
  user: user, set me
transitions:
  use: held -> used, by me is user, when event.state == published and event.status == active
access:
  read: me is user
  create: signed_in
";

/// The pass's owner may not see the draft, but the guard checks the event regardless of that.
#[tokio::test]
async fn a_guard_looks_at_rows_that_the_caller_does_not_see() {
    let database = Blank::new().await;
    database.run(&script(&spec(&[("pass", "", PASS)]))).await;
    let mut conn = PgConnection::connect_with(&database.options())
        .await
        .expect("a connection");
    let city = new(&mut conn, "cities (name) values ('Bern')").await;
    let club = format!("organizations (name, city_id) values ('Club', '{city}')");
    let club = new(&mut conn, &club).await;
    let event = format!(
        "events (title, starts_at, ends_at, city_id, host_type, host_id) \
         values ('Fest', now(), now() + interval '1 hour', '{city}', 'organization', '{club}')"
    );
    let event = new(&mut conn, &event).await;
    let user = new(
        &mut conn,
        "users (handle, email) values ('anna', 'anna@example.org')",
    )
    .await;
    let pass = format!("passes (event_id, user_id) values ('{event}', '{user}')");
    let pass = new(&mut conn, &pass).await;
    let use_it = format!("update app.passes set state = 'used' where id = '{pass}'");
    for (state, status, expected) in [
        ("draft", "active", Err("23514 passes_use_when".to_owned())),
        (
            "published",
            "suspended",
            Err("23514 passes_use_when".to_owned()),
        ),
        ("published", "active", Ok(1)),
    ] {
        let change = format!("update app.events set state = '{state}', status = '{status}'");
        attempt(&mut conn, change).await.expect("the event changes");
        let mut request = conn.begin().await.expect("a transaction");
        attempt(&mut *request, "set local role fixture_app")
            .await
            .expect("as a request");
        enter(&mut request, Some(user), "use").await;
        let found = attempt(&mut *request, use_it.clone()).await;
        assert_eq!(found, expected, "{state} {status}");
    }
}
