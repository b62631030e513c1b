//! First stage: the names of entities, roles, modules and objects, and what app.yaml says about them.

use super::fields::object_fields;
use super::places::{Part, Places};
use super::{at, entity_id};
use crate::diag::{Collector, Diagnostic};
use crate::model::{Access, Entity, EntityId, Memo, Model, Module, Narrowed, Object, PAGE, Role};
use crate::names;
use crate::phrase::Word;
use crate::spec::{EntitySpec, ModuleSpec, Spec, WriteSpec};

/// A model whose entities have names but no contents yet.
pub fn names(spec: &Spec, places: &mut Places, errors: &Collector) -> Model {
    let app = &spec.app;
    let mut model = Model {
        app: app.app.it.clone(),
        title: app.title.clone(),
        doc: app.doc.clone(),
        identity: 0,
        assignments: 0,
        counted: None,
        sessions: None,
        roles: Vec::new(),
        objects: Vec::new(),
        modules: Vec::new(),
        tags: Vec::new(),
        entities: Vec::new(),
        by_hand: (spec.sql.iter())
            .flat_map(|file| file.objects.iter().cloned())
            .collect(),
        dropped: app.dropped.iter().map(|word| word.it.clone()).collect(),
        memo: Memo::default(),
    };
    entities(&mut model, spec, places, errors);
    model.identity = entity_id(&model, &app.identity, errors).unwrap_or(0);
    model.assignments = entity_id(&model, &app.assignments, errors).unwrap_or(0);
    model.sessions = app
        .sessions
        .as_ref()
        .and_then(|word| entity_id(&model, word, errors));
    places.put_app("identity", app.identity.span);
    places.put_app("assignments", app.assignments.span);
    if let Some(counted) = &app.counted {
        places.put_app("counted", counted.span);
    }
    if let Some(sessions) = &app.sessions {
        places.put_app("sessions", sessions.span);
    }
    for word in &app.dropped {
        places.put_app(&format!("dropped.{}", word.it), word.span);
    }
    for (name, scopes) in &app.roles {
        let scopes = scopes
            .iter()
            .filter_map(|scope| entity_id(&model, scope, errors))
            .collect();
        model.roles.push(Role {
            name: name.it.clone(),
            scopes,
        });
        refuse_role_name(name, errors);
        places.put_app(&format!("roles.{}", name.it), name.span);
    }
    for (name, fields) in &app.objects {
        refuse_object_name(name, errors);
        let fields = object_fields(fields, errors);
        model.objects.push(Object {
            name: name.it.clone(),
            fields,
        });
        places.put_app(&format!("objects.{}", name.it), name.span);
    }
    modules(&mut model, spec, places, errors);
    of_modules(&model, spec, errors);
    tags(&mut model, spec, errors);
    unused(spec, errors);
    model
}

fn entities(model: &mut Model, spec: &Spec, places: &mut Places, errors: &Collector) {
    for (id, entity) in spec.entities.iter().enumerate() {
        let plural = entity
            .plural
            .as_ref()
            .map_or_else(|| names::plural(&entity.name.it), |p| p.it.clone());
        places.put(id, Part::Entity, "", entity.name.span);
        refuse_entity_name(entity, &plural, errors);
        refuse_same_table(model, entity, &plural, errors);
        model.entities.push(Entity {
            name: entity.name.it.clone(),
            plural,
            doc: entity.doc.clone(),
            lifecycle: entity.lifecycle.it,
            module: module(spec, entity, errors),
            internal: entity.internal.is_some(),
            fields: Vec::new(),
            belongs: Vec::new(),
            has: Vec::new(),
            derived: Vec::new(),
            firsts: Vec::new(),
            unique: Vec::new(),
            unique_where: Vec::new(),
            renamed: Vec::new(),
            exclude: Vec::new(),
            index: Vec::new(),
            checks: Vec::new(),
            keeps: Vec::new(),
            transitions: Vec::new(),
            offers: Vec::new(),
            conditions: Vec::new(),
            access: Access {
                read: None,
                create: None,
                update: None,
                delete: None,
                restore: None,
                suspend: None,
            },
            creator: None,
            hooks: Vec::new(),
            emits: Vec::new(),
            page: entity.page.as_ref().map_or(PAGE, |p| p.it),
            quota: entity.quota.as_ref().map(|q| q.it),
            audit: entity.audit_off.is_none(),
            wal: entity.wal_off.is_none(),
            dropped: Vec::new(),
            was: entity.was.as_ref().map(|w| w.it.clone()),
        });
    }
}

