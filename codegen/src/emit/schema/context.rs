//! The caller: `sec.enter` reads the account and its roles once per transaction, and functions return them to
//! policies.
//!
//! A request passes ids only, so it can't claim a role.

use super::{
    columns,
    names::{self, Roles, snake},
    object::{Function, quote},
    rules::{Context, compile},
    template,
};
use crate::model::{Entity, EntityId, Lifecycle, Model, Relation, Role};
use crate::objects::{Kind, Object};

pub fn objects(model: &Model) -> Vec<Object> {
    let mut found = template::functions(
        include_str!("../sql/context.sql"),
        &model.app,
        Kind::Function,
    );
    found.extend(model.roles.iter().map(|role| reader(model, role)));
    let scoped = model.roles.iter().filter(|role| !role.scopes.is_empty());
    found.extend(scoped.map(|role| held_text(model, role)));
    found.push(facts(model));
    found.push(performed_role(model));
    found.push(enter(model));
    found.push(enter_job(model));
    found.extend(restores_roles(model).then(|| hold(model)));
    found.push(is_active(model));
    found
}

/// The setting that holds the caller's scopes of a role: their ids or, for a role held everywhere, `1`.
pub fn setting(role: &Role) -> String {
    format!("app.role_{}", snake(&role.name))
}

/// The relation of an assignment or session to the person that it belongs to.
pub fn person<'m>(model: &'m Model, entity: &'m Entity) -> &'m Relation {
    model
        .holder(entity)
        .expect("checked: it refers to the identity")
}

/// Whether some roles count only while a caller restores something.
pub(super) fn restores_roles(model: &Model) -> bool {
    live(model, &model.entities[model.assignments]).contains("p_action")
}

/// The spec's condition for assignments that count: ` and a.state = 'accepted'`; empty if all do.
pub fn counted(model: &Model, alias: &str) -> String {
    model.counted.as_ref().map_or(String::new(), |counted| {
        let counted = compile(model, model.assignments, counted, alias, Context::Definer);
        format!(" and {counted}")
    })
}

pub(super) fn set(name: &str, value: &str) -> String {
    format!("pg_catalog.set_config({}, {value}, true)", quote(name))
}

fn sql_function<'a>(name: &'a str, returns: &'a str, doc: &'a str, body: String) -> Function<'a> {
    Function {
        kind: Kind::Function,
        name,
        arguments: "",
        returns,
        attributes: "language sql stable parallel safe",
        definer: None,
        callers: Vec::new(),
        doc,
        body,
    }
}

fn reader(model: &Model, role: &Role) -> Object {
    let (roles, name, setting) = (Roles(&model.app), snake(&role.name), quote(&setting(role)));
    let current = format!("pg_catalog.current_setting({setting}, true)");
    let doc = format!("The caller's role {}.", role.name);
    if role.scopes.is_empty() {
        let body = format!("  select coalesce({current}, '') = '1'");
        sql_function(&format!("sec.is_{name}"), "boolean", &doc, body).object(roles)
    } else {
        let body = format!("  select coalesce(nullif({current}, ''), '{{}}')::pg_catalog.uuid[]");
        sql_function(&format!("sec.scopes_{name}"), "uuid[]", &doc, body).object(roles)
    }
}

/// The scopes of a role as text: finding one id in a text is cheaper than converting all of them to an array.
fn held_text(model: &Model, role: &Role) -> Object {
    let setting = quote(&setting(role));
    let body = format!("  select coalesce(pg_catalog.current_setting({setting}, true), '')");
    let name = format!("sec.held_{}", snake(&role.name));
    let doc = format!(
        "The scopes in which the caller holds {}, as text.",
        role.name
    );
    sql_function(&name, "text", &doc, body).object(Roles(&model.app))
}

fn facts(model: &Model) -> Object {
    let held: Vec<String> = (model.roles.iter())
        .map(|role| {
            let reader = if role.scopes.is_empty() {
                "is"
            } else {
                "scopes"
            };
            format!(
                "{}, to_jsonb(sec.{reader}_{}())",
                quote(&role.name),
                snake(&role.name)
            )
        })
        .collect();
    let body = format!(
        "  select jsonb_build_object('user', sec.uid(), 'roles', jsonb_build_object(\n    {}\n  ))",
        held.join(",\n    ")
    );
    sql_function("sec.facts", "jsonb", "The caller's id and roles.", body).object(Roles(&model.app))
}

