//! `generated/` and `migrations/` are what the spec says, byte for byte, with nothing left over.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Generated in another folder, whose files were made the other way round, as on somebody else's machine.
#[test]
fn abuse_66_generated_files_are_what_the_spec_says_wherever_it_lies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let elsewhere = std::env::temp_dir().join(format!("codegen-elsewhere-{}", std::process::id()));
    for folder in [
        "spec",
        "spec/entities",
        "spec/messages",
        "spec/sql",
        "migrations",
        "generated",
    ] {
        copy_backwards(&root.join(folder), &elsewhere.join(folder));
    }
    let tree = codegen::generate(&elsewhere);
    fs::remove_dir_all(&elsewhere).unwrap();
    let tree = tree.unwrap_or_else(|said| panic!("{said}"));
    assert!(tree.files().count() > 50);
    let differences: Vec<String> = tree.check(&root).iter().map(ToString::to_string).collect();
    assert!(
        differences.is_empty(),
        "{}\nrun: cargo gen",
        differences.join("\n")
    );
}

/// `cargo gen explain event | head`.
#[test]
fn who_reads_what_is_printed_may_go_away() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut program = Command::new(env!("CARGO_BIN_EXE_codegen"))
        .args(["explain", "event", "--root"])
        .arg(root)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(program.stdout.take());
    let ended = program.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && said.is_empty(), "{said}");
}

fn copy_backwards(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let entries = fs::read_dir(from).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort_unstable();
    for file in files.iter().rev().filter(|path| path.is_file()) {
        fs::copy(file, to.join(file.file_name().unwrap())).unwrap();
    }
}
