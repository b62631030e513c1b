//! Leaves of policies whose absence the comparison doesn't notice, each by name. The test reports leaves on this list
//! that are noticed after all.

/// Leaves without which the policies decide the same, and the reason.
pub const THE_SAME: [(&str, &str); 23] = [
    (
        "checkpoint_ticket_types_insert with check : sec.seen_event_staff(event_id) -> true",
        "nobody but the staff of its event sees the checkpoint that must be named",
    ),
    (
        "reviews_select using : ((reviewer_id = sec.uid()) IS NOT TRUE) -> true",
        "who wrote a review sees it in every status",
    ),
    (
        "reviews_select using : sec.is_platform_admin() -> false",
        "platform administrators moderate what is reviewed, too",
    ),
    (
        "grant_announcements_select using : sec.seen_institution_city_admin(institution_id) -> false",
        "who moderates an institution stands beside it, and whoever administers it too",
    ),
    (
        "grant_announcements_select using : sec.seen_institution_moderates(institution_id) -> false",
        "the same, the other way round",
    ),
    (
        "follows_select using : (status = 'suspended'::text) -> true",
        "nobody suspends them, and who may bring them back sees them in every status",
    ),
    (
        "likes_select using : (status = 'suspended'::text) -> true",
        "the same",
    ),
    (
        "cities_select using : (status = 'suspended'::text) -> true",
        "active cities are for everybody anyway",
    ),
    (
        "communities_select using : (id IN ( SELECT sec.my_community_members() AS my_community_members)) -> false",
        "moderators are known members as well",
    ),
    (
        "quotes_update with check update: (state = 'draft'::text) -> true",
        "the guard lets no change of fields change the state",
    ),
    (
        "broadcasts_update with check update: (state = 'draft'::text) -> true",
        "the same",
    ),
    (
        "venues_insert with check : (strpos(sec.held_org_admin(), (id)::text) > 0) -> false",
        "nobody holds a role of what is not made yet",
    ),
    (
        "role_assignments_insert with check : sec.seen_city_city_admin(scope_id) -> true",
        "beside it the scope is a city and the role is orgAdmin: `role_fits_scope` forbids that",
    ),
    (
        "role_assignments_select using : sec.seen_city_city_admin(scope_id) -> true",
        "the same",
    ),
    (
        "role_assignments_update using archive: sec.seen_city_city_admin(scope_id) -> true",
        "the same",
    ),
    (
        "role_assignments_select using : (p1.id IN ( SELECT unnest(sec.scopes_city_admin()) AS unnest)) -> false",
        "roles for a city are those of cityAdmin, which an earlier leaf shows to the same people",
    ),
    (
        "role_assignments_select using : sec.seen_venue_city_admin(scope_id) -> true",
        "beside it the caller is a platform administrator, who sees all of them",
    ),
    (
        "role_assignments_select using : (user_id = sec.uid()) -> false",
        "it stands beside the state of suspended ones, and there are none",
    ),
    (
        "users_select using : (id = sec.uid()) -> false",
        "whose account is suspended or archived cannot ask",
    ),
    (
        "users_select using : sec.is_platform_admin() -> false",
        "they outrank everybody, which the leaf beside it asks",
    ),
    (
        "venues_select using : ( SELECT sec.is_platform_admin() AS is_platform_admin) -> false",
        "they see the owner in every status, and with it the venue",
    ),
    (
        "venues_select using : (owner_id IN ( SELECT unnest(sec.scopes_org_admin()) AS unnest)) -> false",
        "the same",
    ),
    (
        "venues_select using : (city_id IN ( SELECT unnest(sec.scopes_city_admin()) AS unnest)) -> false",
        "the same: the owner is of the same city",
    ),
];

/// The cases that would reveal these leaves are in none of the worlds: a member waiting to join a community of which
/// the actor is a moderator; a suspended community with service requests; a suspended member who outranks the staff of
/// the community; a private event of a community of which the actor is a member; a city's administrator who outranks a
/// member of that city; a suspended promotion whose platform administrator asks;
/// a promotion of the city's administrator who administers its target as well; a wallet of the actor's own.
/// `abuse::own` asks for the promotions over HTTP, the tests of `money` for wallets.
pub const NOT_IN_THE_WORLDS: [&str; 15] = [
    "promotions_select using : sec.seen_event_moderates(target_id) -> true",
    "promotions_select using : sec.seen_business_moderates(target_id) -> true",
    "promotions_update using suspend: sec.seen_event_moderates(target_id) -> true",
    "promotions_select using : sec.is_platform_admin() -> false",
    "wallet_accounts_select using : (user_id = ( SELECT sec.uid() AS uid)) -> false",
    "institutions_update using suspend: ((strpos(sec.held_org_admin(), (id)::text) > 0) IS NOT TRUE) -> true",
    "promotions_select using : (sec.action() = 'restore'::text) -> true",
    "promotions_select using : (strpos(sec.held_city_admin(), (city_id)::text) > 0) -> false",
    "community_members_select using : (p1.id IN ( SELECT sec.my_community_members() AS my_community_members)) -> false",
    "service_requests_insert with check : (sec.seen_community(host_id) = 'active'::text) -> true",
    "community_members_select using : (sec.action() = 'restore'::text) -> true",
    "community_members_select using : (ended_by_user IS NOT TRUE) -> false",
    "events_select using : (visibility = 'community'::text) -> true",
    "users_select using : (strpos(sec.held_city_admin(), (home_city_id)::text) > 0) -> false",
    "users_update using suspend: (strpos(sec.held_city_admin(), (home_city_id)::text) > 0) -> false",
];
