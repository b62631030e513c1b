//! Every word of the spec language, so that a test can hold `spec/README.md` to it.

use crate::{phrase, spec};

/// (what they are, the words)
pub fn words() -> [(&'static str, &'static [&'static str]); 12] {
    [
        ("key of an entity", &spec::ENTITY_KEYS),
        ("key of a mixin", &spec::MIXIN_KEYS),
        ("key of app.yaml", &spec::APP_KEYS),
        ("key of a module", &spec::MODULE_KEYS),
        ("action", &spec::ACTIONS),
        ("type", &phrase::TYPES),
        ("modifier of a field", &phrase::FIELD_MODIFIERS),
        ("modifier of a relation", &phrase::RELATION_MODIFIERS),
        ("function of a derived value", &phrase::AGGREGATES),
        ("modifier of a derived value", &phrase::DERIVED_MODIFIERS),
        ("part of a transition", &phrase::TRANSITION_WORDS),
        ("word of a rule", &phrase::ATOMS),
    ]
}
