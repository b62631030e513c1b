//! The parsed form of one entity file.

use super::keys::{Keys, entries, list, name, name_of, scalar, words};
use super::yaml::{Node, Text};
use crate::diag::{Collector, Diagnostic, Span};
use crate::model::Lifecycle;
use crate::names;
use crate::phrase::{
    self, At, CheckPhrase, DerivedPhrase, ExcludePhrase, FieldLine, FirstPhrase, HasPhrase,
    KeepPhrase, OfferPhrase, RelationLine, Rule, TransitionPhrase, UniquePhrase, Word,
};

pub const ENTITY_KEYS: [&str; 28] = [
    "entity",
    "plural",
    "was",
    "doc",
    "lifecycle",
    "module",
    "internal",
    "mixins",
    "fields",
    "belongs",
    "has",
    "derived",
    "first",
    "unique",
    "exclude",
    "index",
    "check",
    "keep",
    "transitions",
    "offers",
    "access",
    "creator",
    "hooks",
    "emit",
    "page",
    "quota",
    "audit",
    "wal",
];

pub const ACTIONS: [&str; 6] = ["read", "create", "update", "delete", "restore", "suspend"];

/// The keys that a mixin may have.
pub const MIXIN_KEYS: [&str; 5] = ["fields", "belongs", "has", "derived", "check"];

/// The parts that entities and mixins have in common.
#[derive(Debug, Default)]
pub struct Body {
    pub fields: Vec<(Word, FieldLine)>,
    pub belongs: Vec<(Word, RelationLine)>,
    pub has: Vec<(Word, HasPhrase)>,
    pub derived: Vec<(Word, DerivedPhrase)>,
    pub check: Vec<(Word, CheckPhrase)>,
}

#[derive(Debug)]
pub struct EntitySpec {
    pub name: Word,
    pub plural: Option<Word>,
    pub was: Option<Word>,
    pub doc: String,
    pub lifecycle: At<Lifecycle>,
    pub module: Option<Word>,
    pub internal: Option<Span>,
    pub mixins: Vec<Word>,
    /// Whether `mixins:` comes before `fields:`.
    pub mixins_first: bool,
    pub body: Body,
    pub first: Vec<(Word, FirstPhrase)>,
    pub unique: Vec<UniquePhrase>,
    pub exclude: Vec<At<ExcludePhrase>>,
    pub index: Vec<Vec<Word>>,
    pub keep: Vec<(Word, KeepPhrase)>,
    pub transitions: Vec<(Word, TransitionPhrase)>,
    pub offers: Vec<(Word, OfferPhrase)>,
    pub access: Option<AccessSpec>,
    pub creator: Option<Word>,
    pub hooks: Vec<Word>,
    pub emit: Vec<Word>,
    pub page: Option<At<u32>>,
    pub quota: Option<At<u32>>,
    pub audit_off: Option<Span>,
    pub wal_off: Option<Span>,
}

#[derive(Debug)]
pub struct AccessSpec {
    pub span: Span,
    pub conditions: Vec<(Word, Rule)>,
    /// Rules by action: `read`, `create` …
    pub grants: Vec<(Word, Rule)>,
    /// Denials by action.
    pub denies: Vec<(Word, Rule)>,
}

