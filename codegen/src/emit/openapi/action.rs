//! The operations of an entity, their names, and the rules that say who may perform them.

use super::{
    names::{self, title},
    parameters, together,
    words::{article, spaced},
};
use crate::{
    emit::actions,
    model::{Assigned, Change, EntityId, Expr, Has, Literal, Model, Transition},
    names::{kebab, pascal},
};

#[derive(Clone, Copy)]
pub enum Action<'a> {
    List,
    /// `GET /events/{id}/likes`; the operation's entity is the parent.
    Nested(&'a Has),
    Get,
    Create,
    Replace,
    Patch,
    Archive,
    /// `GET /events/archived`: the rows that the caller may restore.
    Archived,
    Restore,
    Suspend,
    Unsuspend,
    Transition(&'a Transition),
}

/// An operation of an entity.
pub struct Operation<'a> {
    pub entity: EntityId,
    pub action: Action<'a>,
    pub rule: &'a Expr,
}

/// All operations of an entity in reading order.
pub fn operations(model: &Model, id: EntityId) -> Vec<Operation<'_>> {
    use actions::Action as Rule;
    let entity = &model.entities[id];
    if entity.internal {
        return Vec::new();
    }
    let all = [
        (Action::List, Rule::Read),
        (Action::Create, Rule::Create),
        (Action::Get, Rule::Read),
        (Action::Replace, Rule::Update),
        (Action::Patch, Rule::Update),
        (Action::Archive, Rule::Delete),
        (Action::Archived, Rule::Restore),
        (Action::Restore, Rule::Restore),
        (Action::Suspend, Rule::Suspend),
        (Action::Unsuspend, Rule::Suspend),
    ];
    let operation = |action, rule| Operation {
        entity: id,
        action,
        rule,
    };
    let common = all
        .into_iter()
        .filter_map(|(action, rule)| Some(operation(action, rule.open(entity)?)));
    let verbs = actions::transitions(entity)
        .iter()
        .map(|verb| operation(Action::Transition(verb), &verb.by));
    let listed = entity.has.iter().filter(|has| model.is_listed(has));
    let nested = listed.filter_map(|has| {
        Some(operation(
            Action::Nested(has),
            Rule::Read.open(&model.entities[has.child])?,
        ))
    });
    common.chain(verbs).chain(nested).collect()
}

/// The values of `allowed_actions`, in the order of the operations.
pub fn allowed(model: &Model, id: EntityId) -> Vec<String> {
    let mut names = Vec::new();
    for operation in operations(model, id) {
        let name = match operation.action {
            Action::Replace => "update",
            Action::Archive => "delete",
            Action::Restore => "restore",
            Action::Suspend => "suspend",
            Action::Unsuspend => "unsuspend",
            Action::Transition(transition) => &transition.name,
            _ => continue,
        };
        names.push(name.to_owned());
    }
    if !model.entities[id].internal {
        let offers = model.entities[id].offers.iter();
        names.extend(offers.map(|offer| offer.name.clone()));
    }
    names
}

