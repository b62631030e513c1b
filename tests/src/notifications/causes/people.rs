//! Actions between members, and decisions of cities about profiles.

use super::{
    case::{Case, Told, cases},
    world::World,
};
use crate::support::Member;
use serde_json::json;

cases! {
    community_invited: invited,
    community_asked: asked,
    community_joined: joined,
    community_banned: banned,
    followed_you: followed_member,
    followed_profile: followed_profile,
    reviewed: reviewed,
    review_answered: review_answered,
    role_offered: role_offered,
    role_accepted: role_accepted,
    role_ended: role_ended,
    profile_approved: organization_approved,
    profile_approved: business_approved,
    profile_rejected: organization_rejected,
    profile_rejected: business_rejected,
    suspension_began: organization_suspended,
    suspension_began: event_suspended,
    suspension_ended: business_unsuspended,
}

/// A community that members have to ask to join.
struct Owls {
    head: Member,
    other: Member,
    id: String,
}

impl Owls {
    async fn new(world: &World, name: &str) -> Self {
        let (head, other) = (
            world.member(&format!("head_of_{name}")).await,
            world.member(&format!("one_of_{name}")).await,
        );
        let more = json!({"join_policy": "request"});
        let id = world.founded(&head, "communities", name, more).await;
        Self { head, other, id }
    }

    /// A membership that `by` requests for themselves or offers to another member.
    async fn row(&self, by: &Member) -> String {
        let body = json!({"community_id": self.id, "user_id": self.other.id});
        let made = by.client.post("/community-members", body).await;
        made.expect(201).id()
    }

    async fn let_in(&self, world: &World) -> String {
        let row = self.row(&self.other).await;
        world.stage.server.settled().await;
        let approve = format!("/community-members/{row}/approve");
        self.head.client.act(&approve).await.expect(200);
        row
    }
}

async fn invited(world: &World) -> Told {
    let owls = Owls::new(world, "nightowls").await;
    let row = owls.row(&owls.head).await;
    Told {
        by: owls.head.id,
        to: vec![owls.other.id],
        title: "An invitation to nightowls".into(),
        says: "head_of_nightowls".into(),
        leads_to: ("community_member", row),
    }
}

async fn asked(world: &World) -> Told {
    let owls = Owls::new(world, "barnowls").await;
    let row = owls.row(&owls.other).await;
    Told {
        by: owls.other.id,
        to: vec![owls.head.id],
        title: "one_of_barnowls asks to join barnowls".into(),
        says: "would like to join".into(),
        leads_to: ("community_member", row),
    }
}

async fn joined(world: &World) -> Told {
    let owls = Owls::new(world, "eagleowls").await;
    owls.let_in(world).await;
    Told {
        by: owls.head.id,
        to: vec![owls.other.id],
        title: "Welcome to eagleowls".into(),
        says: "a member of eagleowls".into(),
        leads_to: ("community", owls.id),
    }
}

async fn banned(world: &World) -> Told {
    let owls = Owls::new(world, "snowyowls").await;
    let row = owls.let_in(world).await;
    let ban = format!("/community-members/{row}/ban");
    let body = json!({"reason": "Too loud"});
    owls.head.client.post(&ban, body).await.expect(200);
    Told {
        by: owls.head.id,
        to: vec![owls.other.id],
        title: "You are no longer part of snowyowls".into(),
        says: "excluded".into(),
        leads_to: ("community", owls.id),
    }
}

async fn followed_member(world: &World) -> Told {
    let (fan, star) = (world.member("fan").await, world.member("star").await);
    let body = json!({"entity_type": "user", "entity_id": star.id});
    fan.client.post("/follows", body).await.expect(201);
    Told {
        by: fan.id,
        to: vec![star.id],
        title: "fan follows you".into(),
        says: "fan".into(),
        leads_to: ("user", fan.id.to_string()),
    }
}

async fn followed_profile(world: &World) -> Told {
    let fan = world.member("regular").await;
    let body = json!({"entity_type": "business", "entity_id": world.bakery});
    fan.client.post("/follows", body.clone()).await.expect(201);
    // An administrator who follows the profile themselves is not notified of that.
    world.berta.client.post("/follows", body).await.expect(201);
    Told {
        by: fan.id,
        to: vec![world.berta.id],
        title: "regular follows Bakery".into(),
        says: "regular".into(),
        leads_to: ("business", world.bakery.to_string()),
    }
}

async fn review(world: &World, by: &Member) -> String {
    let body = json!({"entity_type": "business", "entity_id": world.bakery, "rating": 4, "comment": "Good rye"});
    by.client.post("/reviews", body).await.expect(201).id()
}

async fn reviewed(world: &World) -> Told {
    let critic = world.member("critic").await;
    let review = review(world, &critic).await;
    Told {
        by: critic.id,
        to: vec![world.berta.id],
        title: "A review of Bakery".into(),
        says: "critic gave Bakery 4 of 5".into(),
        leads_to: ("review", review),
    }
}