fn performed_role(model: &Model) -> Object {
    let held: Vec<String> = (model.roles.iter())
        .map(|role| {
            let name = snake(&role.name);
            let test = if role.scopes.is_empty() {
                format!("sec.is_{name}()")
            } else {
                // Compared as text, because reading fifty ids would cost more than writing the row.
                format!("sec.held_{name}() not in ('', '{{}}')")
            };
            format!("case when {test} then {} end", quote(&role.name))
        })
        .collect();
    let held = if held.is_empty() {
        "null".to_owned()
    } else {
        held.join(",\n      ")
    };
    let body = format!(
        "  select case\n    when sec.job() is not null then 'job:' || sec.job()\n    \
         when sec.uid() is null then 'anonymous'\n    \
         else coalesce(nullif(concat_ws(' ',\n      {held}), ''), 'user')\n  end"
    );
    sql_function(
        "sec.performed_role",
        "text",
        "The caller's roles, or the module of a job, for the audit log.",
        body,
    )
    .object(Roles(&model.app))
}

fn enter(model: &Model) -> Object {
    let roles = Roles(&model.app);
    let body = format!(
        "declare\n{}begin\n  if p_user is not null then\n{}  end if;\n{}  perform\n    {};\nend",
        variables(model),
        account(model),
        held(model),
        settings(model).join(",\n    "),
    );
    Function {
        kind: Kind::TableFunction,
        name: "sec.enter",
        arguments: "p_user uuid, p_session uuid, p_action text, p_request uuid",
        returns: "void",
        attributes: "language plpgsql",
        definer: Some(roles.authz()),
        callers: vec![roles.app()],
        doc: "Sets the caller of a request and the caller's roles, until the transaction ends.",
        body,
    }
    .object(roles)
}

fn raise(indent: usize, condition: &str, message: &str) -> String {
    let pad = " ".repeat(indent);
    format!(
        "{pad}if {condition} then\n{pad}  raise exception '{message}' using errcode = '28000';\n{pad}end if;\n"
    )
}

/// Checks account and session in one query, since either may have ended without the other.
fn account(model: &Model) -> String {
    let identity = &model.entities[model.identity];
    let status = if identity.lifecycle == Lifecycle::SoftDelete {
        "u.status"
    } else {
        "'active'"
    };
    let sessions = model.sessions.map(|id| session(model, id));
    let (column, into) = match &sessions {
        Some(condition) => (format!(", {condition}"), ", v_in_session"),
        None => (String::new(), ""),
    };
    format!(
        "    select {status}{column} into v_status{into}\n    from {} u where u.id = p_user;\n{}{}{}",
        names::table(identity),
        raise(
            4,
            "v_status is null or v_status = 'archived'",
            "account_unknown"
        ),
        raise(4, "v_status <> 'active'", "account_suspended"),
        sessions.map_or(String::new(), |_| raise(
            4,
            "not v_in_session",
            "session_revoked"
        )),
    )
}

fn session(model: &Model, id: EntityId) -> String {
    let sessions = &model.entities[id];
    format!(
        "p_session is null or exists (\n      select 1 from {} s\n      \
         where s.id = p_session and s.{} = p_user and s.revoked_at is null\n    )",
        names::table(sessions),
        person(model, sessions).id_column(),
    )
}

/// Local variables of `sec.enter` and `sec.enter_job`.
fn variables(model: &Model) -> &'static str {
    match model.sessions {
        Some(_) => "  v_status text;\n  v_in_session boolean;\n  v_held record;\n",
        None => "  v_status text;\n  v_held record;\n",
    }
}

/// The condition for a role assignment to count. During a restore, assignments that were archived together with their
/// scope count too, because otherwise nobody whose role is for that scope could restore it. Assignments that were
/// revoked don't count.
fn live(model: &Model, assignments: &Entity) -> &'static str {
    let goes_with_scope = columns::goes_along(model, assignments)
        && assignments
            .relation("scope")
            .is_some_and(Relation::cascades);
    match (assignments.lifecycle, goes_with_scope) {
        (Lifecycle::SoftDelete, true) => {
            "\n    and (a.status = 'active' or (p_action = 'restore' and a.status = 'archived' and a.archived_with = a.scope_id))"
        }
        (Lifecycle::SoftDelete, false) => " and a.status = 'active'",
        _ => "",
    }
}

