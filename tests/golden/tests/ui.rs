//! What the compiler says to a wrong type: `tests/ui/<mistake>.rs` beside its `.stderr`.
//!
//! The compiler is called on what Cargo has built for this test anyway: the usual crate for such tests builds all
//! dependencies once more, which takes minutes. `UPDATE_EXPECT=1` writes the answers anew.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

#[test]
fn mistakes() {
    let mut cases: Vec<PathBuf> = fs::read_dir("tests/ui")
        .expect("the cases")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    cases.sort();
    assert!(cases.len() > 20, "{cases:?}");
    let overwrite = env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    for case in cases {
        let said = said_to(&case);
        let file = case.with_extension("stderr");
        if overwrite {
            fs::write(&file, &said).expect("a file");
        } else if fs::read_to_string(&file).unwrap_or_default() != said {
            wrong.push(format!("{}:\n{said}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "other than before:\n{}", wrong.join("\n"));
}

/// The compiler's answer, which must be a refusal.
fn said_to(case: &Path) -> String {
    let built = env::current_exe().expect("this program");
    let built = built.parent().expect("where Cargo builds");
    let extern_crate = |name: &str, extension: &str| {
        let file = newest(built, &format!("lib{name}-"), extension);
        format!("{name}={}", file.display())
    };
    let output = Command::new(env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned()))
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "bin",
            "--emit",
            "metadata",
        ])
        .args(["--color", "never", "-o"])
        .arg(env::temp_dir().join(format!("ui-{}.rmeta", std::process::id())))
        .arg("-L")
        .arg(built)
        .args(["--extern", &extern_crate("kernel", "rlib")])
        .args([
            "--extern",
            &extern_crate("macros", env::consts::DLL_EXTENSION),
        ])
        .arg(case)
        .output()
        .expect("a compiler");
    assert!(!output.status.success(), "{} compiles", case.display());
    let text = String::from_utf8(output.stderr).expect("a text");
    // How many there were is said in the end, in words that change with the compiler.
    let (said, _) = text
        .split_once("error: aborting due to")
        .unwrap_or((&text, ""));
    format!("{}\n", said.trim_end())
}

/// Cargo leaves older builds beside the one it made last.
fn newest(folder: &Path, prefix: &str, extension: &str) -> PathBuf {
    let modified = |path: &PathBuf| -> SystemTime {
        let metadata = fs::metadata(path).and_then(|metadata| metadata.modified());
        metadata.expect("a time")
    };
    let found = fs::read_dir(folder)
        .expect("where Cargo builds")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(prefix) && path.extension().is_some_and(|e| e == extension)
        })
        .max_by_key(modified);
    found.unwrap_or_else(|| panic!("no {prefix}*.{extension} in {}", folder.display()))
}
