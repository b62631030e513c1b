//! Finds names that two parts of a spec would share in the generated code: of a type, a statement, a table, a
//! function.
//!
//! All of them are in one register. PostgreSQL, Rust and the API document would report only some of these clashes, and
//! later; of two functions with the same name, the second would silently be replaced by the first.

use crate::diag::{Collector, Diagnostic, Diagnostics, Sources, Span};
use crate::emit::entity::{statics, types};
use crate::emit::schema::names::snake;
use crate::emit::{self, hooks, openapi, schema};
use crate::model::{Derived, Entity, EntityId, Lifecycle, Model, Ty};
use crate::names::{pascal, types as engine_types};
use crate::objects::{Kind, Object};
use crate::resolve::{Part, Resolved};
use std::collections::{BTreeMap, HashMap, HashSet};

pub fn check(
    resolved: &Resolved,
    objects: &[Object],
    has_messages: bool,
    sources: &Sources,
) -> Result<(), Diagnostics> {
    let errors = Collector::default();
    let register = Register {
        resolved,
        errors: &errors,
        taken: HashMap::new(),
        refused: HashSet::new(),
    };
    register.fill(objects, has_messages);
    errors.finish(sources)
}

/// The part of the spec that a name belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Owner<'a> {
    Entity(EntityId),
    Object(&'a str),
    /// A name that every application has.
    Engine,
}

struct Taken<'a> {
    by: Owner<'a>,
    /// The definition. If two are equal, they are one object that is needed for two reasons.
    text: String,
}

struct Register<'a> {
    resolved: &'a Resolved,
    errors: &'a Collector,
    /// The names in use, by the space in which they must be unique, and the name.
    taken: HashMap<(String, String), Taken<'a>>,
    /// Names for which a clash between two parts of one owner has been reported.
    refused: HashSet<String>,
}

impl<'a> Register<'a> {
    fn fill(mut self, objects: &[Object], has_messages: bool) {
        let resolved = self.resolved;
        let model = &resolved.model;
        for path in emit::of_application(has_messages) {
            self.put(FILE, path.to_owned(), Owner::Engine, "");
        }
        for name in openapi::common_schemas() {
            self.put(SCHEMA, name, Owner::Engine, "");
        }
        for path in ENGINES {
            self.put(PATH, format!("/{path}"), Owner::Engine, "");
        }
        self.put(HOOKS, hooks::wrapper("App"), Owner::Engine, "");
        for object in &model.objects {
            let by = Owner::Object(&object.name);
            let name = pascal(&object.name);
            self.put(SCHEMA, format!("Patch{name}"), by, &object.name);
            self.put(SCHEMA, name, by, &object.name);
            for field in &object.fields {
                if matches!(field.ty, Ty::Enum { .. } | Ty::States { .. }) {
                    let name = types::enum_name_of(&object.name, &field.name);
                    self.put(SCHEMA, name, by, &format!("{} {}", object.name, field.name));
                }
            }
        }
        let shared = "Rust type in the file of objects";
        for name in ["Status", "Role", SELF] {
            self.put(shared, name.to_owned(), Owner::Engine, "");
        }
        for object in &model.objects {
            let enums = (object.fields.iter())
                .filter(|field| matches!(field.ty, Ty::Enum { .. } | Ty::States { .. }))
                .map(|field| types::enum_name_of(&object.name, &field.name));
            for (n, name) in [pascal(&object.name)].into_iter().chain(enums).enumerate() {
                let text = format!("{} {n}", object.name);
                self.put(shared, name, Owner::Object(&object.name), &text);
            }
        }
        for (id, entity) in model.entities.iter().enumerate() {
            self.rust(id, entity);
            self.document(id);
            self.columns(id);
        }
        self.database(objects);
    }

