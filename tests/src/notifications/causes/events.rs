//! Events, tickets, transfers, and places that become free.

use super::{
    case::{Case, Told, cases},
    world::{Night, World},
};
use crate::{money::stage::keyed, support::Member};
use serde_json::json;

cases! {
    event_published: published,
    event_moved: moved,
    event_elsewhere: elsewhere,
    event_elsewhere: where_nobody_sees_the_venue,
    event_elsewhere: streamed_elsewhere,
    event_off: cancelled,
    event_withheld: withheld,
    event_back: back,
    event_soon: soon,
    host_wrote: wrote,
    order_paid: paid,
    ticket_offered: offered,
    ticket_taken: taken,
    ticket_declined: declined,
    place_awaited: place_awaited,
    place_offered: place_offered,
    place_lapsed: place_lapsed,
}

impl World {
    /// The expected result of a change of an event by its host, of which its one guest is notified.
    fn of_the_host(&self, guest: &Member, night: &Night, title: &str, says: &str) -> Told {
        Told {
            by: self.stage.olga.id,
            to: vec![guest.id],
            title: title.into(),
            says: says.into(),
            leads_to: ("event", night.id.to_string()),
        }
    }
}

async fn published(world: &World) -> Told {
    let fan = world.member("fay_follows").await;
    let body = json!({"entity_type": "business", "entity_id": world.bakery});
    for who in [&fan, &world.berta] {
        let followed = who.client.post("/follows", body.clone()).await;
        followed.expect(201);
    }
    let body = json!({"title": "A night of bread", "starts_at": "2041-06-01T18:00:00Z", "ends_at": "2041-06-01T20:00:00Z",
        "timezone": "Australia/Melbourne", "online_url": "https://example.org/stream", "host_type": "business",
        "host_id": world.bakery, "city_id": world.city});
    let berta = &world.berta.client;
    let event = berta.post("/events", body).await.expect(201).id();
    let publish = format!("/events/{event}/publish");
    berta.act(&publish).await.expect(200);
    Told {
        by: world.berta.id,
        to: vec![fan.id],
        title: "New: A night of bread".into(),
        says: "Bakery".into(),
        leads_to: ("event", event),
    }
}

async fn moved(world: &World) -> Told {
    let night = world.night("A later night", 5).await;
    let guest = world.guest(&night, "gil_goes").await;
    let change = json!({"starts_at": "2041-05-01T18:15:00Z"});
    world.changed(night.id, change).await;
    let title = "New time: A later night";
    world.of_the_host(&guest, &night, title, "18:15")
}

async fn elsewhere(world: &World) -> Told {
    let night = world.night("A night elsewhere", 5).await;
    let guest = world.guest(&night, "gus_goes").await;
    let venue = world
        .text(format!(
            "select id::text from app.venues where city_id = '{}' and status = 'active' limit 1",
            world.city
        ))
        .await;
    let change = json!({"venue_id": venue});
    world.changed(night.id, change).await;
    let name = format!("select name from app.venues where id = '{venue}'");
    let place = world.text(name).await;
    let title = "New place: A night elsewhere";
    world.of_the_host(&guest, &night, title, &place)
}

/// The place changes while the event's venue is suspended, which is not named then.
async fn where_nobody_sees_the_venue(world: &World) -> Told {
    let night = world.night("A night at a hidden venue", 5).await;
    let guest = world.guest(&night, "gaia_goes").await;
    let id = night.id;
    world
        .run(format!(
            "insert into app.venues (city_id, owner_type, owner_id, name, address, location)
             select city_id, host_type, host_id, 'The hidden hall', '1 Lane', public.st_makepoint(144.96, -37.81)::public.geography
             from app.events where id = '{id}';
             update app.venues set status = 'suspended' where name = 'The hidden hall';
             set session_replication_role = replica;
             update app.events set venue_id = (select id from app.venues where name = 'The hidden hall') where id = '{id}'"
        ))
        .await;
    let change = json!({"location": {"lat": -37.8, "lng": 144.9}});
    world.changed(id, change).await;
    let city = world.city;
    let city = world
        .text(format!("select name from app.cities where id = '{city}'"))
        .await;
    let title = "New place: A night at a hidden venue";
    let says = format!("takes place here now: {city}");
    world.of_the_host(&guest, &night, title, &says)
}

