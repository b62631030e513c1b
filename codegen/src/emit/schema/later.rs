//! Archiving, detaching and restoring of children that may be many: in the request as many as fit into its share, the
//! rest by the job `jobs.cascade`, in batches.
//!
//! Only children whose archiving nothing can refuse may follow later: a relation whose `delete` rule has no condition on
//! the row, of an entity to which no rows refer. As long as some are left, the archived parent keeps its `open_key`, to
//! which these children refer instead of its `live_key`; all others are held to live parents at once.

use super::{
    columns::ARCHIVED_WITH,
    names::{self, Roles},
    object::{Function, on_table},
    references::{self, Reference},
    restore, states,
};
use crate::model::{Entity, EntityId, Lifecycle, Model, OnArchive, Relation};
use crate::objects::{Kind, Object};

/// How many children one transaction archives, detaches and restores, of all kinds that may follow later together.
const AT_ONCE: u32 = 1000;

/// The setting with what is left of that number in this transaction.
const LEFT: &str = "app.cascade_left";

/// What becomes of a child when its parent is archived.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    Archive,
    Detach,
}

/// A relation whose children may follow later, with one of its targets.
pub struct Later<'m> {
    child: EntityId,
    relation: &'m Relation,
    deed: Deed,
    column: String,
}

/// Whether a reference may point to an archived row for a while.
pub fn follows(model: &Model, child: EntityId, relation: &Relation, target: EntityId) -> bool {
    deed(model, child, relation, target).is_some()
}

fn deed(model: &Model, child: EntityId, relation: &Relation, target: EntityId) -> Option<Deed> {
    let (id, target) = (child, &model.entities[target]);
    let child = &model.entities[id];
    if !references::is_live(child, relation, target) {
        return None;
    }
    if relation.on_archive == OnArchive::Detach {
        return Some(Deed::Detach);
    }
    // Whoever is archived, or whose session ends, has no rights any more.
    let gives_rights =
        id == model.assignments || id == model.identity || model.sessions == Some(id);
    let waits_for_none = |other: &Relation| {
        let mut targets = other.targets.iter();
        other.on_archive != OnArchive::Restrict
            || targets.all(|&t| !references::is_live(child, other, &model.entities[t]))
    };
    let may = relation.cascades()
        && child.lifecycle == Lifecycle::SoftDelete
        && states::asked(model, id, relation).is_none()
        && !references::has_live_children(model, id)
        && child.keeps.is_empty()
        // Others act on it at once: files of pictures are withdrawn.
        && !child.emits.iter().any(|action| action == "archive")
        && child.belongs.iter().all(waits_for_none)
        && !gives_rights;
    may.then_some(Deed::Archive)
}

/// The relations to this entity whose children may follow later.
pub fn of(model: &Model, id: EntityId) -> Vec<Later<'_>> {
    let target = &model.entities[id];
    let mut found = Vec::new();
    for child in references::children(model, id) {
        let entity = &model.entities[child];
        for Reference { relation, .. } in references::of(model, entity).filter(|r| r.target == id) {
            found.extend(deed(model, child, relation, id).map(|deed| Later {
                child,
                relation,
                deed,
                column: references::column(relation, target),
            }));
        }
    }
    found
}

/// Whether the entity has an `open_key`.
pub fn has_any(model: &Model, id: EntityId) -> bool {
    model.entities[id].lifecycle == Lifecycle::SoftDelete && !of(model, id).is_empty()
}

impl Later<'_> {
    /// The name of the function without its schema: `archive_likes_by_user_id`.
    fn name(&self, model: &Model, verb: &str) -> String {
        let child = &model.entities[self.child].plural;
        names::fit(format!("{verb}_{child}_by_{}", self.column))
    }

    fn away(&self, model: &Model) -> String {
        let verb = match self.deed {
            Deed::Archive => "archive",
            Deed::Detach => "detach",
        };
        self.name(model, verb)
    }

    fn back(&self, model: &Model) -> Option<String> {
        (self.deed == Deed::Archive).then(|| self.name(model, "restore"))
    }
}

/// What the triggers of the parent do at their end. Empty if no children may follow later.
pub fn steps(model: &Model, id: EntityId, verb: &str) -> String {
    let later = of(model, id);
    let names: Vec<String> = match verb {
        "archive" => later.iter().map(|l| l.away(model)).collect(),
        _ => later.iter().filter_map(|l| l.back(model)).collect(),
    };
    if later.is_empty() {
        return String::new();
    }
    let whole: String = names
        .iter()
        .map(|name| format!("  v_whole := sec.{name}(new.id, '{NIL}') is null and v_whole;\n"))
        .collect();
    let table = names::table(&model.entities[id]);
    let (closes, reopen) = match verb {
        "archive" => (
            format!("'{}'", close_name(&model.entities[id])),
            format!("    update {table} set open_key = true where id = new.id;\n"),
        ),
        _ => ("null".to_owned(), String::new()),
    };
    let list: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    let list = list.join(", ");
    format!(
        "{whole}  if v_whole then\n    perform jobs.cascaded(new.id);\n  else\n{reopen}    \
         perform jobs.cascade_later(new.id, array[{list}]::text[], {closes});\n  end if;\n"
    )
}

const NIL: &str = "00000000-0000-0000-0000-000000000000";

