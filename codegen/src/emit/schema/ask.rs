//! `sec.may_<entity>(id, action)` and `sec.holds_<entity>(id, condition)`: let code that isn't subject to the policies
//! of requests ask what the rules say about one row.
//!
//! They answer for the caller of the transaction exactly what the policies would, including roles that count only
//! while something is restored, and archived rows that only some callers see.

use super::{
    context,
    names::{self, Roles},
    object::{Function, on_table, quote},
    policies::actions,
    predicate::{Sql, all, atom},
    rules::{Context, Scope, predicate},
    visible::visible,
};
use crate::model::{EntityId, Model};
use crate::objects::{Kind, Object};

pub fn functions(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    if entity.internal {
        return Vec::new();
    }
    let scope = Scope {
        entity: id,
        alias: "t",
        context: Context::Definer,
    };
    let may = std::iter::once(("read".to_owned(), Sql::True))
        .chain((actions(model, scope).into_iter()).map(|a| (a.name, all([a.before, a.rule]))));
    let holds = entity
        .conditions
        .iter()
        .map(|c| (c.name.clone(), predicate(model, scope, &c.expr)));
    let question = |name: &str, doc: &str, cases: Vec<(String, Sql)>| {
        (!cases.is_empty()).then(|| {
            let body = body(model, scope, &cases, name == "may");
            function(model, id, &names::asked(name, entity), doc, body)
        })
    };
    let found = [
        question(
            "may",
            "Whether the caller may do this to a row.",
            may.collect(),
        ),
        question(
            "holds",
            "Whether the caller sees the row, and this condition holds for it.",
            holds.collect(),
        ),
    ];
    found.into_iter().flatten().collect()
}

fn function(model: &Model, id: EntityId, name: &str, doc: &str, body: String) -> Object {
    let (entity, roles) = (&model.entities[id], Roles(&model.app));
    let function = Function {
        kind: Kind::TableFunction,
        name,
        arguments: "p_id uuid, p_what text",
        returns: "boolean",
        attributes: "language plpgsql",
        definer: Some(roles.authz()),
        callers: vec![roles.app(), roles.job()],
        doc,
        body,
    };
    on_table(&names::table(entity), function.object(roles))
}

/// The function's body: evaluates the case of the action or condition asked for. The settings under which archived
/// rows and their roles are visible are changed for this query only, and reset after it.
fn body(model: &Model, scope: Scope<'_>, cases: &[(String, Sql)], acts: bool) -> String {
    let whens: String = cases
        .iter()
        .map(|(name, condition)| format!("    when {} then {}\n", quote(name), condition.block(6)))
        .collect();
    let condition = all([atom("t.id = p_id"), visible(model, scope)]).block(4);
    let table = names::table(&model.entities[scope.entity]);
    let question = format!(
        "  select case p_what\n{whens}  end into v_answer\n  from {table} t\n  where {condition};\n"
    );
    let names: Vec<String> = names(cases, acts).iter().map(|name| quote(name)).collect();
    let known = format!(
        "  if p_what not in ({}) then\n    raise exception 'no such question: %', p_what using errcode = '22023';\n  end if;\n",
        names.join(", ")
    );
    if !acts {
        return format!(
            "declare\n  v_answer boolean;\nbegin\n{known}{question}  return coalesce(v_answer, false);\nend"
        );
    }
    let archived = context::set(
        "app.archived",
        "case when p_what in ('archive', 'restore') then '1' else '' end",
    );
    let reset = context::set("app.archived", "coalesce(v_archived, '')");
    let (before, after) = match context::restores_roles(model) {
        true => (
            "  if p_what = 'restore' then\n    perform sec.hold(sec.uid(), 'restore');\n  end if;\n",
            "  if p_what = 'restore' then\n    perform sec.hold(sec.uid(), coalesce(sec.action(), ''));\n  end if;\n",
        ),
        false => ("", ""),
    };
    format!(
        "declare\n  v_archived constant text := pg_catalog.current_setting('app.archived', true);\n  v_answer boolean;\nbegin\n\
         {known}{before}  perform {archived};\n{question}  perform {reset};\n{after}  return coalesce(v_answer, false);\nend"
    )
}

/// All names that may be passed, including actions that no caller may perform.
fn names(cases: &[(String, Sql)], acts: bool) -> Vec<String> {
    let mut names: Vec<String> = cases.iter().map(|(name, _)| name.clone()).collect();
    let always = ["update", "archive", "restore", "suspend", "unsuspend"];
    for name in always.into_iter().filter(|_| acts) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}