/// The stream of an event that is nowhere else has another address.
async fn streamed_elsewhere(world: &World) -> Told {
    let night = world.night("A night on a screen", 5).await;
    let guest = world.guest(&night, "gero_goes").await;
    let id = night.id;
    world
        .run(format!(
            "set session_replication_role = replica;
             update app.events set venue_id = null, location = null, online_url = 'https://example.org/one' where id = '{id}'"
        ))
        .await;
    let change = json!({"online_url": "https://example.org/two"});
    world.changed(id, change).await;
    let title = "New place: A night on a screen";
    world.of_the_host(&guest, &night, title, "takes place here now: online")
}

async fn cancelled(world: &World) -> Told {
    let night = world.night("No night", 5).await;
    let guest = world.guest(&night, "gwen_goes").await;
    let path = format!("/events/{}/cancel", night.id);
    let reason = json!({"reason": "The singer is ill"});
    let olga = &world.stage.olga.client;
    olga.post(&path, reason).await.expect(200);
    let title = "Cancelled: No night";
    world.of_the_host(&guest, &night, title, "is given back")
}

async fn withheld(world: &World) -> Told {
    suspended(world, "A night in doubt", &["suspend"]).await
}

async fn back(world: &World) -> Told {
    let verbs = ["suspend", "unsuspend"];
    suspended(world, "A night after all", &verbs).await
}

/// What the city does with an event, the last of which is told to its guest.
async fn suspended(world: &World, title: &str, verbs: &[&str]) -> Told {
    let night = world.night(title, 5).await;
    let guest = world
        .guest(&night, &title.to_lowercase().replace(' ', "_"))
        .await;
    for verb in verbs {
        let path = format!("/events/{}/{verb}", night.id);
        world.carlo.client.act(&path).await.expect(200);
        world.stage.server.settled().await;
    }
    let (title, says) = match verbs.len() {
        1 => (format!("Suspended: {title}"), "has suspended"),
        _ => (format!("It takes place: {title}"), "no longer suspended"),
    };
    Told {
        by: world.carlo.id,
        to: vec![guest.id],
        title,
        says: says.into(),
        leads_to: ("event", night.id.to_string()),
    }
}

async fn soon(world: &World) -> Told {
    let night = world.night("A night soon", 5).await;
    let guest = world.guest(&night, "gina_goes").await;
    let id = night.id;
    world
        .run(format!(
            "set session_replication_role = replica;
             delete from app.event_schedules where event_id = '{id}';
             update app.events set starts_at = now() + interval '23 hours', ends_at = now() + interval '25 hours' where id = '{id}'"
        ))
        .await;
    let notifications = &world.stage.server.built.app.modules.notifications;
    notifications.remind().await.expect("reminded");
    let title = "A night soon is coming up";
    world.of_the_host(&guest, &night, title, "A night soon begins")
}

async fn wrote(world: &World) -> Told {
    let night = world.night("A cold night", 5).await;
    let guest = world.guest(&night, "gaby_goes").await;
    let body =
        json!({"event_id": night.id, "title": "Bring a coat", "message": "It is cold in there."});
    let olga = &world.stage.olga.client;
    let id = olga.post("/broadcasts", body).await.expect(201).id();
    let schedule = format!("/broadcasts/{id}/schedule");
    olga.act(&schedule).await.expect(200);
    let broadcasts = &world.stage.server.built.app.modules.broadcasts;
    broadcasts.hand_over().await.expect("handed over");
    let says = "About A cold night: It is cold in there.";
    world.of_the_host(&guest, &night, "Bring a coat", says)
}

async fn paid(world: &World) -> Told {
    let buyer = world.member("ben_buys").await;
    let stage = &world.stage;
    let card = stage.saved(&buyer, "4242424242424242").await;
    let order = stage
        .bought_by_card(&buyer, &card, &[(world.seat, 1)])
        .await;
    world.deliver().await;
    Told {
        by: buyer.id,
        to: vec![buyer.id],
        title: "Your tickets to A full house".into(),
        says: "Paid: AUD 45.00".into(),
        leads_to: ("order", order),
    }
}