async fn review_answered(world: &World) -> Told {
    let critic = world.member("another_critic").await;
    let review = review(world, &critic).await;
    let path = format!("/reviews/{review}");
    let reply = json!({"reply": "Thank you"});
    world.patched(&world.berta, &path, reply).await;
    Told {
        by: world.berta.id,
        to: vec![critic.id],
        title: "Bakery has replied to your review".into(),
        says: "Bakery".into(),
        leads_to: ("review", review),
    }
}

async fn offer(world: &World, to: &Member) -> String {
    let body = json!({"user_id": to.id, "role": "orgAdmin", "scope_type": "business", "scope_id": world.press});
    let made = world.pia.client.post("/role-assignments", body).await;
    made.expect(201).id()
}

async fn accept(by: &Member, role: &str) {
    let path = format!("/role-assignments/{role}/accept");
    by.client.act(&path).await.expect(200);
}

async fn role_offered(world: &World) -> Told {
    let helper = world.member("helper").await;
    let role = offer(world, &helper).await;
    Told {
        by: world.pia.id,
        to: vec![helper.id],
        title: "You are asked to administer Press".into(),
        says: "Press".into(),
        leads_to: ("role_assignment", role),
    }
}

async fn role_accepted(world: &World) -> Told {
    let helper = world.member("second_helper").await;
    let role = offer(world, &helper).await;
    accept(&helper, &role).await;
    Told {
        by: helper.id,
        to: vec![world.pia.id],
        title: "second_helper has accepted".into(),
        says: "now an administrator of Press".into(),
        leads_to: ("role_assignment", role),
    }
}

async fn role_ended(world: &World) -> Told {
    let helper = world.member("third_helper").await;
    let role = offer(world, &helper).await;
    accept(&helper, &role).await;
    world.stage.server.settled().await;
    let path = format!("/role-assignments/{role}");
    world.pia.client.delete(&path).await.expect(204);
    Told {
        by: world.pia.id,
        to: vec![helper.id],
        title: "You no longer administer Press".into(),
        says: "Press".into(),
        leads_to: ("role_assignment", role),
    }
}

/// A decision of the city about a new profile.
async fn decided(world: &World, entity: &'static str, verb: &str) -> Told {
    let plural = if entity == "business" {
        "businesses"
    } else {
        "organizations"
    };
    let name = format!("{verb} {entity}");
    let founder = world.member(&name.replace(' ', "_")).await;
    let id = world.founded(&founder, plural, &name, json!({})).await;
    let carlo = &world.carlo.client;
    let path = format!("/{plural}/{id}/{verb}");
    let (decided, title) = match verb {
        "approve" => (carlo.act(&path).await, "is approved"),
        _ => (
            carlo.post(&path, json!({"reason": "No address"})).await,
            "is not approved",
        ),
    };
    decided.expect(200);
    Told {
        by: world.carlo.id,
        to: vec![founder.id],
        title: format!("{name} {title}"),
        says: "public".into(),
        leads_to: (entity, id),
    }
}

async fn organization_approved(world: &World) -> Told {
    decided(world, "organization", "approve").await
}

async fn business_approved(world: &World) -> Told {
    decided(world, "business", "approve").await
}

async fn organization_rejected(world: &World) -> Told {
    decided(world, "organization", "reject").await
}

async fn business_rejected(world: &World) -> Told {
    decided(world, "business", "reject").await
}

async fn organization_suspended(world: &World) -> Told {
    moderated(world, "organization", &["approve", "suspend"]).await
}

async fn business_unsuspended(world: &World) -> Told {
    moderated(world, "business", &["approve", "suspend", "unsuspend"]).await
}

/// What the city does with a new profile, the last of which is told.
async fn moderated(world: &World, entity: &'static str, verbs: &[&str]) -> Told {
    let plural = if entity == "business" {
        "businesses"
    } else {
        "organizations"
    };
    let is_over = verbs.contains(&"unsuspend");
    let name = format!("odd {entity}");
    let founder = world.member(&name.replace(' ', "_")).await;
    let id = world.founded(&founder, plural, &name, json!({})).await;
    for verb in verbs {
        let path = format!("/{plural}/{id}/{verb}");
        world.carlo.client.act(&path).await.expect(200);
        world.stage.server.settled().await;
    }
    let (title, says) = match is_over {
        false => ("is suspended", "has suspended"),
        true => ("is no longer suspended", "shown as before"),
    };
    Told {
        by: world.carlo.id,
        to: vec![founder.id],
        title: format!("{name} {title}"),
        says: says.into(),
        leads_to: (entity, id),
    }
}

async fn event_suspended(world: &World) -> Told {
    let id = world.another_event().await;
    let path = format!("/events/{id}/suspend");
    world.carlo.client.act(&path).await.expect(200);
    let name = world
        .text(format!("select title from app.events where id = '{id}'"))
        .await;
    Told {
        by: world.carlo.id,
        to: world.administrators(world.host).await,
        title: format!("{name} is suspended"),
        says: "has suspended".into(),
        leads_to: ("event", id.to_string()),
    }
}
