//! RM6: after an outage, guests of what begins soonest are reminded first.

use super::stage::Guests;

/// One more than a run processes.
const EVENTS: i64 = 201;

#[tokio::test]
async fn rm6_what_begins_soonest_is_reminded_of_first() {
    let guests = Guests::new().await;
    let member = guests.server.member("rory_goes_everywhere").await;
    // Those that begin last were made first.
    guests
        .run(&format!(
            "set session_replication_role = replica;
             insert into app.events (city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state)
               select e.city_id, e.host_type, e.host_id, 'Show ' || n, 'show-' || n, now() + interval '20 hours' - n * interval '5 minutes',
                 now() + interval '22 hours', e.timezone, 'published'
               from app.events e, generate_series(1, {EVENTS}) n where e.id = '{0}' order by n;
             insert into app.tickets (order_id, ticket_type_id, event_id, holder_id, buyer_id, code, position, currency)
               select sec.uuid_v7(), '{1}', e.id, '{2}', '{2}', 'a-code-of-a-ticket-' || e.id, 1, 'AUD'
               from app.events e where e.title like 'Show %'",
            guests.event, guests.kind, member.id
        ))
        .await;
    let told = async || guests.module().remind().await.expect("reminded");
    assert_eq!(told().await, EVENTS - 1);
    let left = "select string_agg(e.title, ',') from app.events e where e.title like 'Show %'
        and not exists (select from app.notifications n where n.event_id = e.id and n.type = 'event_reminder')";
    assert_eq!(guests.one(left).await, "Show 1", "it begins last");
    assert_eq!(told().await, 1);
    assert_eq!(told().await, 0);
}
