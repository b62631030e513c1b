//! Actions whose rule or condition reads a column that not everyone may read, or a related row that the caller may
//! not see: a statement of a request cannot evaluate such a rule (a policy can), so it asks a function.

use super::{
    held,
    names::{self, Roles},
    object::{Function, on_table, quote},
    predicate::{Sql, all, any, atom},
    rules::{Context, Scope, compile, literal, one_of, predicate},
    visible::visible,
};
use crate::model::{
    Assigned, Change, Entity, EntityId, Expr, Literal, Model, Offer, Set, Transition,
};
use crate::objects::{Kind, Object};

/// The rule of an action, for the select list of a statement over `alias` and `me`.
pub fn allowed(model: &Model, id: EntityId, action: &str, rule: &Expr, alias: &str) -> String {
    let entity = &model.entities[id];
    if entity.reads_private(rule) {
        format!(
            "{} = any (app.{}_may({alias}.id))",
            quote(action),
            entity.name
        )
    } else {
        compile(model, id, rule, alias, Context::Me)
    }
}

/// Like [`allowed`], for whether a transition is possible now regardless of the caller: its start state, and its
/// `when`. `None` if the statement can evaluate that itself.
pub fn possible_now(
    model: &Model,
    id: EntityId,
    transition: &Transition,
    alias: &str,
) -> Option<String> {
    let entity = &model.entities[id];
    now_is_asked(entity, transition).then(|| {
        format!(
            "{} = any (app.{}_may({alias}.id))",
            quote(&now_word(&transition.name)),
            entity.name
        )
    })
}

/// Like [`possible_now`], for whether an operation written by hand is offered now regardless of the caller. `None` if
/// the statement can evaluate its `when` itself.
pub fn offered_now(entity: &Entity, offer: &Offer, alias: &str) -> Option<String> {
    offer_is_asked(entity, offer).then(|| {
        format!(
            "{} = any (app.{}_may({alias}.id))",
            quote(&now_word(&offer.name)),
            entity.name
        )
    })
}

/// For each column that a transition sets, the condition that its value differs. Setting a value that is set already
/// is no change, and a new `now()` alone isn't one either.
pub fn differs(transition: &Transition, alias: &str) -> Vec<String> {
    let is_now = |set: &&Set| matches!(set.value, Assigned::Value(Literal::Now | Literal::Today));
    let differs: Vec<String> = transition
        .sets()
        .filter(|set| !is_now(set))
        .map(|set| {
            format!(
                "{alias}.{} is distinct from {}",
                set.column,
                assigned(&set.value)
            )
        })
        .collect();
    match differs.is_empty() {
        true => vec!["true".to_owned()],
        false => differs,
    }
}

/// The assigned value as SQL.
pub fn assigned(value: &Assigned) -> String {
    match value {
        Assigned::Me => "sec.uid()".to_owned(),
        Assigned::Value(value) => literal(value),
    }
}

/// `app.community_member_may(p_id)`: returns those of these actions that the caller may perform.
pub fn function(model: &Model, id: EntityId) -> Option<Object> {
    let entity = &model.entities[id];
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let scope = Scope {
        entity: id,
        alias: "t",
        context: Context::Definer,
    };
    let case = |condition: Sql, word: &str| {
        format!("case when {} then {} end", condition.block(8), quote(word))
    };
    let rules = (actions(entity).into_iter())
        .filter(|(_, rule)| entity.reads_private(rule))
        .map(|(action, rule)| case(predicate(model, scope, rule), action));
    let now = (entity.transitions.iter())
        .filter(|_| entity.writable())
        .filter(|transition| now_is_asked(entity, transition))
        .map(|transition| case(now(model, scope, transition), &now_word(&transition.name)));
    let offered = (entity.offers.iter())
        .filter(|offer| offer_is_asked(entity, offer))
        .filter_map(|offer| Some((offer, offer.when.as_ref()?)))
        .map(|(offer, when)| case(predicate(model, scope, when), &now_word(&offer.name)));
    let (rules, now): (Vec<String>, Vec<String>) = (rules.collect(), now.chain(offered).collect());
    // A rule answers for its caller, but whether a transition is possible now would be told to everybody.
    let this = atom("t.id = p_id".to_owned());
    let rows = match now.is_empty() {
        true => this,
        false => all([this, visible(model, scope)]),
    };
    let cases = [rules, now].concat();
    if cases.is_empty() || entity.internal {
        return None;
    }
    let function = Function {
        kind: Kind::TableFunction,
        name: &format!("app.{}_may", entity.name),
        arguments: "p_id uuid",
        returns: "text[]",
        attributes: "language plpgsql stable parallel safe",
        definer: Some(roles.authz()),
        callers: vec![roles.app()],
        doc: "The actions allowed to the caller, of those whose rule reads a column or row that not every caller may read.",
        body: format!(
            "begin\n  return (\n    select array_remove(array[\n      {}\n    ], null)\n    from {table} t where {}\n  );\nend",
            cases.join(",\n      "),
            rows.block(4)
        ),
    };
    Some(on_table(&table, function.object(roles)))
}

/// The name under which `…_may` returns that a transition or operation is possible now. It contains a blank, so no
/// action has it.
fn now_word(name: &str) -> String {
    format!("{name} now")
}

fn offer_is_asked(entity: &Entity, offer: &Offer) -> bool {
    let when = offer.when.as_ref();
    when.is_some_and(|when| !when.related().is_empty() || entity.reads_private(when))
}

fn now_is_asked(entity: &Entity, transition: &Transition) -> bool {
    let when = transition.when.as_ref();
    held::when(transition).is_some()
        || entity.starts_unseen(transition)
        || when.is_some_and(|when| entity.reads_private(when))
}

fn now(model: &Model, scope: Scope<'_>, transition: &Transition) -> Sql {
    let starts = match &transition.change {
        Change::State { field, from, .. } => atom(one_of(&scope.column(field), from)),
        Change::Set(_) => any(differs(transition, scope.alias).into_iter().map(atom)),
    };
    let when = transition.when.as_ref();
    all(std::iter::once(starts).chain(when.map(|when| predicate(model, scope, when))))
}

fn actions(entity: &Entity) -> Vec<(&str, &Expr)> {
    let access = &entity.access;
    let rules = [
        ("update", &access.update),
        ("delete", &access.delete),
        ("restore", &access.restore),
        ("suspend", &access.suspend),
    ];
    let rules = rules
        .into_iter()
        .filter_map(|(name, rule)| Some((name, rule.as_ref()?)));
    let offers = entity.offers.iter();
    let offers = offers.map(|offer| (offer.name.as_str(), &offer.by));
    rules
        .chain(entity.transitions.iter().map(|t| (t.name.as_str(), &t.by)))
        .filter(|_| entity.writable())
        .chain(offers)
        .collect()
}