fn held(model: &Model) -> String {
    let assignments = &model.entities[model.assignments];
    let live = format!("{}{}", live(model, assignments), counted(model, "a"));
    let columns: Vec<String> = (model.roles.iter())
        .map(|role| {
            let (name, value) = (snake(&role.name), quote(&model.role_value(role)));
            if role.scopes.is_empty() {
                format!("coalesce(bool_or(a.role = {value}), false) as {name}")
            } else {
                // Built as text for a setting, since an array would only be converted to text.
                format!("coalesce('{{' || string_agg(a.scope_id::text, ',') filter (where a.role = {value}) || '}}', '{{}}') as {name}")
            }
        })
        .collect();
    if columns.is_empty() {
        return String::new();
    }
    format!(
        "  select\n    {}\n  into v_held\n  from {} a\n  where a.{} = p_user{live};\n",
        columns.join(",\n    "),
        names::table(assignments),
        person(model, assignments).id_column(),
    )
}

fn settings(model: &Model) -> Vec<String> {
    let mut found = vec![
        set("app.user_id", "coalesce(p_user::text, '')"),
        set("app.session_id", "coalesce(p_session::text, '')"),
        set("app.action", "coalesce(p_action, '')"),
        set("app.request_id", "coalesce(p_request::text, '')"),
        set(
            "app.archived",
            "case when p_action in ('archive', 'restore') then '1' else '' end",
        ),
    ];
    let others = ["reason", "created", "changed", "stayed", "job"];
    found.extend(others.map(|name| set(&format!("app.{name}"), "''")));
    found.extend(held_settings(model));
    found
}

fn held_settings(model: &Model) -> impl Iterator<Item = String> + '_ {
    model.roles.iter().map(|role| {
        let name = snake(&role.name);
        let value = if role.scopes.is_empty() {
            format!("case when v_held.{name} then '1' else '' end")
        } else {
            format!("v_held.{name}")
        };
        set(&setting(role), &value)
    })
}

fn is_active(model: &Model) -> Object {
    let roles = Roles(&model.app);
    let identity = &model.entities[model.identity];
    let status = if identity.lifecycle == Lifecycle::SoftDelete {
        " and u.status = 'active'"
    } else {
        ""
    };
    Function {
        kind: Kind::TableFunction,
        name: "sec.is_active",
        arguments: "p_user uuid",
        returns: "boolean",
        attributes: "language plpgsql stable",
        definer: Some(roles.authz()),
        callers: vec![roles.job()],
        doc: "Whether the account is active now. Checked before a job works on behalf of a member.",
        body: format!(
            "begin\n  return exists (select 1 from {} u where u.id = p_user{status});\nend",
            names::table(identity)
        ),
    }
    .object(roles)
}

/// `sec.enter_job`: a module acts on behalf of a member only while account and session are active. The member's roles
/// give the module no access, because its policies depend on the module's name; they are set for the questions that
/// the module asks about rules.
fn enter_job(model: &Model) -> Object {
    let roles = Roles(&model.app);
    let mut settings = vec![
        set("app.job", "p_job"),
        set("app.user_id", "coalesce(p_user::text, '')"),
        set("app.session_id", "coalesce(p_session::text, '')"),
        set("app.request_id", "coalesce(p_request::text, '')"),
    ];
    settings.extend(
        [
            "action", "archived", "reason", "created", "changed", "stayed",
        ]
        .map(|s| set(&format!("app.{s}"), "''")),
    );
    settings.extend(held_settings(model));
    let body = format!(
        "declare\n  p_action constant text := '';\n{}begin\n  if p_user is not null then\n{}  end if;\n{}  perform\n    {};\nend",
        variables(model),
        account(model),
        held(model),
        settings.join(",\n    "),
    );
    Function {
        kind: Kind::TableFunction,
        name: "sec.enter_job",
        arguments: "p_job text, p_user uuid, p_session uuid, p_request uuid",
        returns: "void",
        attributes: "language plpgsql",
        definer: Some(roles.authz()),
        callers: vec![roles.job()],
        doc: "Sets the module of a job, until the transaction ends: policies depend on the module's name.",
        body,
    }
    .object(roles)
}

/// Only definer functions call this function.
fn hold(model: &Model) -> Object {
    let roles = Roles(&model.app);
    let settings: Vec<String> = held_settings(model).collect();
    Function {
        kind: Kind::TableFunction,
        name: "sec.hold",
        arguments: "p_user uuid, p_action text",
        returns: "void",
        attributes: "language plpgsql",
        definer: Some(roles.authz()),
        callers: Vec::new(),
        doc: "Sets the roles of a member that count for this action.",
        body: format!(
            "declare\n  v_held record;\nbegin\n{}  perform\n    {};\nend",
            held(model),
            settings.join(",\n    "),
        ),
    }
    .object(roles)
}
