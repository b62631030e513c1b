//! Lines under `fields:` that belong elsewhere: the word in the place of a type is an entity, or begins a relation or
//! a derived value.

use super::ENTITY_FOLDER;
use crate::diag::{Collector, Diagnostic, Source, Sources};

/// Says of unknown types where the line belongs, which the reader of a phrase can't know.
pub fn mend(sources: &Sources, errors: &Collector) {
    let entities: Vec<&str> = sources.files.iter().filter_map(entity).collect();
    errors.mend(|diagnostic| {
        if let Some(help) = elsewhere(sources, &entities, diagnostic) {
            diagnostic.help = Some(help);
        }
    });
}

fn entity(source: &Source) -> Option<&str> {
    let name = source.path.strip_prefix(ENTITY_FOLDER)?;
    name.strip_prefix('/')?.strip_suffix(".yaml")
}

fn elsewhere(sources: &Sources, entities: &[&str], diagnostic: &Diagnostic) -> Option<String> {
    let word = diagnostic.message.strip_prefix("unknown type `")?;
    let word = word.strip_suffix('`')?;
    let span = diagnostic.span?;
    let source = sources.files.get(span.file)?;
    // Objects in app.yaml have fields only.
    entity(source)?;
    let rest = source.text.get(span.end..)?.lines().next()?;
    let (what, section) = match word {
        "one" if rest.starts_with(" of ") => ("this is a relation".to_owned(), "belongs"),
        "count" | "sum" | "avg" if rest.starts_with('(') => {
            ("this is a derived value".to_owned(), "derived")
        }
        name if entities.contains(&name) => {
            let section = if rest.starts_with('*') {
                "has"
            } else {
                "belongs"
            };
            (format!("`{name}` is an entity"), section)
        }
        _ => return None,
    };
    Some(format!("{what}: write the line under `{section}:`"))
}