impl<'a> Operation<'a> {
    pub fn method(&self) -> &'static str {
        match self.action {
            Action::List | Action::Archived | Action::Nested(_) | Action::Get => "get",
            Action::Replace => "put",
            Action::Patch => "patch",
            Action::Archive => "delete",
            _ => "post",
        }
    }

    pub fn path(&self, model: &Model) -> String {
        let all = format!("/{}", kebab(&model.entities[self.entity].plural));
        match self.action {
            Action::List | Action::Create => all,
            Action::Get | Action::Replace | Action::Patch | Action::Archive => {
                format!("{all}/{{id}}")
            }
            Action::Nested(has) => format!("{all}/{{id}}/{}", kebab(&has.name)),
            Action::Archived => format!("{all}/archived"),
            Action::Restore => format!("{all}/{{id}}/restore"),
            Action::Suspend => format!("{all}/{{id}}/suspend"),
            Action::Unsuspend => format!("{all}/{{id}}/unsuspend"),
            Action::Transition(transition) => format!("{all}/{{id}}/{}", kebab(&transition.name)),
        }
    }

    pub fn id(&self, model: &Model) -> String {
        let entity = &model.entities[self.entity];
        let one = pascal(&entity.name);
        match self.action {
            Action::List => names::operation("list", &pascal(&entity.plural)),
            Action::Nested(has) => {
                let noun = format!("{one}{}", pascal(&has.name));
                // The list of an entity may have this name already: `members` of a community, and the entity
                // `community_member`.
                match model
                    .entities
                    .iter()
                    .any(|other| pascal(&other.plural) == noun)
                {
                    true => names::operation("list", &format!("{}Of{one}", pascal(&has.name))),
                    false => names::operation("list", &noun),
                }
            }
            Action::Get => names::operation("get", &one),
            Action::Create => names::operation("create", &one),
            Action::Replace => names::operation("replace", &one),
            Action::Patch => names::operation("update", &one),
            Action::Archive => names::operation("archive", &one),
            Action::Archived => {
                names::operation("list", &format!("Archived{}", pascal(&entity.plural)))
            }
            Action::Restore => names::operation("restore", &one),
            Action::Suspend => names::operation("suspend", &one),
            Action::Unsuspend => names::operation("unsuspend", &one),
            Action::Transition(transition) => names::operation(&transition.name, &one),
        }
    }

    pub fn summary(&self, model: &Model) -> String {
        let entity = &model.entities[self.entity];
        let one = article(&spaced(&entity.name));
        match self.action {
            Action::List => format!("List {}", spaced(&entity.plural)),
            Action::Nested(has) => format!("List the {} of {one}", spaced(&has.name)),
            Action::Get => format!("Get {one}"),
            Action::Create => format!("Create {one}"),
            Action::Replace => format!("Replace {one}"),
            Action::Patch => format!("Update {one}"),
            Action::Archive => format!("Archive {one}"),
            Action::Archived => format!("List archived {}", spaced(&entity.plural)),
            Action::Restore => format!("Restore an archived {}", spaced(&entity.name)),
            Action::Suspend => format!("Suspend {one}"),
            Action::Unsuspend => format!("Lift the suspension of {one}"),
            Action::Transition(transition) => format!("{} {one}", title(&transition.name)),
        }
    }

    /// What the operation does, as far as its summary and the introduction don't say so. Who may do it is described
    /// elsewhere.
    pub fn effect(&self, model: &Model) -> String {
        let entity = &model.entities[self.entity];
        let one = spaced(&entity.name);
        match self.action {
            Action::List => parameters::searched(entity),
            Action::Nested(has) => format!(
                "`GET /{}`, limited to one {one}. 404 if the caller can't see the {one}.",
                kebab(&model.entities[has.child].plural)
            ),
            Action::Create => {
                let quota = entity.quota.map(|quota| {
                    format!(
                        "A member may create up to {quota} a day (UTC); then the answer is 429."
                    )
                });
                let told: Vec<String> = with_lists(entity).into_iter().chain(quota).collect();
                told.join(" ")
            }
            Action::Get | Action::Replace | Action::Patch | Action::Archive => String::new(),
            Action::Archived => format!(
                "The archived {} that the caller may restore, newest first.",
                spaced(&entity.plural)
            ),
            Action::Restore => format!(
                "Restores the {one} and, where possible, what was archived with it; `still_archived` lists the rest."
            ),
            Action::Suspend => {
                format!("Hides the {one} from all callers who may neither update nor suspend it.")
            }
            Action::Unsuspend => format!("Sets the `status` of the {one} to `active` again."),
            Action::Transition(transition) => transition_effect(transition),
        }
    }
}

/// Describes the lists that the body may contain in addition.
fn with_lists(entity: &crate::model::Entity) -> Option<String> {
    let lists: Vec<String> = together::lists(entity)
        .map(|(has, _)| format!("`{}`", has.name))
        .collect();
    let has_lists = !lists.is_empty();
    has_lists.then(|| {
        format!(
            "The body may contain {}: either everything is created, or nothing.",
            lists.join(" and ")
        )
    })
}

fn transition_effect(transition: &Transition) -> String {
    let sets: Vec<String> = transition
        .sets()
        .map(|set| format!("`{}` to {}", set.column, becomes(&set.value)))
        .collect();
    let sets = sets.join(" and ");
    let effect = match &transition.change {
        Change::State { field, from, to } => {
            let from: Vec<String> = from.iter().map(|state| format!("`{state}`")).collect();
            let besides = match sets.is_empty() {
                true => String::new(),
                false => format!(" and sets {sets}"),
            };
            format!(
                "Changes `{field}` from {} to `{to}`{besides}.",
                from.join(" or ")
            )
        }
        Change::Set(_) => format!("Sets {sets}."),
    };
    match transition.reason {
        true => format!("{effect} The reason in the body is written to the audit log."),
        false => effect,
    }
}

fn becomes(value: &Assigned) -> String {
    match value {
        Assigned::Me => "the caller".to_owned(),
        Assigned::Value(Literal::Null) => "null".to_owned(),
        Assigned::Value(Literal::Bool(value)) => format!("`{value}`"),
        Assigned::Value(Literal::Int(value)) => format!("`{value}`"),
        Assigned::Value(Literal::Decimal(value) | Literal::Text(value)) => format!("`{value}`"),
        Assigned::Value(Literal::Now) => "the current time".to_owned(),
        Assigned::Value(Literal::Today) => "today (UTC)".to_owned(),
    }
}
