//! Changed rules of an entity: unique constraints with a condition, guards on other rows, renamed values.

use super::cases::there_and_back;
use super::rows::ROWS;

/// Two unique constraints get a condition, with rows that would violate them without it.
#[tokio::test]
async fn a_unique_rule_is_for_some_rows_from_now_on() {
    let to = [
        (
            "member",
            "unique: [[organization, user]]",
            "unique:\n  - organization, user where state == active",
        ),
        (
            "event",
            "index: [[city, starts_at]]",
            "index: [[city, starts_at]]\nexclude:\n  - host, starts_at..ends_at where state == published",
        ),
    ];
    let rows = "select count(*) from pg_index i where i.indpred is not null and i.indisunique \
                and i.indrelid = 'app.members'::regclass and pg_get_expr(i.indpred, i.indrelid) like '%active%'";
    there_and_back(&[], &to, ROWS, &[(rows, "1")]).await;
}

/// The guard reads existing rows; the counter that it uses moves into the row.
#[tokio::test]
async fn a_guard_looks_at_another_row_from_now_on() {
    let to = [
        (
            "event",
            "by host, when starts_at > now()",
            "by host, when starts_at > now() and city.event_count < 100",
        ),
        (
            "city",
            "access:",
            "has:\n  events: event* via city\nderived:\n  event_count: count(events)\naccess:",
        ),
    ];
    let counted = "select sum(event_count) = (select count(*) from app.events where status <> 'archived') from app.cities";
    there_and_back(&[], &to, ROWS, &[(counted, "true")]).await;
}

/// Rows, default, checks, policies, the index with a condition and the parent's counter all follow.
#[tokio::test]
async fn values_get_new_names() {
    let counted = |word: &str| {
        format!(
            "has:\n  events: event* via city\nderived:\n  drafts: count(events where state == {word})\naccess:"
        )
    };
    let unique = |word: &str| {
        format!(
            "hooks: [create, publish]\nunique:\n  - title where state == {word}\ncheck:\n  dated: state != {word} or ends_at > starts_at"
        )
    };
    let (before, after) = (counted("draft"), counted("proposal"));
    let (list, renamed) = (unique("draft"), unique("proposal"));
    let own = ("event", "unique: [[city, slug]]\n", "");
    let from = [
        ("city", "access:", before.as_str()),
        own,
        ("event", "hooks: [create, publish]", list.as_str()),
    ];
    let to = [
        ("city", "access:", after.as_str()),
        own,
        ("event", "hooks: [create, publish]", renamed.as_str()),
        (
            "event",
            "states(draft, published, cancelled) = draft",
            "states(proposal was draft, public was published, cancelled) = proposal",
        ),
        (
            "event",
            "publish: draft -> published",
            "publish: proposal -> public",
        ),
        (
            "event",
            "cancel: draft | published",
            "cancel: proposal | public",
        ),
        ("event", "state != draft", "state != proposal"),
        (
            "member",
            "states(pending, active) = pending",
            "states(asked was pending, active) = asked",
        ),
        ("member", "pending -> active", "asked -> active"),
    ];
    let checks = [
        (
            "select string_agg(state || n, ' ' order by state) from (select state, count(*) n from app.events group by 1) s",
            "cancelled7 proposal6 public7",
        ),
        (
            "select count(*) from app.members where state = 'asked'",
            "12",
        ),
        ("select count(*) from app.members where version <> 1", "0"),
        (
            "select sum(c.drafts) = (select count(*) from app.events where state = 'proposal' and status <> 'archived') from counters.cities c",
            "true",
        ),
        (
            "select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = 'app.events'::regclass and pg_get_expr(adbin, adrelid) like '%proposal%'",
            "'proposal'::text",
        ),
    ];
    there_and_back(&from, &to, ROWS, &checks).await;
}

#[tokio::test]
async fn rows_of_the_same_address_exclude_each_other() {
    let (field, unique) = (
        "  featured: bool = false, system\n",
        "unique: [[city, slug]]\n",
    );
    let fields = format!("{field}  contact: email?\n");
    let rules = format!("{unique}exclude:\n  - contact, starts_at..ends_at\n");
    let to = [
        ("event", field, fields.as_str()),
        ("event", unique, rules.as_str()),
    ];
    there_and_back(&[], &to, ROWS, &[]).await;
}