/// The holder of a ticket, the member to whom it is offered, and the offer.
async fn handed_on(world: &World, name: &str) -> (Member, Member, String) {
    let night = world.night(&format!("A night of {name}"), 5).await;
    let from = world.guest(&night, &format!("{name}_gives")).await;
    let to = world.member(&format!("{name}_takes")).await;
    let tickets = from.client.get("/me/tickets").await.expect(200).json;
    let ticket = tickets["data"][0]["id"].as_str().expect("a ticket");
    let path = format!("/tickets/{ticket}/transfers");
    let offer = keyed(&from, &path, json!({"to_id": to.id})).await;
    let offer = offer.expect(201).id();
    world.stage.server.settled().await;
    (from, to, offer)
}

async fn offered(world: &World) -> Told {
    let (from, to, offer) = handed_on(world, "ann").await;
    Told {
        by: from.id,
        to: vec![to.id],
        title: "ann_gives offers you a ticket".into(),
        says: "A night of ann".into(),
        leads_to: ("ticket_transfer", offer),
    }
}

async fn answered(world: &World, name: &str, verb: &str, title: &str, says: &str) -> Told {
    let (from, to, offer) = handed_on(world, name).await;
    let path = format!("/ticket-transfers/{offer}/{verb}");
    to.client.act(&path).await.expect(200);
    Told {
        by: to.id,
        to: vec![from.id],
        title: title.into(),
        says: says.into(),
        leads_to: ("ticket_transfer", offer),
    }
}

async fn taken(world: &World) -> Told {
    let title = "bob_takes has taken your ticket";
    answered(world, "bob", "accept", title, "now belongs to bob_takes").await
}

async fn declined(world: &World) -> Told {
    let title = "cas_takes does not take your ticket";
    answered(world, "cas", "decline", title, "still yours").await
}

/// A member on the waiting list, and their entry.
async fn waiting(world: &World, name: &str) -> (Member, String, Night) {
    let night = world.night(&format!("A full {name}"), 1).await;
    world.guest(&night, &format!("{name}_is_in")).await;
    let waits = world.member(&format!("{name}_waits")).await;
    let body = json!({"event_id": night.id, "ticket_type_id": night.kind});
    let entry = waits.client.post("/waitlist-entries", body).await;
    let entry = entry.expect(201).id();
    (waits, entry, night)
}

async fn place_awaited(world: &World) -> Told {
    let (waits, entry, _) = waiting(world, "loft").await;
    Told {
        by: waits.id,
        to: vec![waits.id],
        title: "You are on the waiting list: A full loft".into(),
        says: "we tell you".into(),
        leads_to: ("waitlist_entry", entry),
    }
}

/// An event with one place, which is taken, and a member who waits until Olga adds another.
async fn waited(world: &World, name: &str) -> (Member, String) {
    let (waits, entry, night) = waiting(world, name).await;
    let path = format!("/ticket-types/{}", night.kind);
    let olga = &world.stage.olga;
    world.patched(olga, &path, json!({"capacity": 2})).await;
    world.serve().await;
    (waits, entry)
}

impl World {
    async fn serve(&self) {
        let tickets = &self.stage.server.built.app.modules.tickets;
        tickets.serve_waitlist().await.expect("served");
        self.stage.server.settled().await;
    }
}

async fn place_offered(world: &World) -> Told {
    let (waits, entry) = waited(world, "house").await;
    Told {
        by: world.stage.olga.id,
        to: vec![waits.id],
        title: "A place is free: A full house".into(),
        says: "is kept for you until".into(),
        leads_to: ("waitlist_entry", entry),
    }
}

async fn place_lapsed(world: &World) -> Told {
    let (waits, entry) = waited(world, "barn").await;
    world
        .run(format!(
            "update app.waitlist_entries set offer_expires_at = now() - interval '1 second' where id = '{entry}'"
        ))
        .await;
    world.serve().await;
    Told {
        by: world.stage.olga.id,
        to: vec![waits.id],
        title: "Your place has gone on: A full barn".into(),
        says: "went to the next one".into(),
        leads_to: ("waitlist_entry", entry),
    }
}