    fn database(&mut self, objects: &[Object]) {
        let mut tables = tables(&self.resolved.model);
        let mut named = HashSet::new();
        for object in objects {
            let table = object.table.as_ref().unwrap_or(&object.name);
            let owners = tables.get_mut(table);
            let by = owners
                .as_ref()
                .map_or(Owner::Engine, |ids| Owner::Entity(ids[0]));
            let is_table = object.kind == Kind::Table;
            // Of two tables with one name, the name is reported and not all that is in them as well.
            let is_second = is_table && !named.insert(&object.name);
            let all = if is_second { 1 } else { usize::MAX };
            for (space, name) in spaces(object).into_iter().take(all) {
                self.put(space, name, by, &object.create);
            }
            if is_table && !is_second {
                let space = format!("column of the table `{}`", object.name);
                let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
                for column in &object.columns {
                    let count = seen.entry(&column.name).or_default();
                    *count += 1;
                    let text = format!("{} {count}", object.create);
                    self.put(&space, column.name.clone(), by, &text);
                }
                // The tables come in the order of their entities.
                if let Some(ids) = owners.filter(|ids| ids.len() > 1) {
                    ids.remove(0);
                }
            }
        }
    }

    fn rust(&mut self, id: EntityId, entity: &Entity) {
        let model = &self.resolved.model;
        self.put(
            FILE,
            emit::entity::path(entity),
            Owner::Entity(id),
            &entity.name,
        );
        let file = |what: &str| format!("{what} of `{}`", entity.name);
        let name = pascal(&entity.name);
        let mut names = vec![name.clone()];
        names.extend(
            entity
                .access
                .create
                .is_some()
                .then(|| format!("Create{name}")),
        );
        names.extend(
            entity
                .access
                .update
                .is_some()
                .then(|| format!("Update{name}")),
        );
        names.extend((entity.lifecycle == Lifecycle::SoftDelete).then(|| "Status".to_owned()));
        names.extend(types::enum_names(entity));
        let mut objects: Vec<usize> = (entity.fields.iter())
            .filter_map(|field| match field.ty {
                Ty::Object { object } => Some(object),
                _ => None,
            })
            .collect();
        objects.sort_unstable();
        objects.dedup();
        names.extend(objects.into_iter().map(|o| pascal(&model.objects[o].name)));
        // Each file has a `Status` of its own.
        let taken = engine_types().filter(|name| name != "Status");
        for name in taken.chain([SELF.to_owned()]) {
            self.put(&file("Rust type in the file"), name, Owner::Engine, "");
        }
        for (n, name) in names.into_iter().enumerate() {
            self.put(
                &file("Rust type in the file"),
                name,
                Owner::Entity(id),
                &n.to_string(),
            );
        }
        for (n, name) in statics(model, id).into_iter().enumerate() {
            self.put(
                &file("Rust static in the file"),
                name,
                Owner::Entity(id),
                &n.to_string(),
            );
        }
        if !entity.hooks.is_empty() {
            let name = hooks::wrapper(&pascal(&entity.name));
            self.put(HOOKS, name, Owner::Entity(id), &entity.name);
        }
        for name in hooks::methods(entity) {
            self.put("method of the hooks", name, Owner::Entity(id), &entity.name);
        }
    }

    fn document(&mut self, id: EntityId) {
        let model = &self.resolved.model;
        let entity = &model.entities[id];
        if !entity.internal {
            let path = format!("/{}", entity.plural.replace('_', "-"));
            self.put(PATH, path, Owner::Entity(id), &entity.name);
        }
        for (n, name) in openapi::schemas_of(model, id).into_iter().enumerate() {
            let text = format!("{} {n}", model.entities[id].name);
            self.put(SCHEMA, name, Owner::Entity(id), &text);
        }
        for (n, name) in openapi::operation_ids(model, id).into_iter().enumerate() {
            self.put(
                "operation of the API document",
                name,
                Owner::Entity(id),
                &n.to_string(),
            );
        }
    }

