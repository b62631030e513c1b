//! The text of a migration.

use super::class::{Class, Judge};
use super::history::{MARK, NO_TRANSACTION};
use super::op::Op;

/// One step in readable form.
#[derive(Clone, Debug)]
pub struct Step {
    pub classes: Vec<Class>,
    pub summary: String,
    pub sql: String,
}

pub fn steps(ops: &[Op], judge: &Judge) -> Vec<Step> {
    (ops.iter())
        .map(|op| Step {
            classes: judge.classes(op),
            summary: op.summary(),
            sql: op.sql().trim().to_owned(),
        })
        .filter(|step| !step.sql.is_empty())
        .collect()
}

/// The up file. Its header says of each step how it affects programs that use the database meanwhile.
pub fn up(name: &str, steps: &[Step], transaction: bool) -> String {
    let mut text = head(name, transaction);
    for step in steps {
        text.push_str(&format!("--   {}\n", line(step)));
    }
    text.push_str(&body(steps));
    text
}

/// The first migration, which creates everything, so its header does not list the steps.
pub fn foundation(name: &str, steps: &[Step]) -> String {
    format!(
        "{}--   Everything, in an order in which it can be created.\n{}",
        head(name, true),
        body(steps)
    )
}

pub fn down(name: &str, steps: &[Step]) -> String {
    let head = format!(
        "{MARK} from spec/. Do not edit.\n-- {name}, taken back. What was lost on the way does not return.\n"
    );
    if steps.is_empty() {
        return format!("{head}\n-- Nothing to take back.\nselect 1;\n");
    }
    format!("{head}{}", body(steps))
}

/// `lossy, breaking: drop column app.events.door_code`
pub fn line(step: &Step) -> String {
    let classes: Vec<String> = step.classes.iter().map(ToString::to_string).collect();
    format!("{}: {}", classes.join(", "), step.summary)
}

fn head(name: &str, transaction: bool) -> String {
    let first = if transaction {
        String::new()
    } else {
        format!("{NO_TRANSACTION}\n")
    };
    format!("{first}{MARK} from spec/. Do not edit.\n-- {name}\n")
}

fn body(steps: &[Step]) -> String {
    steps
        .iter()
        .map(|step| format!("\n{}\n", step.sql))
        .collect()
}
