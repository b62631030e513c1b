//! Documents for full-text search. `search.<plural>` holds the words of each row that may be public, in a table of its
//! own, and `search.<plural>__hidden` those of all other rows except archived ones.
//!
//! A trigger writes a document only when a searched text changes, or when the answer changes to whether the row may be
//! public. The table itself has no index over texts, so its other changes cost nothing here. Only two functions read
//! documents: `app.<plural>_search` returns ids of rows in the public projection, and `app.<plural>_search_own` ids of
//! rows that the caller may see, among those that [`super::own`] finds.

use super::{
    columns::{columns, derived_columns},
    names::{self, Roles},
    object::{Function, object, on_table, trigger, trigger_function},
    own,
    predicate::{Sql, all, atom},
    rules::{Context, Scope},
    seen, template,
    visible::visible,
};
use crate::model::{Entity, EntityId, Expr, Field, Lifecycle, Model, OfWhat, Relation, Ty};
use crate::objects::{Kind, Object};

/// Texts up to this length are names, in which searches find parts of words too.
const NAME_LENGTH: u32 = 300;

/// Functions that create documents, shared by all entities.
pub fn shared(model: &Model) -> Vec<Object> {
    let text = include_str!("../sql/search.sql");
    template::functions(text, &model.app, Kind::Function)
}

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    if !searched(&model.entities[id]) {
        return Vec::new();
    }
    let documents = Documents {
        model,
        id,
        entity: &model.entities[id],
    };
    let mut found = vec![
        documents.table(),
        documents.hidden_table(),
        documents.newest(),
        documents.found(),
        documents.search(),
        documents.search_own(),
        own::function(model, id),
    ];
    found.extend(documents.triggers());
    found
}

pub fn searched(entity: &Entity) -> bool {
    !entity.internal && entity.fields.iter().any(|f| f.search)
}

/// Id columns that a search can filter by in its own index: references that never change.
pub fn within(model: &Model, entity: &Entity) -> Vec<String> {
    let mut found = Vec::new();
    for relation in entity.belongs.iter().filter(|r| narrows(r)) {
        found.push(relation.id_column());
        if relation.polymorphic {
            let targets = relation.targets.iter().map(|&t| &model.entities[t]);
            found.extend(targets.map(|t| names::target_column(relation, t)));
        }
    }
    found
}

/// Whether every caller sees what an anonymous caller sees. With a `not` in a rule, some may see less.
pub fn seen_by_all(model: &Model, id: EntityId) -> bool {
    !named_may_refuse(model, id, &OfWhat::Read)
}

fn narrows(relation: &Relation) -> bool {
    !relation.movable && !relation.system && relation.read.is_none()
}

fn may_refuse(model: &Model, id: EntityId, expr: &Expr) -> bool {
    match expr {
        Expr::Not(_) => true,
        Expr::All(parts) | Expr::Any(parts) => parts.iter().any(|p| may_refuse(model, id, p)),
        Expr::Condition(index) => named_may_refuse(model, id, &OfWhat::Condition(*index)),
        Expr::Of { what, .. } => what.iter().any(|(target, what)| {
            named_may_refuse(model, *target, what)
                || named_may_refuse(model, *target, &OfWhat::Read)
        }),
        _ => false,
    }
}

/// Like [`may_refuse`], for a rule by its name. The result is remembered, because many rules refer to the same one.
fn named_may_refuse(model: &Model, id: EntityId, what: &OfWhat) -> bool {
    let entity = &model.entities[id];
    let rule = match what {
        OfWhat::Read => entity.access.read.as_ref(),
        OfWhat::Update => entity.access.update.as_ref(),
        OfWhat::Delete => entity.access.delete.as_ref(),
        OfWhat::Condition(index) => Some(&entity.conditions[*index].expr),
    };
    let find = || rule.is_some_and(|rule| may_refuse(model, id, rule));
    let key = ("may refuse", 0, id, what.clone());
    model.memo.once(key, false, find)
}

struct Documents<'a> {
    model: &'a Model,
    id: EntityId,
    entity: &'a Entity,
}