    /// The columns of a row and of its counters, which statements and answers join, wherever a counter is kept.
    fn columns(&mut self, id: EntityId) {
        let model = &self.resolved.model;
        let table = format!("column of the table `{}`", model.entities[id].plural);
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for column in schema::columns(model, id)
            .into_iter()
            .chain(schema::columns_apart(model, id))
        {
            let count = seen.entry(column.name.clone()).or_default();
            *count += 1;
            self.put(&table, column.name, Owner::Entity(id), &count.to_string());
        }
    }

    fn put(&mut self, space: &str, name: String, by: Owner<'a>, text: &str) {
        let key = (space.to_owned(), name);
        match self.taken.get(&key) {
            Some(other) if other.text == text => {}
            // Two parts of one owner with the same name clash in every space, which is reported once.
            Some(other) if other.by == by && !self.refused.insert(key.1.clone()) => {}
            Some(other) => self.refuse(&key, other.by, by),
            None => {
                let text = text.to_owned();
                self.taken.insert(key, Taken { by, text });
            }
        }
    }

    fn refuse(&self, (space, name): &(String, String), one: Owner, two: Owner) {
        let (Some((first, _)), Some((last, place))) = (self.told(one), self.told(two)) else {
            // The first one is the engine's, because the engine's names are registered first.
            let Some((last, place)) = self.told(two) else {
                // Of two objects with one name, the second one would be left out without a word.
                let message = format!(
                    "two parts of the application would share a name: the {space} `{name}`"
                );
                let diagnostic = Diagnostic::without_place(message);
                self.errors
                    .push(diagnostic.help("give the one in spec/sql another name"));
                return;
            };
            self.errors.push(
                Diagnostic::at(
                    place,
                    format!(
                        "{last} would take a name that every application has: the {space} `{name}`"
                    ),
                )
                .help("choose a longer name"),
            );
            return;
        };
        let diagnostic = if one == two {
            let parts = self.parts_in(one, name);
            let at = parts.last().map_or(place, |(_, at)| *at);
            let message = format!("two parts of {last} would share a name: the {space} `{name}`");
            let words: Vec<&str> = parts.iter().map(|(word, _)| word.as_str()).collect();
            let help = match words.is_empty() {
                true => "rename one of the two that the name is made of".to_owned(),
                false => format!("rename {}", words.join(" or ")),
            };
            Diagnostic::at(at, message).help(help)
        } else {
            let diagnostic = Diagnostic::at(
                place,
                format!("{first} and {last} would share a name: the {space} `{name}`"),
            );
            let other = self.told(one).map(|(_, place)| place);
            let diagnostic = match other {
                Some(other) => diagnostic.also(other, "the other"),
                None => diagnostic,
            };
            diagnostic.help("rename one of the two, or what in them the name is made of")
        };
        self.errors.push(diagnostic);
    }

    /// The parts of an entity that the shared name is probably made of: those whose words are among its words.
    fn parts_in(&self, owner: Owner, name: &str) -> Vec<(String, Span)> {
        let Owner::Entity(id) = owner else {
            return Vec::new();
        };
        let Resolved { model, places } = self.resolved;
        let entity = &model.entities[id];
        let bare = |word: &str| word.replace(['_', '-'], "");
        // `getGig`, `app.gigs_ends_at_check`
        let last = name.rsplit('.').next().unwrap_or(name);
        let last = match last.chars().any(char::is_lowercase) {
            true => snake(last),
            false => last.to_lowercase(),
        };
        let words: Vec<&str> = last.split(['_', '-']).collect();
        let holds = |word: &str| {
            (0..words.len())
                .any(|from| (from..words.len()).any(|to| words[from..=to].concat() == bare(word)))
        };
        let mut found: Vec<(Part, &str, &String)> =
            parts(entity).filter(|(_, _, word)| holds(word)).collect();
        // Of `end` and `end_at`, the longer one is meant.
        let longest = found.iter().map(|(_, _, word)| bare(word).len()).max();
        found.retain(|(_, _, word)| Some(bare(word).len()) == longest);
        let told = |(part, kind, word): (Part, &str, &String)| {
            (format!("the {kind} `{word}`"), places.of(id, part, word))
        };
        found.into_iter().map(told).collect()
    }

