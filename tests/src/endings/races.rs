//! A second person at the same moment: for the operations where two at once matter most, the test that plays it, here
//! or elsewhere.
//!
//! Both requests wait at a lock on the table that decides between them, and go on when it is released.

use super::scene::{Group, Hall, Scene};
use crate::{
    support::{Answer, locks::until_waiting, root},
    trending::stage::run,
};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

/// How often each race is played, since who comes first is left to chance.
const ROUNDS: usize = 4;

struct Race {
    what: &'static str,
    group: Group,
    /// Statements before; `{label}` stands for the id of a row.
    prepare: &'static str,
    /// The table at which both wait.
    gate: &'static str,
    both: [Ask; 2],
    /// How many may succeed at most.
    succeed: usize,
    /// A condition that holds afterwards.
    holds: &'static str,
}

/// A request: caller, method, path and body.
type Ask = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Scene<'_>) -> Value,
);

fn none(_: &Scene<'_>) -> Value {
    Value::Null
}

fn empty(_: &Scene<'_>) -> Value {
    json!({})
}

fn reason(_: &Scene<'_>) -> Value {
    json!({"reason": "Another was first"})
}

fn to_friend(scene: &Scene<'_>) -> Value {
    json!({"to_id": scene.id("friend")})
}

fn to_stranger(scene: &Scene<'_>) -> Value {
    json!({"to_id": scene.id("stranger")})
}

fn free(scene: &Scene<'_>) -> Value {
    scene.cart("event", "free")
}

fn reduced(scene: &Scene<'_>) -> Value {
    let mut cart = scene.cart("event", "seat");
    cart["promo_code"] = json!("ONCE");
    cart
}

fn role(scene: &Scene<'_>) -> Value {
    json!({"user_id": scene.id("stranger"), "role": "orgAdmin", "scope_type": "organization", "scope_id": scene.id("organization")})
}

fn plan(scene: &Scene<'_>) -> Value {
    json!({"plan_id": scene.id("plan"), "payment_method_id": scene.id("provider's card")})
}

fn other_plan(scene: &Scene<'_>) -> Value {
    json!({"plan_id": scene.id("other plan"), "payment_method_id": scene.id("provider's card")})
}

const POST: &str = "POST";
const DELETE: &str = "DELETE";

