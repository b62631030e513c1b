//! SQL functions that are stored as files: one function per block, with a blank line between blocks.
//!
//! `<app>` stands for the application's name.

use super::object::object;
use crate::objects::{Kind, Object};

pub fn functions(sql: &str, app: &str, kind: Kind) -> Vec<Object> {
    blocks(sql, app).map(|text| function(kind, text)).collect()
}

fn blocks<'a>(sql: &'a str, app: &'a str) -> impl Iterator<Item = String> + 'a {
    sql.trim()
        .split("\n\n")
        .map(move |block| block.trim().replace("<app>", app))
}

fn function(kind: Kind, create: String) -> Object {
    let head = create
        .strip_prefix("create function ")
        .expect("a block begins with `create function`");
    let (name, rest) = head.split_once('(').expect("a function has arguments");
    let arguments = rest.split_once(") returns ").expect("a function returns").0;
    let taken = arguments
        .split(", ")
        .filter(|a| !a.is_empty() && !a.starts_with("out "));
    let types: Vec<&str> = taken
        .map(|a| a.split_once(' ').map_or(a, |x| x.1))
        .collect();
    let identity = format!("{name}({})", types.join(","));
    object(
        kind,
        identity.clone(),
        create.clone(),
        format!("drop function {identity};"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_by_its_types() {
        let sql = "create function sec.a(p_x text[], p_n int) returns int\n  as $$ select 1 $$;\n\n\
                   create function sec.b() returns int\n  as $$ select 1 $$;";
        let names: Vec<String> = functions(sql, "x", Kind::Function)
            .into_iter()
            .map(|o| o.name)
            .collect();
        assert_eq!(names, ["sec.a(text[],int)", "sec.b()"]);
    }
}
