//! The small world of the bad fixtures, and what each of them puts in the place of.

use codegen::diag::Sources;
use std::path::{Path, PathBuf};

/// What the generator says, as a comment behind the fixture.
pub const TAIL: &str = "\n# cargo gen says:\n";

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad")
}

pub fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    paths.sort_unstable();
    paths
}

pub fn base() -> Sources {
    let folder = folder().join("base");
    read(&folder.join("app.yaml"), &folder.join("entities"))
}

pub fn read(app: &Path, entities: &Path) -> Sources {
    let mut sources = Sources::default();
    sources.add("spec/app.yaml", std::fs::read_to_string(app).unwrap());
    for path in yaml_files(entities) {
        let name = path.file_name().unwrap().to_string_lossy();
        sources.add(
            format!("spec/entities/{name}"),
            std::fs::read_to_string(&path).unwrap(),
        );
    }
    sources
}

pub fn world(fixture: &str, spec: &str) -> Sources {
    let mut sources = base();
    let stem = |key: &str| {
        spec.lines()
            .find_map(|line| line.strip_prefix(key))
            .map(|word| word.trim().to_owned())
    };
    let path = if fixture.starts_with("app_") {
        "spec/app.yaml".to_owned()
    } else if fixture.starts_with("messages_") {
        let name = stem("# file:").or_else(|| stem("type:"));
        format!(
            "spec/messages/{}.yaml",
            name.unwrap_or_else(|| "news".into())
        )
    } else {
        let entity = stem("# file:")
            .or_else(|| stem("entity:"))
            .unwrap_or_else(|| "gig".into());
        format!("spec/entities/{entity}.yaml")
    };
    match sources.files.iter_mut().find(|file| file.path == path) {
        Some(file) => file.text = spec.to_owned(),
        None => {
            sources.add(path, spec);
        }
    }
    sources
}
