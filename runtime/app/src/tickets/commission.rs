//! Reads commission rules from the database. Which of them applies, and what it charges, is computed by [`money`].

use chrono::{DateTime, Utc};
use kernel::{Cx, Error, Result};
use money::{BasisPoints, Chain, Charge, Currency, Host, HostKind, PaidBy, Rule, Scope, Terms};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

/// The rules in force at `at` that could apply, also if the caller may not read them.
pub async fn rules(
    cx: &mut Cx,
    chain: &Chain,
    charge: Charge,
    currency: Currency,
    at: DateTime<Utc>,
) -> Result<Vec<Rule>> {
    let host = chain.host.map(|host| host.id);
    let scopes = [chain.event, host, chain.city, chain.country];
    let scopes: Vec<Uuid> = scopes.into_iter().flatten().collect();
    let rows = sqlx::query(
        "select id, scope_type, scope_id, basis_points, fixed_cents, min_cents, max_cents, paid_by, city_share_basis_points,
           valid_from, valid_to
         from app.commission_rules_at($1, $2, $3, $4)",
    )
    .bind(name(charge))
    .bind(currency.code())
    .bind(scopes)
    .bind(at)
    .fetch_all(cx.conn())
    .await?;
    rows.iter().map(|row| rule(row, charge, currency)).collect()
}

/// The terms in a row of a rule or of a proposal.
pub fn terms(row: &PgRow, currency: Currency) -> Result<Terms> {
    let points = |column: &str| -> Result<BasisPoints> {
        let points: i32 = row.try_get(column)?;
        BasisPoints::new(points.into()).map_err(Error::internal)
    };
    Ok(Terms {
        currency,
        percentage: points("basis_points")?,
        fixed_cents: row.try_get("fixed_cents")?,
        min_cents: row.try_get("min_cents")?,
        max_cents: row.try_get("max_cents")?,
        paid_by: match row.try_get::<&str, _>("paid_by")? {
            "buyer" => PaidBy::Buyer,
            _ => PaidBy::Organizer,
        },
        city_share: points("city_share_basis_points")?,
    })
}

/// A value of `commission_rule.type`.
fn name(charge: Charge) -> &'static str {
    match charge {
        Charge::Ticket => "ticket",
        Charge::ServiceFee => "service_fee",
        Charge::Featured => "featured",
        Charge::Subscription => "subscription",
    }
}

fn rule(row: &PgRow, charge: Charge, currency: Currency) -> Result<Rule> {
    let id: Option<Uuid> = row.try_get("scope_id")?;
    let host = |kind, id| Scope::Host(Host { kind, id });
    let scope = match (row.try_get::<Option<&str>, _>("scope_type")?, id) {
        (Some("event"), Some(id)) => Scope::Event(id),
        (Some("organization"), Some(id)) => host(HostKind::Organization, id),
        (Some("community"), Some(id)) => host(HostKind::Community, id),
        (Some("business"), Some(id)) => host(HostKind::Business, id),
        (Some("institution"), Some(id)) => host(HostKind::Institution, id),
        (Some("city"), Some(id)) => Scope::City(id),
        (Some("country"), Some(id)) => Scope::Country(id),
        _ => Scope::Platform,
    };
    Ok(Rule {
        id: row.try_get("id")?,
        scope,
        charge,
        terms: terms(row, currency)?,
        valid_from: row.try_get("valid_from")?,
        valid_to: row.try_get("valid_to")?,
    })
}