pub fn read(stem: &str, tree: &Node, errors: &Collector) -> Option<EntitySpec> {
    let keys = Keys::of(tree, "an entity", &ENTITY_KEYS, errors)?;
    keys.required("entity", "start the file with `entity: <name>`");
    keys.required(
        "doc",
        "add `doc:` with one sentence: it is shown in code, SQL and the API document",
    );
    let entity = name_of(keys.text("entity", "write `entity: event`"), errors);
    if let Some(entity) = &entity {
        refuse_other_file(entity, stem, errors);
    }
    let mixins_first = match (keys.position("mixins"), keys.position("fields")) {
        (Some(mixins), Some(fields)) => mixins < fields,
        _ => true,
    };
    Some(EntitySpec {
        plural: name_of(keys.text("plural", "write `plural: cities`"), errors),
        was: name_of(
            keys.text("was", "write the former name: `was: happening`"),
            errors,
        ),
        doc: keys
            .text("doc", "write one sentence")
            .map(|t| t.value.clone())
            .unwrap_or_default(),
        lifecycle: lifecycle(&keys),
        module: keys.word("module", "write the name of a module of app.yaml"),
        internal: flag(&keys, "internal", "true"),
        mixins: keys.words("mixins", "write `mixins: [profile]`"),
        mixins_first,
        body: body(&keys),
        first: keys.phrases("first", "name: has by field", phrase::first),
        unique: unique(&keys),
        exclude: exclude(&keys),
        index: keys.word_lists("index", "write `index: [[city, starts_at]]`"),
        keep: keys.phrases("keep", "name: one per relation", phrase::keep),
        transitions: keys.phrases(
            "transitions",
            "verb: draft -> published, by <rule>",
            phrase::transition,
        ),
        offers: keys.phrases("offers", "verb: by <rule>", phrase::offer),
        access: access(&keys),
        creator: keys.word("creator", "write the role that the creator gets"),
        hooks: keys.words("hooks", "write `hooks: [create, publish]`"),
        emit: keys.words("emit", "write `emit: [create, publish]`"),
        page: page(&keys),
        quota: quota(&keys),
        audit_off: flag(&keys, "audit", "off"),
        wal_off: flag(&keys, "wal", "off"),
        name: entity?,
    })
}

pub fn body(keys: &Keys) -> Body {
    Body {
        fields: keys.phrases("fields", "name: type, modifiers", phrase::field),
        belongs: keys.phrases("belongs", "name: entity, modifiers", phrase::relation),
        has: keys.phrases("has", "name: child* via relation", phrase::has),
        derived: keys.phrases("derived", "name: count(has)", phrase::derived),
        check: keys.phrases("check", "name: expression", phrase::check),
    }
}

fn refuse_other_file(entity: &Word, stem: &str, errors: &Collector) {
    let name = &entity.it;
    if name != stem {
        errors.push(
            Diagnostic::at(
                entity.span,
                format!("the file is called `{stem}.yaml`, its entity `{name}`"),
            )
            .help(format!("rename the file to `{name}.yaml`, or the entity")),
        );
    }
}

fn lifecycle(keys: &Keys) -> At<Lifecycle> {
    let help = "one of `soft_delete` (default), `mutable`, `append_only`";
    let Some(text) = keys.text("lifecycle", help) else {
        return At {
            it: Lifecycle::SoftDelete,
            span: keys.span,
        };
    };
    let it = match text.value.as_str() {
        "soft_delete" => Lifecycle::SoftDelete,
        "mutable" => Lifecycle::Mutable,
        "append_only" => Lifecycle::AppendOnly,
        other => {
            let known = ["soft_delete", "mutable", "append_only"];
            let help = match other {
                // A lifecycle with another name is never taken for `mutable`, however similar.
                "immutable" | "readonly" | "read_only" | "frozen" => {
                    "write `append_only`: rows are made, and never changed".to_owned()
                }
                _ => names::suggest(other, known, "lifecycles"),
            };
            keys.errors
                .push(Diagnostic::at(text.span, format!("unknown lifecycle `{other}`")).help(help));
            Lifecycle::SoftDelete
        }
    };
    At {
        it,
        span: text.span,
    }
}

/// A key with only one valid value; the alternative is to leave it out.
fn flag(keys: &Keys, key: &str, only: &str) -> Option<Span> {
    let help = format!("write `{key}: {only}` or leave the key out");
    let text = keys.text(key, &help)?;
    if text.value != only {
        keys.errors.push(
            Diagnostic::at(text.span, format!("`{key}: {}` has no effect", text.value)).help(help),
        );
        return None;
    }
    Some(text.span)
}

fn page(keys: &Keys) -> Option<At<u32>> {
    let text = keys.text("page", "write `page: 50`")?;
    match text.value.parse::<u32>() {
        Ok(it @ 1..=100) => Some(At {
            it,
            span: text.span,
        }),
        _ => {
            keys.errors.push(
                Diagnostic::at(text.span, format!("a page of `{}`", text.value))
                    .help("write a number from 1 to 100"),
            );
            None
        }
    }
}