const RACES: &[Race] = &[
    Race {
        what: "accept and withdraw the offer of a ticket",
        group: Group::Plain,
        prepare: "select 1",
        gate: "app.ticket_transfers",
        both: [
            ("friend", POST, "/ticket-transfers/{offer}/accept", none),
            ("buyer", POST, "/ticket-transfers/{offer}/withdraw", none),
        ],
        succeed: 1,
        holds: "select (x.state = 'accepted') = (k.holder_id = x.to_id) from app.ticket_transfers x join app.tickets k on k.id = x.ticket_id where x.id = '{offer}'",
    },
    Race {
        what: "offer a ticket to two",
        group: Group::Plain,
        prepare: "select 1",
        gate: "app.tickets",
        both: [
            ("buyer", POST, "/tickets/{ticket}/transfers", to_friend),
            ("buyer", POST, "/tickets/{ticket}/transfers", to_stranger),
        ],
        succeed: 1,
        holds: "select count(*) = 1 from app.ticket_transfers where ticket_id = '{ticket}' and state = 'offered'",
    },
    Race {
        what: "redeem a promo code for the last time",
        group: Group::Plain,
        prepare: "insert into app.promo_codes (event_id, code, basis_points, max_redemptions) values ('{event}', 'ONCE', 1000, 1)",
        gate: "app.promo_codes",
        both: [("stranger", POST, "/orders", reduced), ("friend", POST, "/orders", reduced)],
        succeed: 1,
        holds: "select count(*) = 1 from app.orders where promo_code_id is not null and event_id = '{event}'",
    },
    Race {
        what: "approve and withdraw a promotion",
        group: Group::Plain,
        prepare: "update app.promotions set paid_at = now() where id = '{promotion}'",
        gate: "app.promotions",
        both: [
            ("city_admin", POST, "/promotions/{promotion}/approve", none),
            ("host", POST, "/promotions/{promotion}/withdraw", none),
        ],
        succeed: 2,
        holds: "select state = 'cancelled' or not exists (select from app.refunds where promotion_id = '{promotion}') from app.promotions where id = '{promotion}'",
    },
    Race {
        what: "accept a quote and close its request",
        group: Group::Plain,
        prepare: "update app.quotes set state = 'sent', accepted_at = null, accepted_by_id = null, fee_decided_at = null where id = '{quote}';
            update app.leads set state = 'viewed' where id = '{lead}'; update app.service_requests set state = 'open' where id = '{request}'",
        gate: "app.service_requests",
        both: [
            ("host", POST, "/quotes/{quote}/accept", none),
            ("second", POST, "/service-requests/{request}/close", none),
        ],
        succeed: 1,
        holds: "select (q.state = 'accepted') = (l.state = 'won') from app.quotes q join app.leads l on l.id = q.lead_id where q.id = '{quote}'",
    },
    Race {
        what: "accept a role and take it back",
        group: Group::Plain,
        prepare: "update app.role_assignments set state = 'offered', granted_by_id = '{second}' where id = '{role of the host}'",
        gate: "app.role_assignments",
        both: [
            ("host", POST, "/role-assignments/{role of the host}/accept", none),
            ("second", DELETE, "/role-assignments/{role of the host}", none),
        ],
        succeed: 2,
        holds: "select status = 'archived' or state = 'accepted' from app.role_assignments where id = '{role of the host}'",
    },
    Race {
        what: "give one role twice",
        group: Group::Plain,
        prepare: "select 1",
        gate: "app.role_assignments",
        both: [("host", POST, "/role-assignments", role), ("second", POST, "/role-assignments", role)],
        succeed: 1,
        holds: "select count(*) = 1 from app.role_assignments where user_id = '{stranger}' and scope_id = '{organization}' and status = 'active'",
    },
    Race {
        what: "approve a member and leave",
        group: Group::Plain,
        prepare: "update app.community_members set state = 'pending' where id = '{membership}'",
        gate: "app.community_members",
        both: [
            ("host", POST, "/community-members/{membership}/approve", none),
            ("buyer", DELETE, "/community-members/{membership}", none),
        ],
        succeed: 2,
        holds: "select status = 'archived' or state = 'active' from app.community_members where id = '{membership}'",
    },
    Race {
        what: "ban a member and approve them",
        group: Group::Plain,
        prepare: "update app.community_members set state = 'pending' where id = '{membership}'",
        gate: "app.community_members",
        both: [
            ("host", POST, "/community-members/{membership}/ban", reason),
            ("second", POST, "/community-members/{membership}/approve", none),
        ],
        succeed: 2,
        holds: "select state = 'banned' from app.community_members where id = '{membership}'",
    },
    Race {
        what: "close the account and buy",
        group: Group::Plain,
        prepare: "select 1",
        gate: "app.users",
        both: [("stranger", DELETE, "/me", none), ("stranger", POST, "/orders", free)],
        succeed: 2,
        holds: "select count(*) = 0 from app.sessions s where s.user_id = '{stranger}' and s.revoked_at is null",
    },
    Race {
        what: "close the account and accept a ticket",
        group: Group::Plain,
        prepare: "select 1",
        gate: "app.users",
        both: [("buyer", DELETE, "/me", none), ("friend", POST, "/ticket-transfers/{offer}/accept", none)],
        succeed: 2,
        holds: "select (x.state = 'accepted') = (k.holder_id = x.to_id) and x.state <> 'offered' from app.ticket_transfers x join app.tickets k on k.id = x.ticket_id where x.id = '{offer}'",
    },
    Race {
        what: "leave the waiting list and take the place",
        group: Group::Plain,
        prepare: "update app.waitlist_entries set state = 'offered', offered_type_id = '{free}', offer_expires_at = now() + interval '1 hour' where id = '{entry}';
            update app.ticket_types set held = 1 where id = '{free}'",
        gate: "app.waitlist_entries",
        both: [("friend", DELETE, "/waitlist-entries/{entry}", none), ("friend", POST, "/orders", free)],
        succeed: 2,
        holds: "select t.held = (select count(*) from app.waitlist_entries w where w.offered_type_id = t.id and w.state = 'offered')
            from app.ticket_types t where t.id = '{free}'",
    },
    Race {
        what: "begin to pay an order twice",
        group: Group::Unsubscribed,
        prepare: "select 1",
        gate: "app.orders",
        both: [
            ("buyer", POST, "/orders/{unpaid order}/payments", empty),
            ("buyer", POST, "/orders/{unpaid order}/payments", empty),
        ],
        succeed: 2,
        holds: "select count(*) = 1 from app.transactions where order_id = '{unpaid order}'",
    },
    Race {
        what: "subscribe to two plans",
        group: Group::Unsubscribed,
        prepare: "select 1",
        gate: "app.subscriptions",
        both: [
            ("provider", POST, "/businesses/{business}/subscription", plan),
            ("provider", POST, "/businesses/{business}/subscription", other_plan),
        ],
        succeed: 1,
        holds: "select count(*) = 1 from app.subscriptions where business_id = '{business}' and state <> 'canceled'",
    },
    Race {
        what: "give a fee back twice",
        group: Group::Money,
        prepare: "select 1",
        gate: "app.quotes",
        both: [
            ("platform", POST, "/quotes/{paid quote}/fee-refunds", empty),
            ("platform", POST, "/quotes/{paid quote}/fee-refunds", empty),
        ],
        succeed: 1,
        holds: "select sum(r.amount_cents) <= 900 from app.refunds r where r.quote_id = '{paid quote}' and r.state <> 'failed'",
    },
];