fn close_name(entity: &Entity) -> String {
    names::fit(format!("close_{}", entity.plural))
}

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    if !has_any(model, id) {
        return Vec::new();
    }
    let mut found: Vec<Object> = of(model, id)
        .iter()
        .flat_map(|later| functions(model, id, later))
        .collect();
    let (parent, table) = (&model.entities[id], names::table(&model.entities[id]));
    let close = format!(
        "begin\n  perform from {table} t where t.id = p_parent and t.status = 'archived' for update skip locked;\n  \
         if not found then\n    return false;\n  end if;\n  \
         update {table} set open_key = null where id = p_parent;\n  return true;\nend"
    );
    found.push(function(
        model,
        &table,
        &close_name(parent),
        ("p_parent uuid", "boolean"),
        "Called when no live row refers to this archived row any more. False: another transaction has locked it.",
        close,
    ));
    found
}

fn functions(model: &Model, parent: EntityId, later: &Later) -> Vec<Object> {
    let (parent, table) = (&model.entities[parent], &model.entities[later.child]);
    let (parent, table) = (names::table(parent), names::table(table));
    let arguments = ("p_parent uuid, p_after uuid", "uuid");
    let doc = match later.deed {
        Deed::Archive => {
            "Archives children of an archived row after this one, as many as are left to this transaction. Returns the last one, or\nnull if these were all."
        }
        Deed::Detach => {
            "Detaches children from an archived row after this one, as many as are left to this transaction. Returns the last one,\nor null if these were all."
        }
    };
    let mut found = vec![function(
        model,
        &table,
        &later.away(model),
        arguments,
        doc,
        away(&table, later),
    )];
    if let Some(name) = later.back(model) {
        found.push(function(
            model,
            &table,
            &name,
            arguments,
            "Restores children that were archived with a row, beginning after this one, as many as are left to this transaction.\n\
             Returns the last one, or null if these were all.",
            back(model, &parent, &table, later),
        ));
    }
    found
}

const DECLARED: &str = "  v_left integer := coalesce(nullif(pg_catalog.current_setting('app.cascade_left', true), ''), '<most>')::integer;\n";

fn declared() -> String {
    DECLARED.replace("<most>", &AT_ONCE.to_string())
}

fn away(table: &str, later: &Later) -> String {
    let column = &later.column;
    let (set, left) = match later.deed {
        Deed::Archive => (
            format!("status = 'archived', {ARCHIVED_WITH} = p_parent"),
            "c.status <> 'archived'",
        ),
        Deed::Detach => {
            let relation = later.relation;
            let columns = relation.type_column().into_iter();
            let emptied: Vec<String> = columns
                .chain([relation.id_column()])
                .map(|c| format!("{c} = null"))
                .collect();
            (emptied.join(", "), "true")
        }
    };
    let and = |condition: &str, alias: &str| match condition {
        "true" => String::new(),
        condition => format!(" and {}", condition.replace("c.", alias)),
    };
    format!(
        "declare\n{}  v_ids uuid[] := '{{}}';\n  v_last uuid := p_after;\nbegin\n  if v_left > 0 then\n    \
         with gone as (\n      update {table} t set {set}\n      where t.{column} = p_parent{} and t.id in (\n        \
         select c.id from {table} c where c.{column} = p_parent and c.id > p_after{} order by c.id limit v_left\n      )\n      \
         returning t.id\n    )\n    select coalesce(array_agg(g.id order by g.id), '{{}}') into v_ids from gone g;\n    \
         v_last := coalesce(v_ids[cardinality(v_ids)], p_after);\n    \
         perform pg_catalog.set_config('{LEFT}', (v_left - cardinality(v_ids))::text, true);\n  end if;\n  \
         -- Those that have followed already are not read again with every batch.\n  \
         if exists (select from {table} c where c.{column} = p_parent and c.id > v_last{}) then\n    return v_last;\n  end if;\n  \
         return (select '{NIL}'::uuid where exists (select from {table} c where c.{column} = p_parent{}));\nend",
        declared(),
        and(left, "t."),
        and(left, "c."),
        and(left, "c."),
        and(left, "c."),
    )
}

/// A restored child refers to its parent, which a request that archives the parent has locked while it waits for the
/// batch: the batch gives way.
fn back(model: &Model, parent: &str, table: &str, later: &Later) -> String {
    format!(
        "declare\n{}  v_ids uuid[];\nbegin\n  if v_left <= 0 then\n    return p_after;\n  end if;\n  \
         perform from {parent} p where p.id = p_parent for key share skip locked;\n  if not found then\n    \
         raise exception using errcode = 'lock_not_available', message = 'the parent is being changed';\n  end if;\n  \
         v_ids := array(\n    select t.id from {table} t\n    \
         where t.{} = p_parent and t.status = 'archived' and t.{ARCHIVED_WITH} is not null and t.id > p_after\n    \
         order by t.id limit v_left\n  );\n  \
         perform {}(v_ids);\n  \
         perform pg_catalog.set_config('{LEFT}', (v_left - cardinality(v_ids))::text, true);\n  \
         return case when cardinality(v_ids) = v_left then v_ids[v_left] end;\nend",
        declared(),
        later.column,
        restore::name(&model.entities[later.child]),
    )
}

fn function(
    model: &Model,
    table: &str,
    name: &str,
    (arguments, returns): (&str, &str),
    doc: &str,
    body: String,
) -> Object {
    let roles = Roles(&model.app);
    let function = Function {
        kind: Kind::TableFunction,
        name: &format!("sec.{name}"),
        arguments,
        returns,
        attributes: "language plpgsql",
        definer: Some(roles.counter()),
        callers: vec![roles.queue()],
        doc,
        body,
    };
    on_table(table, function.object(roles))
}
