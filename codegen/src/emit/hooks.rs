//! `generated/src/hooks.rs`: the trait through which generated routes call hand-written code, and the list of all
//! mounted entities.

use super::entity::descriptor::{hook_name, mounted};
use super::rust::{pascal, upper};
use crate::model::{Entity, Hook, Model};

/// The name of the type that calls the application's hooks for one entity; the trait itself is `AppHooks`.
pub fn wrapper(name: &str) -> String {
    format!("{name}Hooks")
}

/// Path below `generated/`, and the file's text.
pub fn file(model: &Model) -> (String, String) {
    let hooked: Vec<&Entity> = mounted(model)
        .map(|(_, entity)| entity)
        .filter(|entity| !entity.hooks.is_empty())
        .collect();
    let mut out = super::rust::header("entities/*.yaml");
    out.push_str("//! What the application must do before some writes, and every entity that is mounted.\n\n");
    out.push_str(&imports(&hooked));
    out.push_str("\n/// One method per `hooks:` word of the spec. Each runs inside of the transaction and may refuse.\n");
    let methods: Vec<String> = hooked
        .iter()
        .flat_map(|entity| entity.hooks.iter().map(|hook| method(entity, hook)))
        .collect();
    let methods = if methods.is_empty() {
        String::new()
    } else {
        format!("\n{}", methods.join("\n"))
    };
    out.push_str(&format!(
        "pub trait AppHooks: Send + Sync {{{methods}}}\n\n"
    ));
    out.push_str("/// Every entity with routes, in file-name order.\n");
    let app = if hooked.is_empty() { "_app" } else { "app" };
    out.push_str(&format!("#[rustfmt::skip]\npub fn resources({app}: Arc<dyn AppHooks>) -> Vec<Mounted> {{\n    vec![\n"));
    for (_, entity) in mounted(model) {
        let name = format!("{}::{}", entity.name, upper(&entity.name));
        out.push_str(&match entity.hooks.is_empty() {
            true => format!("        plain(&{name}),\n"),
            false => format!(
                "        hooked(&{name}, {}Hooks(app.clone())),\n",
                pascal(&entity.name)
            ),
        });
    }
    out.push_str("    ]\n}\n");
    out.push_str("\n/// The same without hooks, for whoever only wants to know what there is.\n#[rustfmt::skip]\n");
    out.push_str(&format!(
        "pub static RESOURCES: [&Resource; {}] = [\n",
        mounted(model).count()
    ));
    for (_, entity) in mounted(model) {
        out.push_str(&format!("    &{}::{},\n", entity.name, upper(&entity.name)));
    }
    out.push_str("];\n");
    out.push_str(PLAIN);
    if !hooked.is_empty() {
        out.push_str(HOOKED);
    }
    for entity in hooked {
        out.push_str(&glue(entity));
    }
    ("src/hooks.rs".into(), out)
}

const PLAIN: &str = "
fn plain(resource: &'static Resource) -> Mounted {
    Mounted {
        resource,
        hooks: None,
    }
}
";

const HOOKED: &str = "
fn hooked(resource: &'static Resource, hooks: impl Hooks + 'static) -> Mounted {
    Mounted {
        resource,
        hooks: Some(Arc::new(hooks)),
    }
}
";

/// Names of the trait methods of one entity.
pub fn methods(entity: &Entity) -> Vec<String> {
    let hooks = entity.hooks.iter();
    hooks.map(|hook| method_name(entity, hook)).collect()
}

fn imports(hooked: &[&Entity]) -> String {
    let mut out = String::from("use crate::*;\n");
    if !hooked.is_empty() {
        let bodies = hooked
            .iter()
            .flat_map(|e| &e.hooks)
            .any(|hook| matches!(hook, Hook::Create | Hook::Update));
        let input = if bodies { "{Input, typed}" } else { "Input" };
        out.push_str(&format!(
            "use kernel::cx::Cx;\nuse kernel::error::Result;\nuse kernel::input::{input};\n"
        ));
    }
    let mount = if hooked.is_empty() {
        "Mounted"
    } else {
        "{Hooks, Mounted}"
    };
    out.push_str(&format!("use kernel::mount::{mount};\n"));
    out.push_str(if hooked.is_empty() {
        ""
    } else {
        "use kernel::prelude::{BoxFuture, Uuid};\n"
    });
    out.push_str("use kernel::resource::Resource;\nuse std::sync::Arc;\n");
    out
}

/// `event_before_create`
fn method_name(entity: &Entity, hook: &Hook) -> String {
    format!("{}_before_{}", entity.name, hook_name(hook))
}

fn method(entity: &Entity, hook: &Hook) -> String {
    let input = |kind: &str| {
        format!(
            "input: &'a mut {}::{kind}{}",
            entity.name,
            pascal(&entity.name)
        )
    };
    let mut parameters = vec!["&'a self".to_owned(), "cx: &'a mut Cx".to_owned()];
    match hook {
        Hook::Create => parameters.push(input("Create")),
        Hook::Update => parameters.extend(["id: Uuid".to_owned(), input("Update")]),
        Hook::Archive | Hook::Restore | Hook::Transition(_) => {
            parameters.push("id: Uuid".to_owned())
        }
    }
    let lines: String = parameters
        .iter()
        .map(|parameter| format!("        {parameter},\n"))
        .collect();
    let start = format!("    fn {}<'a>(", method_name(entity, hook));
    let end = ") -> BoxFuture<'a, Result<()>>;\n";
    let one_line = format!("{start}{}{end}", parameters.join(", "));
    // The line breaks are those of rustfmt.
    if one_line.trim_end().len() <= 100 {
        one_line
    } else {
        format!("{start}\n{lines}    {end}")
    }
}

/// The implementation that passes the engine's untyped call on to the typed method.
fn glue(entity: &Entity) -> String {
    let name = pascal(&entity.name);
    let mut arms = String::new();
    for hook in &entity.hooks {
        let method = method_name(entity, hook);
        let (pattern, call) = match hook {
            Hook::Create => (
                "_, Some(input)",
                format!("self.0.{method}(cx, typed(input))"),
            ),
            Hook::Update => (
                "Some(id), Some(input)",
                format!("self.0.{method}(cx, id, typed(input))"),
            ),
            Hook::Archive | Hook::Restore | Hook::Transition(_) => {
                ("Some(id), _", format!("self.0.{method}(cx, id)"))
            }
        };
        arms.push_str(&format!(
            "            (\"{}\", {pattern}) => {call},\n",
            hook_name(hook)
        ));
    }
    format!(
        "
struct {name}Hooks(Arc<dyn AppHooks>);

impl Hooks for {name}Hooks {{
    #[rustfmt::skip]
    fn before<'a>(
        &'a self, action: &'a str, cx: &'a mut Cx, id: Option<Uuid>, input: Option<&'a mut dyn Input>,
    ) -> BoxFuture<'a, Result<()>> {{
        match (action, id, input) {{
{arms}            _ => Box::pin(std::future::ready(Ok(()))),
        }}
    }}
}}
"
    )
}