/// The other operations where two at once matter, and the test (file and name) that plays them.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "accept, refund and scan a ticket",
        "money/transfers::o8_one_of_many_accepts_wins",
    ),
    (
        "scan a ticket",
        "money/checkpoints::od3_fifty_scanners_let_a_ticket_in_once_at_each_checkpoint",
    ),
    (
        "give tickets back",
        "money/orders::o6_tickets_are_given_back_once_and_to_the_cent",
    ),
    (
        "buy the last tickets",
        "money/stampede::t2_the_last_tickets_are_sold_once",
    ),
    (
        "cancel and pay an order",
        "money/late::o3_cancelled_and_paid_at_once_is_one_of_both",
    ),
    (
        "accept two quotes",
        "database/guards::abuse_75_two_quotes_of_one_lead_are_not_both_accepted",
    ),
    (
        "decide on a flag of fraud",
        "fraud::platform_administrators_decide_once_and_may_suspend",
    ),
    (
        "decide on a proposal",
        "money/proposals::c10_two_who_decide_at_once_make_one_rule",
    ),
    (
        "finish an upload",
        "media/uploads::md1_completing_twice_at_once_makes_one_picture",
    ),
    (
        "book a featured place",
        "money/promotions::f1_no_more_stand_in_a_place_than_fit_in",
    ),
    (
        "claim a handle and an address",
        "abuse/mailboxes::abuse_18_of_links_that_are_opened_together_one_counts",
    ),
    (
        "take a slug",
        "database/races::abuse_74_the_same_slug_at_once_is_one_row_and_one_conflict",
    ),
    (
        "remove the last administrators",
        "database/keeps::abuse_75_the_last_two_administrators_do_not_go_at_once",
    ),
    (
        "sign in twice",
        "abuse/moments::abuse_18_two_who_sign_in_at_once_both_get_in",
    ),
    (
        "open a link and end it",
        "abuse/moments::abuse_18_a_link_that_is_ended_while_it_is_opened",
    ),
    (
        "change the password and end the session",
        "abuse/moments::abuse_18_a_session_that_has_ended_changes_no_password",
    ),
    (
        "send a quote and accept another",
        "database/guards::abuse_75_a_quote_that_is_being_sent_is_declined_with_the_others",
    ),
    (
        "order and limit the event",
        "money/promises::two_orders_meet_the_first_capacity_of_an_event",
    ),
    ("spend credits", "money/spends::t10_a_hold_is_settled_once"),
    (
        "repeat a request with its key",
        "http/idempotency::t9_twenty_at_the_same_time_make_one",
    ),
];