/// `50 a day`
fn quota(keys: &Keys) -> Option<At<u32>> {
    let text = keys.text("quota", "write `quota: 50 a day`")?;
    let number = text.value.strip_suffix(" a day").map(str::trim);
    match number.and_then(|number| number.parse::<u32>().ok()) {
        Some(it @ 1..=1_000_000) => Some(At {
            it,
            span: text.span,
        }),
        _ => {
            keys.errors.push(
                Diagnostic::at(text.span, format!("a quota of `{}`", text.value)).help(
                    "write how many one member may create: `quota: 50 a day`, from 1 to 1000000",
                ),
            );
            None
        }
    }
}

/// `[[city, slug]]`, or phrases with a condition on the rows.
fn unique(keys: &Keys) -> Vec<UniquePhrase> {
    let help = "write `unique: [[city, slug]]`";
    let Some(node) = keys.get("unique") else {
        return Vec::new();
    };
    let phrase = |item: &Node| match item {
        Node::Scalar(text) if text.value.contains(' ') => keys.errors.keep(phrase::unique(text)),
        list => Some(UniquePhrase {
            columns: words(list, "each of them", help, keys.errors),
            filter: None,
        }),
    };
    (list(node, "`unique`", help, keys.errors).iter())
        .filter_map(phrase)
        .filter(|phrase| !phrase.columns.is_empty())
        .collect()
}

fn exclude(keys: &Keys) -> Vec<At<ExcludePhrase>> {
    let help = "write a list of phrases like `- scope, valid_from..valid_to`";
    let Some(node) = keys.get("exclude") else {
        return Vec::new();
    };
    list(node, "`exclude`", help, keys.errors)
        .iter()
        .filter_map(|item| scalar(item, "an item of `exclude`", help, keys.errors))
        .filter_map(|text| {
            let it = keys.errors.keep(phrase::exclude(text))?;
            Some(At {
                it,
                span: text.span,
            })
        })
        .collect()
}

fn access(keys: &Keys) -> Option<AccessSpec> {
    let node = keys.get("access")?;
    let errors = keys.errors;
    let help = "one `name: rule` per line: conditions, then `read`, `create`, `update`, `delete` …";
    let mut access = AccessSpec {
        span: keys.key_span("access").unwrap_or(keys.span),
        conditions: Vec::new(),
        grants: Vec::new(),
        denies: Vec::new(),
    };
    let lines = match node {
        // An empty mapping, which says that nobody may do anything.
        Node::Map(lines, _) => lines.as_slice(),
        node => entries(node, "`access`", help, errors),
    };
    for (key, value) in lines {
        let Some(text) = scalar(value, &format!("the rule of `{}`", key.value), help, errors)
        else {
            continue;
        };
        let rule = errors.keep(phrase::rule(text));
        if let Some(action) = key.value.strip_prefix("deny ") {
            let action = denied(action.trim(), key, errors);
            access.denies.extend(action.zip(rule));
        } else if ACTIONS.contains(&key.value.as_str()) {
            let action = Word {
                it: key.value.clone(),
                span: key.span,
            };
            access.grants.extend(rule.map(|rule| (action, rule)));
        } else {
            let name = condition_name(key, errors);
            access.conditions.extend(name.zip(rule));
        }
    }
    Some(access)
}

fn denied(action: &str, key: &Text, errors: &Collector) -> Option<Word> {
    if !ACTIONS.contains(&action) {
        errors.push(
            Diagnostic::at(key.span, format!("unknown action `{action}`"))
                .help(names::suggest(action, ACTIONS, "actions")),
        );
        return None;
    }
    Some(Word {
        it: action.to_owned(),
        span: key.span,
    })
}

fn condition_name(key: &Text, errors: &Collector) -> Option<Word> {
    let help = match key.value.as_str() {
        "archive" => "write `delete`: DELETE archives",
        "unsuspend" => "write `suspend`: who may suspend may also take it back",
        "deny" => "write `deny update: <rule>`",
        word if names::is_rule_word(word) => "choose another name",
        _ => return name(key, errors),
    };
    errors.push(
        Diagnostic::at(
            key.span,
            format!("`{}` can't be the name of a condition", key.value),
        )
        .help(help),
    );
    None
}
