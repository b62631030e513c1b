//! Modules: what their jobs may read and write, independently of the access rules for members.

use super::{
    cases,
    guards::written_columns,
    names::{self, Roles},
    object::{on_columns, policy, quote, quoted_list, trigger, trigger_function},
    predicate::{Sql, all, any, atom},
};
use crate::model::{Entity, EntityId, Lifecycle, Model, Module};
use crate::objects::Object;

/// Names of the modules that may read an entity; a module that writes an entity may read it.
pub fn readers(model: &Model, id: EntityId) -> Vec<String> {
    modules(
        model,
        |m, own| own || m.reads.contains(&id) || m.writes.contains(&id),
        id,
    )
}

/// What one module writes of an entity.
struct Written {
    module: String,
    /// Columns that the module gives new rows. `None`: it creates no rows.
    create: Option<Vec<String>>,
    update: Vec<String>,
    /// The module writes all writable columns, and deletes rows where they may be deleted.
    whole: bool,
}

/// Whether modules may delete rows: of internal entities, except where rows are only ever added and in the audit log, which
/// are a history.
fn is_deleted_from(entity: &Entity) -> bool {
    entity.internal && (entity.lifecycle != Lifecycle::AppendOnly || !entity.audit)
}

/// Privileges of the job role: what its modules write together.
pub fn privileges(model: &Model, id: EntityId) -> Vec<String> {
    let written = written(model, id);
    let all = written_columns(model, id);
    let mut privileges = Vec::new();
    if !readers(model, id).is_empty() {
        privileges.push("select".to_owned());
    }
    if written.iter().any(|w| w.create.is_some()) {
        let made = union(&all, written.iter().flat_map(|w| &w.create));
        let with_key: Vec<String> = std::iter::once("id".to_owned()).chain(made).collect();
        privileges.extend(on_columns("insert", &with_key));
    }
    let changed = union(&all, written.iter().map(|w| &w.update));
    privileges.extend(on_columns("update", &changed));
    if is_deleted_from(&model.entities[id]) && written.iter().any(|w| w.whole) {
        privileges.push("delete".into());
    }
    privileges
}

/// Privileges belong to the job role and not to single modules, so if modules write different columns, a trigger
/// limits each module to its own.
pub fn guard(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let written = written(model, id);
    let all = written_columns(model, id);
    let (mut made, mut changed) = (String::new(), String::new());
    let every_create = union(&all, written.iter().flat_map(|w| &w.create));
    let every_update = union(&all, written.iter().map(|w| &w.update));
    for module in written.iter().filter(|w| !w.whole) {
        let of_others = |every: &[String], own: &[String]| -> Vec<String> {
            every.iter().filter(|c| !own.contains(c)).cloned().collect()
        };
        if let Some(own) = &module.create {
            let wrong = any(of_others(&every_create, own)
                .iter()
                .map(|c| is_set(entity, c)));
            made.push_str(&held(&module.module, wrong));
        }
        let others = of_others(&every_update, &module.update);
        changed.push_str(&held(&module.module, cases::changed(entity, &others)));
    }
    let when = |event: String, text: String| (!text.is_empty()).then_some((event, text));
    let events = [
        when("insert".into(), made),
        when(format!("update of {}", every_update.join(", ")), changed),
    ];
    events
        .into_iter()
        .flatten()
        .flat_map(|(event, text)| guard_of(model, id, &event, text))
        .collect()
}

pub fn policies(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let (role, table) = (Roles(&model.app).job(), names::table(entity));
    let is_one_of =
        |names: &[String]| Some(format!("(select sec.job() in ({}))", quoted_list(names)));
    let name = |command: &str| format!("{}_job_{command}", entity.plural);
    let readers = readers(model, id);
    let mut found = Vec::new();
    if !readers.is_empty() {
        found.push(policy(
            &table,
            &name("select"),
            "select",
            &role,
            is_one_of(&readers),
            None,
        ));
    }
    let written = written(model, id);
    let those = |test: fn(&Written) -> bool| -> Option<String> {
        let names: Vec<String> = (written.iter().filter(|w| test(w)))
            .map(|w| w.module.clone())
            .collect();
        (!names.is_empty()).then(|| is_one_of(&names)).flatten()
    };
    if let Some(test) = those(|w| w.create.is_some()) {
        let name = name("insert");
        found.push(policy(&table, &name, "insert", &role, None, Some(test)));
    }
    if let Some(test) = those(|w| !w.update.is_empty()) {
        let (name, check) = (name("update"), Some(test.clone()));
        found.push(policy(&table, &name, "update", &role, Some(test), check));
    }
    if is_deleted_from(entity)
        && let Some(test) = those(|w| w.whole)
    {
        let name = name("delete");
        found.push(policy(&table, &name, "delete", &role, Some(test), None));
    }
    found
}