impl Race {
    async fn play(&self, hall: &Hall) -> Vec<String> {
        let mut scene = Scene::new(hall, self.group).await;
        let prepare = filled(&scene, self.prepare);
        scene
            .sql(format!("set session_replication_role = replica; {prepare}; set session_replication_role = origin"))
            .await;
        let mut watch = hall.server.superuser().await;
        scene
            .sql(format!(
                "begin; lock table {} in access exclusive mode",
                self.gate
            ))
            .await;
        let asked: Vec<_> = self
            .both
            .iter()
            .map(|ask| tokio::spawn(send(&scene, ask)))
            .collect();
        until_waiting(&mut watch, self.gate, 2).await;
        scene.sql("commit").await;
        let mut answers = Vec::new();
        for answer in asked {
            answers.push(answer.await.expect("no request panics"));
        }
        let told: Vec<String> = answers
            .iter()
            .map(|answer| format!("{} {}", answer.status, answer.problem()))
            .collect();
        let mut faults = Vec::new();
        // A request that has waited too long for the other is told to try again.
        let is_wrong = |answer: &Answer| answer.status.as_u16() >= 500 && answer.status != 503;
        if answers.iter().any(is_wrong) {
            faults.push(format!("{}: {told:?}", self.what));
        }
        let done = answers
            .iter()
            .filter(|answer| answer.status.is_success())
            .count();
        if done == 0 || done > self.succeed {
            faults.push(format!("{}: {done} have succeeded, {told:?}", self.what));
        }
        let holds: Option<bool> = sqlx::query_scalar(AssertSqlSafe(filled(&scene, self.holds)))
            .fetch_one(&mut watch)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", self.what));
        if holds != Some(true) {
            faults.push(format!(
                "{}: {} is {holds:?}, {told:?}",
                self.what, self.holds
            ));
        }
        faults
    }
}

fn send(
    scene: &Scene<'_>,
    (by, method, path, body): &Ask,
) -> impl Future<Output = Answer> + Send + use<> {
    let client = scene.client(by).clone();
    let (method, path, body) = (
        method.parse().expect("a method"),
        filled(scene, path),
        body(scene),
    );
    async move {
        let key = Uuid::now_v7().to_string();
        let headers = [("if-match", "*"), ("idempotency-key", key.as_str())];
        let body = Some(body).filter(|body| !body.is_null());
        client.send(method, &path, body, &headers).await
    }
}

pub fn filled(scene: &Scene<'_>, text: &str) -> String {
    let rows = scene.rows.iter();
    rows.fold(text.to_owned(), |text, (label, row)| {
        text.replace(&format!("{{{label}}}"), &row.id.to_string())
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_at_the_same_moment_the_rows_make_sense() {
    let hall = Hall::new().await;
    let mut faults = Vec::new();
    for race in RACES {
        for _ in 0..ROUNDS {
            faults.extend(race.play(&hall).await);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The negative control: without its unique index, one role is given twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_both_succeed_are_found() {
    let hall = Hall::new().await;
    let unguarded = "do $$ declare i text; begin
        for i in select indexrelid::regclass::text from pg_index where indrelid = 'app.role_assignments'::regclass and indisunique and not indisprimary
          and pg_get_indexdef(indexrelid) like '%user_id, role%' loop execute 'drop index ' || i; end loop; end $$";
    run(&mut *hall.server.superuser().await, unguarded.to_owned()).await;
    let race = RACES
        .iter()
        .find(|race| race.what == "give one role twice")
        .expect("a race");
    assert_eq!(race.play(&hall).await.len(), 2);
}

/// The other half of the list exists.
#[test]
fn the_races_that_are_played_elsewhere_are_there() {
    assert!(RACES.len() + ELSEWHERE.len() >= 20);
    for (what, test) in ELSEWHERE {
        let (file, name) = test.split_once("::").expect("file::name");
        let text = std::fs::read_to_string(root().join("tests/src").join(format!("{file}.rs")))
            .expect("a file");
        assert!(
            text.contains(&format!("fn {name}(")),
            "{what}: there is no test {test}"
        );
    }
}
