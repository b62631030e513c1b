//! `cargo gen`: the command line of the generator. All decisions are made in the library.

use clap::{Parser, Subcommand};
use codegen::diag::Diagnostics;
use codegen::tree::Difference;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Writes the backend that the spec describes: `generated/` and the next migration.
#[derive(Parser)]
#[command(name = "cargo gen")]
struct Arguments {
    /// Compares instead of writing; fails if a file is not what the spec says.
    #[arg(long)]
    check: bool,
    /// The workspace [default: the folder with `spec/app.yaml`, here or above].
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Writes a first spec file for an entity.
    New { entity: String },
    /// Shows what an entity became: table, routes, rules and their SQL.
    Explain { entity: String },
    /// Shows the next migration: steps, losses, locks. The exit code is the worst class: 0 safe, 2 lossy,
    /// 3 blocking, 4 breaks the running version.
    Plan,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(root) = arguments.root.or_else(workspace_root) else {
        eprintln!(
            "error: there is no `spec/app.yaml` here or above; name the workspace with `--root <DIR>`"
        );
        return ExitCode::FAILURE;
    };
    match arguments.command {
        None if arguments.check => check(&root),
        None => write(&root),
        Some(Command::New { entity }) => new(&root, &entity),
        Some(Command::Explain { entity }) => explain(&root, &entity),
        Some(Command::Plan) => plan(&root),
    }
}

fn workspace_root() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors()
        .find(|folder| folder.join("spec/app.yaml").is_file())
        .map(Path::to_path_buf)
}

fn write(root: &Path) -> ExitCode {
    let tree = match codegen::generate(root) {
        Ok(tree) => tree,
        Err(wrong) => return refuse(&wrong),
    };
    let differences = match tree.write(root) {
        Ok(differences) => differences,
        Err(error) => return fail(&format!("writing stopped: {error}")),
    };
    let mut in_the_way = false;
    for difference in &differences {
        match difference {
            Difference::Missing(path) => print(&format!("new      {path}\n")),
            Difference::Stale(path, _) => print(&format!("changed  {path}\n")),
            Difference::Orphan(path) => print(&format!("removed  {path}\n")),
            Difference::HandWritten(_) => {
                in_the_way = true;
                eprintln!("error: {difference}");
            }
        }
    }
    if in_the_way {
        return fail("nothing was written");
    }
    if differences.is_empty() {
        print(&format!(
            "{} files are what the spec says\n",
            tree.files().count()
        ));
    }
    ExitCode::SUCCESS
}

fn check(root: &Path) -> ExitCode {
    let tree = match codegen::generate(root) {
        Ok(tree) => tree,
        Err(wrong) => return refuse(&wrong),
    };
    let differences = tree.check(root);
    for difference in &differences {
        eprintln!("error: {difference}");
    }
    if differences.is_empty() {
        ExitCode::SUCCESS
    } else {
        fail("run: cargo gen")
    }
}

fn new(root: &Path, entity: &str) -> ExitCode {
    let app = std::fs::read_to_string(root.join("spec/app.yaml")).unwrap_or_default();
    let (path, text) = match codegen::starter::starter(entity, &app) {
        Ok(starter) => starter,
        Err(why) => return fail(&why),
    };
    let target = root.join(&path);
    if target.exists() {
        return fail(&format!("{path} is there already"));
    }
    if let Err(error) = std::fs::write(&target, text) {
        return fail(&format!("{path} can't be written: {error}"));
    }
    print(&format!(
        "new      {path}\nChange it, add `{entity}` to a tag in spec/app.yaml, then run: cargo gen\n"
    ));
    ExitCode::SUCCESS
}

fn explain(root: &Path, entity: &str) -> ExitCode {
    let model = match codegen::load(root) {
        Ok(model) => model,
        Err(wrong) => return refuse(&wrong),
    };
    match codegen::explain::explain(&model, entity) {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(why) => fail(&why),
    }
}

fn plan(root: &Path) -> ExitCode {
    match codegen::plan(root) {
        Ok(plan) => {
            print(&plan.render());
            ExitCode::from(plan.worst().exit_code())
        }
        Err(wrong) => refuse(&wrong),
    }
}

/// Prints without failing if the reader has gone, as in `cargo gen explain event | head`, where `println!` panics.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn refuse(wrong: &Diagnostics) -> ExitCode {
    eprintln!("{wrong}");
    let count = wrong.list.len();
    fail(&format!(
        "{count} mistake{} in the spec; nothing was written",
        if count == 1 { "" } else { "s" }
    ))
}

fn fail(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::FAILURE
}
