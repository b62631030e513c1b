//! What the rules allow in another state of the object is a conflict with its state, which the answer names, and not a
//! lack of rights. Who could never do it is still told that.

use crate::{
    money::stage::Stage,
    support::{model, resources},
};
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn what_has_tickets_is_not_archived_and_says_why() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 0, 10).await;
    let order = stage.order(&stage.mira, &[(kind, 2)], false).await;
    let order = order.expect(201).id();
    let (olga, mira) = (&stage.olga.client, &stage.mira.client);
    let cases = [
        (format!("/ticket-types/{kind}"), "2 sold", "sales_end"),
        (
            format!("/events/{}", stage.event),
            "2 valid tickets",
            "/cancel",
        ),
    ];
    for (path, why, instead) in &cases {
        let refused = olga.delete(path).await.expect(409);
        assert_eq!(refused.problem(), "invalid-state");
        let detail = refused.json["detail"].as_str().expect("a reason");
        assert!(detail.contains(why) && detail.contains(instead), "{detail}");
        // Nothing is told to those who may not do it in any state.
        mira.delete(path).await.expect(403);
        // The version is looked at first.
        let outdated = [("if-match", "\"999\"")];
        let sent = olga.send(reqwest::Method::DELETE, path, None, &outdated);
        sent.await.expect(412);
    }
    let refunds = format!("/orders/{order}/refunds");
    crate::money::stage::keyed(&stage.olga, &refunds, json!({}))
        .await
        .expect(201);
    for (path, ..) in &cases {
        olga.delete(path).await.expect(204);
    }
}

/// Without a hook of its own the answer has the state in the words of the rule.
#[tokio::test]
async fn a_sent_quote_is_neither_changed_nor_archived() {
    let stage = Stage::without_provider().await;
    let made: (Uuid, Uuid) = sqlx::query_as(
        "with r as (
           insert into app.service_requests (city_id, host_type, host_id, title, category, description)
           select o.city_id, 'organization', o.id, 'Sound', 'music', '' from app.organizations o
           join app.role_assignments a on a.scope_organization_id = o.id and a.user_id = $1 limit 1 returning id
         ), b as (
           insert into app.businesses (city_id, name, slug, category, state)
           select o.city_id, 'Sounds', 'sounds', 'music', 'approved' from app.organizations o limit 1 returning id
         ), l as (
           insert into app.leads (service_request_id, business_id, title, details) select r.id, b.id, 'Sound', '' from r, b returning id
         ), q as (
           insert into app.quotes (lead_id, amount_cents, currency, terms, valid_until, state)
           select l.id, 100, 'AUD', '', now() + interval '1 day', 'sent' from l returning id
         )
         select q.id, b.id from q, b",
    )
    .bind(stage.olga.id)
    .fetch_one(&mut stage.server.superuser().await)
    .await
    .expect("a quote");
    let owner = stage.server.member("owner_of_sounds").await;
    let scope = Some(("business", made.1));
    stage.server.grant(&owner, "orgAdmin", scope).await;
    let path = format!("/quotes/{}", made.0);
    let refused = [
        owner.client.delete(&path).await,
        owner
            .client
            .patch(&path, "*", json!({"terms": "Less"}))
            .await,
    ];
    for answer in refused {
        let answer = answer.expect(409);
        let detail = answer.json["detail"].as_str().expect("a reason");
        assert_eq!(detail, "This is only possible when state is draft.");
    }
    stage.olga.client.delete(&path).await.expect(403);
}

/// Every rule that names a state as well as a caller is answered in this way. The control for the list: it is the
/// model's, and not empty.
#[test]
fn every_rule_with_a_state_has_its_words() {
    let mut found = Vec::new();
    for entity in &model().entities {
        let Some(resource) = resources().get(entity.name.as_str()) else {
            continue;
        };
        for (action, rule) in [
            ("update", &entity.access.update),
            ("delete", &entity.access.delete),
            ("restore", &entity.access.restore),
        ] {
            let Some((who, _)) = rule.as_ref().and_then(|rule| rule.who_and_state()) else {
                continue;
            };
            let case = format!("then '{action} when ");
            let is_told = resource.sql.probe.contains(&case);
            assert_eq!(
                is_told,
                !entity.reads_private(&who),
                "{} {action}",
                entity.name
            );
            found.push(format!("{} {action}", entity.name));
        }
    }
    for expected in [
        "event delete",
        "ticket_type delete",
        "quote delete",
        "quote update",
    ] {
        assert!(found.iter().any(|one| one == expected), "{found:?}");
    }
}