fn refuse_same_table(model: &Model, entity: &EntitySpec, plural: &str, errors: &Collector) {
    if let Some(other) = model.entities.iter().find(|e| e.plural == plural) {
        errors.push(
            Diagnostic::at(
                entity.name.span,
                format!(
                    "`{}` and `{}` share the table `{plural}`",
                    other.name, entity.name.it
                ),
            )
            .help("give one of them another `plural:`"),
        );
    }
}

fn module(spec: &Spec, entity: &EntitySpec, errors: &Collector) -> Option<usize> {
    let word = entity.module.as_ref()?;
    let found = spec.app.modules.iter().position(|m| m.name.it == word.it);
    if found.is_none() {
        let known = spec.app.modules.iter().map(|m| m.name.it.as_str());
        errors.push(
            Diagnostic::at(word.span, format!("unknown module `{}`", word.it))
                .help(names::suggest(&word.it, known, "modules")),
        );
    }
    found
}

/// Role names become fields of the record that `sec.enter` reads into.
fn refuse_role_name(name: &Word, errors: &Collector) {
    let word = names::snake(&name.it);
    if names::is_sql_reserved(&word) || names::is_plpgsql_reserved(&word) {
        errors.push(
            Diagnostic::at(
                name.span,
                format!(
                    "`{}` can't be a role: the database has the word for itself",
                    name.it
                ),
            )
            .help(format!("choose a longer name, like `{word}Admin`")),
        );
    }
}

fn refuse_object_name(name: &Word, errors: &Collector) {
    // `role` is the enum beside it.
    if names::is_type_reserved(&name.it) || name.it == "role" {
        errors.push(
            Diagnostic::at(
                name.span,
                format!(
                    "`{}` can't be an object: generated code has a type of this name",
                    name.it
                ),
            )
            .help("choose a longer name, like `opening_rule` for `rule`"),
        );
    }
}

fn refuse_entity_name(entity: &EntitySpec, plural: &str, errors: &Collector) {
    let name = at(&entity.name);
    if names::is_rust_reserved(name.it) || names::pascal(name.it) == "Self" {
        let whose = if names::is_type_reserved(name.it) {
            "generated code has a type of this name"
        } else {
            "Rust has the word for itself"
        };
        errors.push(
            Diagnostic::at(
                name.span,
                format!("`{}` can't be an entity: {whose}", name.it),
            )
            .help("choose a longer name, like `event_type` for `type`"),
        );
    }
    let (word, span) = entity
        .plural
        .as_ref()
        .map_or((plural, name.span), |p| (p.it.as_str(), p.span));
    if names::is_sql_reserved(word) {
        errors.push(
            Diagnostic::at(span, format!("the table `{word}` would need quotes in SQL"))
                .help("choose another `plural:`"),
        );
    }
    // `<plural>_public`, and room for a column's constraints.
    if plural.len() > 40 {
        errors.push(
            Diagnostic::at(
                span,
                format!(
                    "the table name `{plural}` leaves no room for the names of its constraints"
                ),
            )
            .help("choose a shorter name; the plural has 40 letters at most"),
        );
    }
    if let Some(given) = &entity.plural
        && given.it == names::plural(name.it)
    {
        errors.push(
            Diagnostic::at(
                given.span,
                format!("`plural: {}` is what it would be anyway", given.it),
            )
            .help("leave the key out"),
        );
    }
}

/// SQL by hand must belong to a module, and create each object once.
fn of_modules(model: &Model, spec: &Spec, errors: &Collector) {
    let mut seen = std::collections::BTreeSet::new();
    for file in &spec.sql {
        if !model
            .modules
            .iter()
            .any(|module| module.name == file.module)
        {
            let names: Vec<&str> = model.modules.iter().map(|m| m.name.as_str()).collect();
            errors.push(
                Diagnostic::at(file.span, format!("no module is called `{}`", file.module)).help(
                    format!("the file is called after one of: {}", names.join(", ")),
                ),
            );
        }
        for object in &file.objects {
            if !seen.insert((object.kind, object.name.as_str())) {
                let message = format!("`{}` is created twice", object.name);
                errors.push(Diagnostic::at(file.span, message));
            }
        }
    }
}