impl Documents<'_> {
    fn roles(&self) -> Roles<'_> {
        Roles(&self.model.app)
    }

    fn name(&self) -> String {
        format!("search.{}", self.entity.plural)
    }

    /// No entity's name contains two underscores, so this name is free.
    fn hidden(&self) -> String {
        names::fit(format!("search.{}__hidden", self.entity.plural))
    }

    /// The table of documents. Like a view, it can be computed from the entity's table at any time.
    ///
    /// One index answers all conditions of a search together. Eras are its first column, because GIN evaluates
    /// conditions in the order of the columns, each one continuing at the row that the one before has reached.
    fn table(&self) -> Object {
        let (name, table, plural) = (self.name(), names::table(self.entity), &self.entity.plural);
        let index = names::fit(format!("{plural}_document_idx"));
        let create = format!(
            "create table {name} (\n  id uuid not null,\n  document tsvector not null,\n  names text not null,\n  \
             constraint {plural}_pkey primary key (id)\n) with (toast_tuple_target = 128);\n\
             comment on table {name} is 'What can be searched of rows that may be public.';\n\
             alter table {name} alter column document set storage external;\n\
             alter table {name} owner to {owner};\n\
             insert into {name} (id, document, names)\n  select t.id, {document}, {names}\n  from {table} t\n  where {may};\n\
             create index {index} on {name} using gin (sec.eras(id), document, names public.gin_trgm_ops) with (gin_pending_list_limit = 512);",
            owner = self.roles().authz(),
            document = self.document("t"),
            names = self.names("t"),
            may = self.may_be_public("t").line(),
        );
        let drop = format!("drop table {name};");
        on_table(&table, object(Kind::View, name, create, drop))
    }

    /// No index over words, since it is only queried for rows whose ids are known.
    fn hidden_table(&self) -> Object {
        let (name, table) = (self.hidden(), names::table(self.entity));
        let key = names::fit(format!("{}__hidden_pkey", self.entity.plural));
        let condition = all(own::live(self.model, self.id, "t")
            .into_iter()
            .chain([self.is_hidden("t")]));
        let create = format!(
            "create table {name} (\n  id uuid not null,\n  document tsvector not null,\n  names text not null,\n  \
             constraint {key} primary key (id)\n) with (toast_tuple_target = 128);\n\
             comment on table {name} is 'What can be searched of rows that are not public by themselves.';\n\
             alter table {name} alter column document set storage external;\n\
             alter table {name} owner to {owner};\n\
             insert into {name} (id, document, names)\n  select t.id, {document}, {names}\n  from {table} t\n  where {condition};",
            owner = self.roles().authz(),
            document = self.document("t"),
            names = self.names("t"),
            condition = condition.line(),
        );
        let drop = format!("drop table {name};");
        on_table(&table, object(Kind::View, name, create, drop))
    }

    fn is_hidden(&self, alias: &str) -> Sql {
        match self.may_be_public(alias) {
            Sql::True => Sql::False,
            may => atom(format!("({}) is not true", may.line())),
        }
    }

    fn searched(&self) -> impl Iterator<Item = &Field> {
        self.entity.fields.iter().filter(|f| f.search)
    }

    fn texts(&self, alias: &str, only: impl Fn(&Field) -> bool) -> String {
        let texts: Vec<String> = (self.searched().filter(|f| only(f)))
            .map(|f| match f.optional {
                true => format!("coalesce({alias}.{}, '')", f.name),
                false => format!("{alias}.{}", f.name),
            })
            .collect();
        match texts.is_empty() {
            true => "''".into(),
            false => texts.join(" || ' ' || "),
        }
    }

    /// The document. No stemming, since the texts are in many languages. It contains the ids of references as `=<id>`,
    /// which no word of a text can be.
    fn document(&self, alias: &str) -> String {
        let words = format!("sec.words({})", self.texts(alias, |_| true));
        let ids: Vec<String> = (self.entity.belongs.iter().filter(|r| narrows(r)))
            .map(|r| format!("'=' || {alias}.{}", r.id_column()))
            .collect();
        match ids.is_empty() {
            true => words,
            false => format!(
                "{words} || array_to_tsvector(array_remove(array[{}], null))",
                ids.join(", ")
            ),
        }
    }

    /// The names of the row. A blank is put before them so that the first word begins like all others.
    fn names(&self, alias: &str) -> String {
        let is_name = |f: &Field| matches!(f.ty, Ty::Text { max, .. } | Ty::Handle { max, .. } if max <= NAME_LENGTH as _);
        format!("sec.folded(' ' || {})", self.texts(alias, is_name))
    }

    /// The part of the condition for being public that depends on the row alone. The part about other rows is
    /// evaluated by the search.
    fn may_be_public(&self, alias: &str) -> Sql {
        let scope = Scope {
            entity: self.id,
            alias,
            context: Context::Anonymous,
        };
        let derived = derived_columns(self.model, self.id);
        let by_itself = |part: &Sql| {
            let line = part.line();
            let asks = ["select", "now()", "sec.", "current_"];
            !asks.iter().any(|word| line.contains(word))
                && !derived.iter().any(|name| line.contains(name.as_str()))
        };
        let parts = match visible(self.model, scope) {
            Sql::All(parts) => parts,
            other => vec![other],
        };
        all(parts.into_iter().filter(by_itself))
    }

    /// Columns that a document depends on.
    fn columns(&self) -> Vec<String> {
        let may = self.may_be_public("t").line();
        let all = columns(self.model, self.id);
        let named = |name: &str| {
            let column = format!("t.{name}");
            may.match_indices(&column).any(|(at, _)| {
                let next = may[at + column.len()..].chars().next();
                !next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
            })
        };
        let mut found: Vec<String> = self.searched().map(|f| f.name.clone()).collect();
        if self.entity.lifecycle == Lifecycle::SoftDelete {
            found.push("status".into());
        }
        found.extend((self.entity.belongs.iter().filter(|r| narrows(r))).map(Relation::id_column));
        for column in all {
            if named(&column.name) && !found.contains(&column.name) {
                found.push(column.name);
            }
        }
        found
    }

    fn triggers(&self) -> Vec<Object> {
        let (roles, table) = (self.roles(), names::table(self.entity));
        let function = format!("{table}_document");
        let live = own::live(self.model, self.id, "new");
        let body = self.trigger_body(live.as_ref());
        let doc = "Updates the search document of the row.";
        let mut found = vec![trigger_function(
            roles,
            &table,
            &function,
            Some(roles.authz()),
            doc,
            body,
        )];
        let on = |event: &str, when: &str| {
            let name = format!(
                "{}_document_{}",
                self.entity.plural,
                event.split(' ').next().unwrap_or(event)
            );
            let text = format!(
                "after {event} on {table}\n  for each row when ({when}) execute function {function}()"
            );
            trigger(&table, &name, &text)
        };
        found.push(on(
            "insert",
            &live.map_or("true".into(), |live| live.line()),
        ));
        let columns = self.columns();
        let changed: Vec<String> = columns
            .iter()
            .map(|c| format!("new.{c} is distinct from old.{c}"))
            .collect();
        if self.entity.lifecycle != Lifecycle::AppendOnly {
            let event = format!("update of {}", columns.join(", "));
            found.push(on(&event, &changed.join(" or ")));
        }
        found
    }

    /// What the trigger does: it writes the document to one of the two tables, and deletes it from the other.
    fn trigger_body(&self, live: Option<&Sql>) -> String {
        let (name, hidden) = (self.name(), self.hidden());
        let write = |name: &str| {
            format!(
                "insert into {name} as d (id, document, names)\n    values (\n      new.id,\n      {},\n      {}\n    )\n    \
                 on conflict (id) do update set document = excluded.document, names = excluded.names;",
                self.document("new"),
                self.names("new"),
            )
        };
        // A new row has no document to delete yet.
        let forget = |name: &str| {
            format!(
                "if tg_op = 'UPDATE' then\n      delete from {name} where id = new.id;\n    end if;"
            )
        };
        let gone = live.map_or(String::new(), |live| {
            format!(
                "  if not ({}) then\n    delete from {name} where id = new.id;\n    delete from {hidden} where id = new.id;\n    \
                 return null;\n  end if;\n",
                live.line()
            )
        });
        let public = format!("    {}\n    {}\n", forget(&hidden), write(&name));
        match self.may_be_public("new") {
            Sql::True => format!("begin\n{gone}{public}  return null;\nend"),
            may => format!(
                "begin\n{gone}  if {} then\n{public}  else\n    {}\n    {}\n  end if;\n  return null;\nend",
                may.line(),
                forget(&name),
                write(&hidden),
            ),
        }
    }

    fn search(&self) -> Object {
        let body = include_str!("../sql/search_function.sql");
        let function = Function {
            kind: Kind::TableFunction,
            name: &names::search(self.entity),
            arguments: "p_text text, p_half boolean, p_within text[], p_before uuid, p_wanted int",
            returns: "setof uuid",
            attributes: "language plpgsql stable parallel safe rows 100",
            definer: Some(self.roles().authz()),
            callers: vec![self.roles().app()],
            doc: "The newest public rows that contain the words, before `p_before` if given: `p_wanted` of them, or some more.",
            body: self.named(body),
        };
        on_table(&names::table(self.entity), function.object(self.roles()))
    }

    /// Each plan is made without knowing the words: otherwise PostgreSQL would, for a common word, read the rows in
    /// the order of their ids.
    fn newest(&self) -> Object {
        let body = include_str!("../sql/search_newest.sql");
        let function = Function {
            kind: Kind::TableFunction,
            name: &self.function("newest"),
            arguments: "p_words tsquery, p_part text, p_within tsquery, p_before uuid, p_wanted int",
            returns: "uuid[]",
            attributes: "language plpgsql stable parallel safe set plan_cache_mode = force_generic_plan",
            definer: Some(self.roles().authz()),
            callers: Vec::new(),
            doc: "The newest public rows before one that contain words, or a part of a name. The index has no order, so it is searched\n\
                  for one time span after another, from the newest back, with longer spans while little is found. Whether a row is\n\
                  public is checked for the hits only.",
            body: self.named(body),
        };
        on_table(&names::table(self.entity), function.object(self.roles()))
    }

    fn found(&self) -> Object {
        let body = include_str!("../sql/search_found.sql");
        let function = Function {
            kind: Kind::TableFunction,
            name: &self.function("found"),
            arguments: "p_whole tsquery, p_words tsquery, p_within tsquery, p_before uuid, p_wanted int",
            returns: "uuid[]",
            attributes: "language plpgsql stable parallel safe set plan_cache_mode = force_generic_plan",
            definer: Some(self.roles().authz()),
            callers: Vec::new(),
            doc: "The newest public rows before one that contain words. The last word may be incomplete; in `p_whole`, it is complete.",
            body: self.named(body),
        };
        on_table(&names::table(self.entity), function.object(self.roles()))
    }

    /// A function of this entity: `sec.found_events`.
    fn function(&self, what: &str) -> String {
        names::fit(format!("sec.{what}_{}", self.entity.plural))
    }

    /// Fills the names of this entity into a template.
    fn named(&self, text: &str) -> String {
        text.replace("<documents>", &self.name())
            .replace("<hidden>", &self.hidden())
            .replace("<public>", &names::projection(self.entity))
            .replace("<newest>", &self.function("newest"))
            .replace("<found>", &self.function("found"))
    }

    fn search_own(&self) -> Object {
        let (roles, table) = (self.roles(), names::table(self.entity));
        let body = (self.named(include_str!("../sql/search_own.sql")))
            .replace("<own>", &own::name(self.model, self.id))
            .replace("<wide>", &own::wide(self.model, self.id).line())
            .replace(
                "<seen>",
                &seen::name(self.model, "seen", self.id, &OfWhat::Read),
            );
        let function = Function {
            kind: Kind::TableFunction,
            name: &names::search_own(self.entity),
            arguments: "p_text text, p_half boolean, p_within text[], p_before uuid, p_wanted int",
            returns: "setof uuid",
            attributes: "language plpgsql stable parallel safe rows 100",
            definer: Some(roles.authz()),
            callers: vec![roles.app()],
            doc: "The newest rows that contain the words and that the caller sees, but not every caller.\n\
                  Only rows that may be the caller's are searched, so that the time it takes reveals nothing about other rows.",
            body,
        };
        on_table(&table, function.object(roles))
    }
}