    fn told(&self, owner: Owner) -> Option<(String, Span)> {
        let Resolved { model, places } = self.resolved;
        match owner {
            Owner::Entity(id) => Some((
                format!("`{}`", model.entities[id].name),
                places.of(id, Part::Entity, ""),
            )),
            Owner::Object(name) => Some((
                format!("the object `{name}`"),
                places.of_app(&format!("objects.{name}")),
            )),
            Owner::Engine => None,
        }
    }
}

/// The parts of an entity that names are made of, each with what it is called.
fn parts(entity: &Entity) -> impl Iterator<Item = (Part, &'static str, &String)> {
    let fields = (entity.fields.iter()).map(|f| (Part::Field, "field", &f.name));
    let relations = (entity.belongs.iter()).map(|r| (Part::Relation, "relation", &r.name));
    let has = (entity.has.iter()).map(|h| (Part::Has, "`has`", &h.name));
    let derived = (entity.derived.iter()).map(|d| (Part::Derived, "derived value", &d.name));
    let checks = (entity.checks.iter()).map(|c| (Part::Check, "check", &c.name));
    let keeps = (entity.keeps.iter()).map(|k| (Part::Keep, "`keep`", &k.name));
    let verbs = (entity.transitions.iter()).map(|t| (Part::Transition, "transition", &t.name));
    let columns = fields.chain(relations).chain(has).chain(derived);
    columns.chain(checks).chain(keeps).chain(verbs)
}

/// The entities that each table belongs to: its own, and those whose counters it holds.
fn tables(model: &Model) -> HashMap<String, Vec<EntityId>> {
    let mut tables: HashMap<String, Vec<EntityId>> = HashMap::new();
    for (id, entity) in model.entities.iter().enumerate() {
        let apart = |d: &Derived| schema::is_apart(model, id, d);
        let counters = entity.derived.iter().any(apart);
        let delta = entity.derived.iter().any(|d| d.delta);
        let own = [
            Some(schema::names::table(entity)),
            counters.then(|| schema::counters_table(entity)),
            (counters && delta).then(|| schema::delta_table(entity)),
        ];
        for table in own.into_iter().flatten() {
            tables.entry(table).or_default().push(id);
        }
    }
    tables
}

/// First segments of the paths that the engine serves.
const ENGINES: [&str; 6] = ["docs", "livez", "metrics", "openapi", "problems", "readyz"];

/// A word of Rust where types stand.
const SELF: &str = "Self";

const FILE: &str = "file";
const PATH: &str = "path";
const HOOKS: &str = "Rust type of the hooks";
const SCHEMA: &str = "schema of the API document";

/// The namespaces of PostgreSQL in which an object has a name, and that name.
fn spaces(object: &Object) -> Vec<(&'static str, String)> {
    const RELATION: &str = "table, view or index";
    let own = object.name.clone();
    match object.kind {
        Kind::Table => vec![(RELATION, own.clone()), (RELATION, format!("{own}_pkey"))],
        Kind::View | Kind::Index => vec![(RELATION, own)],
        Kind::Constraint => {
            let has_index = ["\n  unique ", "\n  exclude "]
                .iter()
                .any(|start| object.create.contains(start));
            // `app.events.events_slug_key` is the index `app.events_slug_key`.
            let parts: Vec<&str> = own.split('.').collect();
            let index = match parts.as_slice() {
                [schema, _, name] if has_index => Some((RELATION, format!("{schema}.{name}"))),
                _ => None,
            };
            [("constraint", own)].into_iter().chain(index).collect()
        }
        Kind::ForeignKey => vec![("constraint", own)],
        Kind::Function | Kind::TableFunction => vec![("function of the database", own)],
        Kind::Trigger => vec![("trigger", own)],
        Kind::Policy => vec![("policy", own)],
        Kind::Role | Kind::Schema | Kind::Extension | Kind::Grant => Vec::new(),
    }
}