fn modules(model: &mut Model, spec: &Spec, places: &mut Places, errors: &Collector) {
    // A module may list its own entities for the reader's benefit, although they belong to it anyway.
    let list = |model: &Model, words: &[Word], module: usize| -> Vec<EntityId> {
        let ids = words
            .iter()
            .filter_map(|word| entity_id(model, word, errors));
        ids.filter(|id| model.entities[*id].module != Some(module))
            .collect()
    };
    for (index, module) in spec.app.modules.iter().enumerate() {
        let written: Vec<Word> = module.writes.iter().map(|(e, _)| e.clone()).collect();
        let resolved = Module {
            name: module.name.it.clone(),
            doc: module.doc.clone(),
            reads: list(model, &module.reads, index),
            writes: list(model, &written, index),
            narrowed: narrowed(model, module, places, errors),
            requested: module.requested.iter().map(|w| w.it.clone()).collect(),
        };
        let owned = model.entities.iter().any(|e| e.module == Some(index));
        if !owned && module.reads.is_empty() && written.is_empty() {
            errors.push(
                Diagnostic::at(
                    module.name.span,
                    format!(
                        "the module `{}` owns, reads and writes nothing",
                        module.name.it
                    ),
                )
                .help("add `read:`/`write:` lists or `module:` to an entity, or remove it"),
            );
        }
        for word in &module.reads {
            if written.iter().any(|w| w.it == word.it) {
                errors.push(
                    Diagnostic::at(word.span, format!("`{}` is in `write:` too", word.it))
                        .help("leave it out of `read:`: who writes also reads"),
                );
            }
        }
        places.put_app(&format!("modules.{}", module.name.it), module.name.span);
        model.modules.push(resolved);
    }
}

/// Stores the names of fields and relations; they are resolved to columns later.
fn narrowed(
    model: &Model,
    module: &ModuleSpec,
    places: &mut Places,
    errors: &Collector,
) -> Vec<Narrowed> {
    let mut found = Vec::new();
    for (word, written) in &module.writes {
        let WriteSpec::Columns { create, update } = written else {
            continue;
        };
        // Unknown entities are reported where the list of entities is read.
        let Some((entity, owner)) = model.entity(&word.it).map(|(id, e)| (id, e.module)) else {
            continue;
        };
        // Modules are resolved in their order: this one is the next.
        if owner == Some(model.modules.len()) {
            errors.push(
                Diagnostic::at(word.span, format!("`{}` is the module's own", word.it))
                    .help("leave it out: it writes all of what is its own"),
            );
            continue;
        }
        let key = format!("modules.{}.write.{}", module.name.it, word.it);
        places.put_app(&key, word.span);
        for column in create.iter().flatten().chain(update) {
            places.put_app(&format!("{key}.{}", column.it), column.span);
        }
        if create.is_none() && update.is_empty() {
            errors.push(
                Diagnostic::at(word.span, format!("nothing of `{}` is written", word.it))
                    .help("name fields, or move it to `read:`"),
            );
        }
        let names = |words: &[Word]| words.iter().map(|w| w.it.clone()).collect();
        found.push(Narrowed {
            entity,
            create: create.as_deref().map(names),
            update: names(update),
        });
    }
    found
}

/// Each entity with routes has one place in the API document.
fn tags(model: &mut Model, spec: &Spec, errors: &Collector) {
    let mut seen: Vec<Option<&Word>> = vec![None; model.entities.len()];
    for (tag, words) in &spec.app.tags {
        let mut ids = Vec::new();
        for word in words {
            let Some(id) = entity_id(model, word, errors) else {
                continue;
            };
            if model.entities[id].internal {
                errors.push(
                    Diagnostic::at(
                        word.span,
                        format!("`{}` is internal: it is not in the API document", word.it),
                    )
                    .help("leave it out of the tag"),
                );
            }
            if let Some(first) = seen[id].replace(word) {
                errors.push(
                    Diagnostic::at(word.span, format!("`{}` is under two tags", word.it))
                        .also(first.span, "first written here")
                        .help("keep one of the two"),
                );
            }
            ids.push(id);
        }
        model.tags.push((tag.it.clone(), ids));
    }
    let Some(span) = spec.app.tags_span else {
        return;
    };
    let missing: Vec<&str> = model
        .entities
        .iter()
        .zip(&seen)
        .filter(|(entity, seen)| seen.is_none() && !entity.internal)
        .map(|(entity, _)| entity.name.as_str())
        .collect();
    if !missing.is_empty() {
        errors.push(
            Diagnostic::at(span, format!("under no tag: {}", names::quoted(&missing)))
                .help("every entity with routes has its place in the API document"),
        );
    }
}

fn unused(spec: &Spec, errors: &Collector) {
    // A misspelt mixin is reported where it is used, with the name that was probably meant; that one then does not
    // count as unused.
    let known = |word: &Word| spec.app.mixins.iter().any(|(name, _)| name.it == word.it);
    let mut named = spec.entities.iter().flat_map(|entity| &entity.mixins);
    if named.any(|word| !known(word)) {
        return;
    }
    for (name, _) in &spec.app.mixins {
        if !spec
            .entities
            .iter()
            .any(|e| e.mixins.iter().any(|m| m.it == name.it))
        {
            errors.push(
                Diagnostic::at(name.span, format!("no entity uses the mixin `{}`", name.it)).help(
                    format!("add `mixins: [{}]` to an entity, or remove it", name.it),
                ),
            );
        }
    }
}