/// What each module writes of this entity, as columns.
fn written(model: &Model, id: EntityId) -> Vec<Written> {
    let entity = &model.entities[id];
    let all = written_columns(model, id);
    let columns = |names: &[String]| -> Vec<String> {
        let chosen = names.iter().flat_map(|name| columns_of(entity, name));
        chosen.collect()
    };
    let found = model.modules.iter().enumerate();
    found
        .filter(|(i, m)| entity.module == Some(*i) || m.writes.contains(&id))
        .map(|(_, m)| {
            let narrowed = m.narrowed(id);
            Written {
                module: m.name.clone(),
                create: match narrowed {
                    None => Some(all.clone()),
                    Some(narrowed) => narrowed.create.as_deref().map(columns),
                },
                update: match narrowed {
                    _ if entity.lifecycle == Lifecycle::AppendOnly => Vec::new(),
                    None => all.clone(),
                    Some(narrowed) => columns(&narrowed.update),
                },
                whole: narrowed.is_none(),
            }
        })
        .collect()
}

/// The columns of a name in the spec: a field is one column; a relation has one for its id and possibly one for its
/// type.
fn columns_of(entity: &Entity, name: &str) -> Vec<String> {
    match entity.relation(name) {
        Some(relation) => relation
            .type_column()
            .into_iter()
            .chain([relation.id_column()])
            .collect(),
        None => vec![name.to_owned()],
    }
}

/// The columns of all parts, each once, in the order of the table.
fn union<'w>(all: &[String], parts: impl Iterator<Item = &'w Vec<String>>) -> Vec<String> {
    let named: Vec<&String> = parts.flatten().collect();
    all.iter().filter(|c| named.contains(c)).cloned().collect()
}

fn guard_of(model: &Model, id: EntityId, event: &str, text: String) -> [Object; 2] {
    let (roles, table) = (Roles(&model.app), names::table(&model.entities[id]));
    let kind = event.split(' ').next().unwrap_or_default();
    let function = format!("{table}_module_{kind}");
    let doc = "Restricts each module to the columns that it declares to write.";
    let body = format!("begin\n{text}  return new;\nend");
    let when = format!(
        "before {event} on {table}\n  for each row when (current_user = {})\n  execute function {function}()",
        quote(&roles.job()),
    );
    let name = format!("{}_module_{kind}", model.entities[id].plural);
    [
        trigger_function(roles, &table, &function, None, doc, body),
        trigger(&table, &name, &when),
    ]
}

fn held(module: &str, wrong: Sql) -> String {
    if wrong == Sql::False {
        return String::new();
    }
    let wrong = all([atom(format!("sec.job() = {}", quote(module))), wrong]).block(6);
    format!(
        "  if {wrong} then\n    raise exception 'not written by the module {module}' using errcode = '42501';\n  end if;\n"
    )
}

/// The condition that the column has another value than it has by default in a new row.
fn is_set(entity: &Entity, column: &str) -> Sql {
    let value = cases::plain(entity, "new", column);
    match entity.field(column).and_then(|f| f.default.as_ref()) {
        Some(default) => atom(format!("{value} <> {}", super::rules::literal(default))),
        None => atom(format!("{value} is not null")),
    }
}

fn modules(model: &Model, test: impl Fn(&Module, bool) -> bool, id: EntityId) -> Vec<String> {
    let owner = model.entities[id].module;
    let found = model
        .modules
        .iter()
        .enumerate()
        .filter(|(i, m)| test(m, owner == Some(*i)));
    found.map(|(_, m)| m.name.clone()).collect()
}
