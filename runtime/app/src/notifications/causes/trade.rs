//! Messages about purchases, refunds, transfers, offers and quotes.

use super::Cause;

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        event: "tickets.paid",
        changed: &[],
        message: "order_paid",
        to_its_cause: true,
        // Tickets sold at the door were handed over there, so no message is needed.
        sql: "select jsonb_build_object('event', e.title, 'tickets', (select count(*) from app.tickets t where t.order_id = o.id),
                  'amount', jsonb_build_object('cents', o.amount_cents, 'currency', o.currency),
                  'starts', jsonb_build_object('at', e.starts_at, 'zone', e.timezone)) as values,
                jsonb_build_object('order', o.id, 'event', e.id) as data, e.id as event_id, null::timestamptz as expires_at,
                'order_paid:' || o.id as key, array[o.user_id] as members
              from app.orders o join app.events e on e.id = o.event_id where o.id = $1 and o.paid_at is not null and not o.sold_at_door",
    },
    Cause {
        event: "refund.update",
        changed: &["state"],
        message: "refund_paid",
        to_its_cause: true,
        sql: "select jsonb_build_object('event', e.title, 'amount', jsonb_build_object('cents', r.amount_cents, 'currency', r.currency)) as values,
                jsonb_build_object('order', o.id, 'refund', r.id) as data, e.id as event_id, null::timestamptz as expires_at,
                'refund_paid:' || r.id as key, array[o.user_id] as members
              from app.refunds r join app.orders o on o.id = r.order_id join app.events e on e.id = o.event_id
              where r.id = $1 and r.state = 'succeeded' and r.amount_cents > r.cash_cents",
    },
    Cause {
        event: "refund.update",
        changed: &["state"],
        message: "refund_failed",
        to_its_cause: true,
        sql: "select jsonb_build_object('event', e.title, 'amount', jsonb_build_object('cents', r.amount_cents, 'currency', r.currency)) as values,
                jsonb_build_object('order', o.id, 'refund', r.id) as data, e.id as event_id, null::timestamptz as expires_at,
                'refund_failed:' || r.id as key, array[o.user_id] as members
              from app.refunds r join app.orders o on o.id = r.order_id join app.events e on e.id = o.event_id
              where r.id = $1 and r.state = 'failed'",
    },
    Cause {
        event: "tickets.transfer_offered",
        changed: &[],
        message: "ticket_offered",
        to_its_cause: false,
        sql: "select jsonb_build_object('from', f.display_name, 'event', e.title,
                  'until', jsonb_build_object('at', x.expires_at, 'zone', e.timezone)) as values,
                jsonb_build_object('ticket_transfer', x.id, 'event', e.id, 'user', f.id) as data, e.id as event_id, x.expires_at as expires_at,
                'ticket_offered:' || f.id || ':' || (x.created_at at time zone 'UTC')::date || ':'
                  || (select least(count(*), 10) from app.ticket_transfers y
                      where y.from_id = x.from_id and y.to_id = x.to_id and y.id <= x.id
                        and y.created_at >= date_trunc('day', x.created_at, 'UTC')) as key,
                array[x.to_id] as members
              from app.ticket_transfers x join app.tickets t on t.id = x.ticket_id join app.events e on e.id = t.event_id
              join app.users f on f.id = x.from_id
              where x.id = $1 and x.state = 'offered' and x.expires_at > now()",
    },
    Cause {
        event: "ticket_transfer.update",
        changed: &["state"],
        message: "ticket_taken",
        to_its_cause: false,
        sql: "select jsonb_build_object('by', b.display_name, 'event', e.title) as values,
                jsonb_build_object('ticket_transfer', x.id, 'event', e.id, 'user', b.id) as data, e.id as event_id, null::timestamptz as expires_at,
                'ticket_taken:' || x.id as key, array[x.from_id] as members
              from app.ticket_transfers x join app.tickets t on t.id = x.ticket_id join app.events e on e.id = t.event_id
              join app.users b on b.id = x.to_id
              where x.id = $1 and x.state = 'accepted'",
    },
    Cause {
        event: "ticket_transfer.update",
        changed: &["state"],
        message: "ticket_declined",
        to_its_cause: false,
        sql: "select jsonb_build_object('by', b.display_name, 'event', e.title) as values,
                jsonb_build_object('ticket_transfer', x.id, 'event', e.id, 'user', b.id) as data, e.id as event_id, null::timestamptz as expires_at,
                'ticket_declined:' || x.id as key, array[x.from_id] as members
              from app.ticket_transfers x join app.tickets t on t.id = x.ticket_id join app.events e on e.id = t.event_id
              join app.users b on b.id = x.to_id
              where x.id = $1 and x.state = 'declined'",
    },
    Cause {
        event: "waitlist_entry.create",
        changed: &[],
        message: "place_awaited",
        to_its_cause: true,
        sql: "select jsonb_build_object('event', e.title) as values,
                jsonb_build_object('waitlist_entry', w.id, 'event', e.id) as data, e.id as event_id, e.starts_at as expires_at,
                'place_awaited:' || w.id as key, array[w.user_id] as members
              from app.waitlist_entries w join app.events e on e.id = w.event_id
              where w.id = $1 and w.status = 'active' and w.state = 'waiting' and e.state = 'published' and e.starts_at > now()
                and app.may_order_tickets(e.id, w.user_id)",
    },
    Cause {
        event: "waitlist_entry.update",
        changed: &["state"],
        message: "place_offered",
        to_its_cause: false,
        sql: "select jsonb_build_object('event', e.title, 'until', jsonb_build_object('at', w.offer_expires_at, 'zone', e.timezone)) as values,
                jsonb_build_object('waitlist_entry', w.id, 'event', e.id) as data, e.id as event_id, w.offer_expires_at as expires_at,
                null::text as key, array[w.user_id] as members
              from app.waitlist_entries w join app.events e on e.id = w.event_id
              where w.id = $1 and w.status = 'active' and w.state = 'offered' and w.offer_expires_at > now()
                and app.may_order_tickets(e.id, w.user_id)",
    },
    Cause {
        event: "waitlist_entry.update",
        changed: &["state"],
        message: "place_lapsed",
        to_its_cause: false,
        sql: "select jsonb_build_object('event', e.title) as values,
                jsonb_build_object('waitlist_entry', w.id, 'event', e.id) as data, e.id as event_id, e.starts_at as expires_at,
                null::text as key, array[w.user_id] as members
              from app.waitlist_entries w join app.events e on e.id = w.event_id
              where w.id = $1 and w.status = 'active' and w.state = 'expired' and e.state = 'published' and e.starts_at > now()
                and app.may_order_tickets(e.id, w.user_id)",
    },
    Cause {
        event: "lead.create",
        changed: &[],
        message: "lead_new",
        to_its_cause: false,
        sql: "select jsonb_build_object('request', l.title, 'business', b.name) as values,
                jsonb_build_object('lead', l.id, 'business', b.id) as data,
                null::uuid as event_id, l.needed_at as expires_at, 'lead_new:' || l.service_request_id || ':' || l.business_id as key,
                app.admins_of(b.id) as members
              from app.leads l join app.businesses b on b.id = l.business_id join app.service_requests r on r.id = l.service_request_id
              where l.id = $1 and l.status = 'active' and l.state = 'new' and b.status = 'active' and b.state = 'approved'
                and r.status = 'active' and r.state = 'open' and app.host_is_live(r.host_id)",
    },
    Cause {
        event: "service_request.reopen",
        changed: &[],
        message: "lead_new",
        to_its_cause: false,
        sql: "select jsonb_build_object('request', l.title, 'business', b.name) as values,
                jsonb_build_object('lead', l.id, 'business', b.id) as data,
                null::uuid as event_id, l.needed_at as expires_at,
                'lead_again:' || l.id || ':' || (now() at time zone 'UTC')::date as key, app.admins_of(b.id) as members
              from app.leads l join app.businesses b on b.id = l.business_id join app.service_requests r on r.id = l.service_request_id
              where r.id = $1 and l.status = 'active' and l.state in ('new', 'viewed') and b.status = 'active' and b.state = 'approved'
                and r.status = 'active' and r.state = 'open' and app.host_is_live(r.host_id)",
    },
    Cause {
        event: "quote.send",
        changed: &[],
        message: "quote_sent",
        to_its_cause: false,
        sql: "select jsonb_build_object('business', b.name, 'request', l.title,
                  'amount', jsonb_build_object('cents', q.amount_cents, 'currency', q.currency)) as values,
                jsonb_build_object('quote', q.id, 'lead', l.id) as data,
                null::uuid as event_id, q.valid_until as expires_at,
                'quote_sent:' || l.id || ':' || (q.created_at at time zone 'UTC')::date || ':'
                  || (select least(count(*), 3) from app.quotes x
                      where x.lead_id = l.id and x.id <= q.id and x.created_at >= date_trunc('day', q.created_at, 'UTC')) as key,
                app.admins_of(s.host_id) as members
              from app.quotes q join app.leads l on l.id = q.lead_id join app.businesses b on b.id = l.business_id
              join app.service_requests s on s.id = l.service_request_id
              where q.id = $1 and q.state = 'sent' and q.status = 'active'",
    },
    Cause {
        event: "quote.accept",
        changed: &[],
        message: "quote_accepted",
        to_its_cause: false,
        sql: "select jsonb_build_object('request', l.title, 'amount', jsonb_build_object('cents', q.amount_cents, 'currency', q.currency)) as values,
                jsonb_build_object('quote', q.id, 'lead', l.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, 'quote_accepted:' || q.id as key,
                app.admins_of(l.business_id) as members
              from app.quotes q join app.leads l on l.id = q.lead_id where q.id = $1 and q.state = 'accepted'",
    },
    Cause {
        event: "quote.decline",
        changed: &[],
        message: "quote_declined",
        to_its_cause: false,
        sql: "select jsonb_build_object('request', l.title) as values, jsonb_build_object('quote', q.id, 'lead', l.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, 'quote_declined:' || q.id as key,
                app.admins_of(l.business_id) as members
              from app.quotes q join app.leads l on l.id = q.lead_id where q.id = $1 and q.state = 'declined'",
    },
    Cause {
        event: "wallet_credit.create",
        changed: &[],
        message: "credits_received",
        to_its_cause: true,
        sql: "select jsonb_build_object('amount', jsonb_build_object('cents', c.amount_cents, 'currency', c.currency),
                  'until', jsonb_build_object('at', c.expires_at, 'zone', u.timezone)) as values,
                jsonb_build_object('wallet_account', a.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, 'credits_received:' || c.id as key, array[a.user_id] as members
              from app.wallet_credits c join app.wallet_accounts a on a.id = c.wallet_id join app.users u on u.id = a.user_id
              where c.id = $1 and c.expires_at is not null",
    },
    Cause {
        event: "wallet_credit.create",
        changed: &[],
        message: "credits_given",
        to_its_cause: true,
        sql: "select jsonb_build_object('amount', jsonb_build_object('cents', c.amount_cents, 'currency', c.currency)) as values,
                jsonb_build_object('wallet_account', a.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, 'credits_given:' || c.id as key, array[a.user_id] as members
              from app.wallet_credits c join app.wallet_accounts a on a.id = c.wallet_id
              where c.id = $1 and c.expires_at is null",
    },
    Cause {
        event: "sessions.password_changed",
        changed: &[],
        message: "password_changed",
        to_its_cause: true,
        sql: "select jsonb_build_object('at', jsonb_build_object('at', now(), 'zone', u.timezone)) as values,
                jsonb_build_object('user', u.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, null::text as key, array[u.id] as members
              from app.users u where u.id = $1",
    },
    Cause {
        event: "sessions.signed_in",
        changed: &[],
        message: "signed_in",
        to_its_cause: true,
        // Sent after a sign-in on a new device, unless it is the member's first sign-in.
        sql: "select jsonb_build_object('device', coalesce(s.user_agent, 'unknown'),
                  'at', jsonb_build_object('at', s.authenticated_at, 'zone', u.timezone)) as values,
                jsonb_build_object('user', u.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, 'signed_in:' || s.id as key, array[u.id] as members
              from app.sessions s join app.users u on u.id = s.user_id
              where s.id = $1 and exists (select from app.sessions x where x.user_id = s.user_id and x.id < s.id)
                and not exists (select from app.sessions x
                  where x.user_id = s.user_id and x.id < s.id and x.user_agent is not distinct from s.user_agent)",
    },
];
