//! What README.md of the folder above lists, with the client of openapi-generator (`rust`).

use chrono::{Duration, Utc};
use culturepass::{
    apis::{configuration::Configuration, events_api::*, me_api::*, organizations_api::*, sign_in_api::*, Error},
    models::*,
};
use std::collections::BTreeSet;

/// Of each operation the generator makes an error of its own; the problem is in the text of all of them.
fn problem<T>(result: Result<T, Error<impl Sized>>, status: u16) -> Problem {
    match result {
        Err(Error::ResponseError(answer)) => {
            assert_eq!(answer.status.as_u16(), status, "{}", answer.content);
            serde_json::from_str(&answer.content).expect("a problem")
        }
        Err(_) => panic!("no answer"),
        Ok(_) => panic!("not {status}"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let now = Utc::now();
    let mut api = Configuration {
        base_path: std::env::var("API_URL")?,
        ..Configuration::default()
    };

    // Sign in
    let credentials = Credentials::new("olga_organiser@example.org".to_owned(), "seven small elephants".to_owned());
    let signed = sign_in(&api, SignInParams { credentials }).await?;
    api.bearer_access_token = Some(signed.access_token);
    let roles = list_my_roles(&api, ListMyRolesParams::default()).await?;
    let id = roles
        .data
        .iter()
        .filter(|role| role.scope_type == Some(RoleAssignmentScopeType::Organization))
        .find_map(|role| role.scope_id)
        .ok_or("no organisation")?
        .to_string();
    let organization = get_organization(&api, GetOrganizationParams { id, expand: None, if_none_match: None }).await?;

    // List with filters
    let wanted = [EventCategory::Concert, EventCategory::Festival];
    let soon = ListEventsParams {
        category_in: Some(wanted.to_vec()),
        starts_at_gte: Some(now.fixed_offset()),
        sort: Some(EventSort::starts_at_asc),
        limit: Some(5),
        ..ListEventsParams::default()
    };
    let soon = list_events(&api, soon).await?.data;
    assert!(soon.len() > 1);
    assert!(soon.iter().all(|event| wanted.contains(&event.category) && event.starts_at >= now));
    assert!(soon.is_sorted_by_key(|event| event.starts_at));

    // Page to the end
    let concerts = || ListEventsParams {
        category: Some(EventCategory::Concert),
        ..ListEventsParams::default()
    };
    let counted = list_events(&api, ListEventsParams { count: Some(Count::Exact), limit: Some(1), ..concerts() }).await?;
    let mut seen = BTreeSet::new();
    let mut cursor = None;
    loop {
        let page = list_events(&api, ListEventsParams { limit: Some(25), cursor, ..concerts() }).await?;
        seen.extend(page.data.iter().map(|event| event.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert!(seen.len() > 25);
    assert_eq!(counted.count.map(i64::from), Some(seen.len() as i64));

    // Create
    let starts_at = (now + Duration::days(30)).fixed_offset();
    let mut draft = CreateEvent::new(
        "An evening for programs".to_owned(),
        starts_at,
        starts_at + Duration::hours(1),
        "Australia/Melbourne".to_owned(),
        organization.city_id,
        EventHostType::Organization,
        organization.id,
    );
    draft.category = Some(EventCategory::Concert);
    draft.online_url = Some(Some("https://example.org/evening".to_owned()));
    let create = |create_event: CreateEvent| CreateEventParams { create_event, idempotency_key: None };
    let created = create_event(&api, create(draft.clone())).await?;
    assert_eq!(created.version, 1);
    let id = created.id.to_string();

    // 422, with every value that is wrong
    draft.title = String::new();
    draft.capacity = Some(Some(-1));
    let refused = problem(create_event(&api, create(draft)).await, 422);
    let places: BTreeSet<_> = refused.errors.into_iter().flatten().filter_map(|item| item.pointer).collect();
    assert_eq!(places, BTreeSet::from(["/capacity".to_owned(), "/title".to_owned()]));

    // Change
    let update = |patch_event: PatchEvent| UpdateEventParams {
        id: id.clone(),
        if_match: format!("\"{}\"", created.version),
        patch_event,
    };
    let mut patch = PatchEvent::new();
    patch.description = Some(Some("With a reading.".to_owned()));
    let changed = update_event(&api, update(patch)).await?;
    assert_eq!(changed.description.as_deref(), Some("With a reading."));
    assert_eq!(changed.version, 2);

    // 412: based on what is no longer there
    let mut lost = PatchEvent::new();
    lost.title = Some("Lost".to_owned());
    problem(update_event(&api, update(lost)).await, 412);

    // Publish
    let published = publish_event(&api, PublishEventParams { id: id.clone(), if_match: None }).await?;
    assert_eq!(published.state, EventState::Published);

    // A host of each kind, as what it is
    for kind in [EventHostType::Organization, EventHostType::Business, EventHostType::Community, EventHostType::Institution] {
        let hosted = ListEventsParams {
            host_type: Some(kind),
            expand: Some(vec![EventExpand::Host]),
            limit: Some(3),
            ..ListEventsParams::default()
        };
        let hosted = list_events(&api, hosted).await?.data;
        assert!(!hosted.is_empty());
        for event in hosted {
            let is_right = match event.host.flatten().as_deref() {
                Some(EventHost::Organization(_)) => kind == EventHostType::Organization,
                Some(EventHost::Business(_)) => kind == EventHostType::Business,
                Some(EventHost::Community(_)) => kind == EventHostType::Community,
                Some(EventHost::Institution(_)) => kind == EventHostType::Institution,
                None => false,
            };
            assert!(is_right, "the host of {} is no {kind:?}", event.id);
        }
    }

    // Archive
    archive_event(&api, ArchiveEventParams { id: id.clone(), if_match: None }).await?;
    problem(get_event(&api, GetEventParams { id, expand: None, if_none_match: None }).await, 404);
    Ok(())
}
