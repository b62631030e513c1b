//! Finds the database role that runs a hand-written statement: that of the transaction in which its function works.
//!
//! A function that begins a transaction of a request (`begin_read` and the like), every hook, and every function that
//! gets its `cx` run as the request role. What `run` and jobs begin runs as the job role. A function may be called
//! with both.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::OnceLock,
};

const REQUEST: [&str; 4] = [
    "begin_read",
    "begin_search",
    "begin_write",
    "begin_read_of_account",
];

const JOB: [&str; 5] = ["run", "run_of_account", "snapshot", "job", "job_of_account"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Request,
    Job,
}

/// A function, or a constant that functions use.
struct Function {
    file: PathBuf,
    name: String,
    takes_cx: bool,
    /// Whether it returns the transaction that it begins to its caller.
    gives_cx: bool,
    body: TokenStream,
    /// All names in its body; those that are called; those that are called with a `cx`.
    names: BTreeSet<String>,
    calls: BTreeSet<String>,
    handed: BTreeSet<String>,
}

#[derive(Default)]
pub struct Functions {
    all: Vec<Function>,
    /// The functions that each role reaches, computed once all are known.
    reached: OnceLock<[(Role, BTreeSet<usize>); 2]>,
}

impl Functions {
    pub fn add(&mut self, file: &Path, text: &str) {
        self.collect(file, text.parse().expect("Rust"));
    }

    fn collect(&mut self, file: &Path, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Ident(word) if *word == "fn" => {
                    if let Some(TokenTree::Ident(name)) = tokens.get(at + 1) {
                        at = self.function(file, name.to_string(), &tokens, at + 2);
                        continue;
                    }
                }
                TokenTree::Ident(word) if *word == "const" || *word == "static" => {
                    if let Some(TokenTree::Ident(name)) = tokens.get(at + 1)
                        && *name != "fn"
                    {
                        let rest = tokens[at + 2..].iter().cloned();
                        let value = rest.take_while(|token| !is_sign(token, ';'));
                        self.keep(file, name.to_string(), (false, false), value.collect());
                    }
                }
                TokenTree::Group(group) => self.collect(file, group.stream()),
                _ => {}
            }
            at += 1;
        }
    }

    /// Reads a function from after its name to the end of its body, or to its semicolon.
    fn function(&mut self, file: &Path, name: String, tokens: &[TokenTree], from: usize) -> usize {
        let (mut takes, mut gives, mut has_parameters) = (false, false, false);
        for (at, token) in tokens.iter().enumerate().skip(from) {
            match token {
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    self.keep(file, name, (takes, gives), group.stream());
                    // Functions inside functions.
                    self.collect(file, group.stream());
                    return at + 1;
                }
                TokenTree::Group(group) if !has_parameters => {
                    has_parameters = true;
                    takes = names(group.stream()).contains("Cx");
                }
                TokenTree::Ident(word) if has_parameters && *word == "Cx" => gives = true,
                token if is_sign(token, ';') => return at + 1,
                _ => {}
            }
        }
        tokens.len()
    }

    fn keep(&mut self, file: &Path, name: String, cx: (bool, bool), body: TokenStream) {
        let (mut calls, mut handed) = (BTreeSet::new(), BTreeSet::new());
        called(body.clone(), &mut calls, &mut handed);
        self.all.push(Function {
            file: file.to_owned(),
            name,
            takes_cx: cx.0,
            gives_cx: cx.1,
            names: names(body.clone()),
            body,
            calls,
            handed,
        });
    }

    /// The roles that run the functions for whose bodies this holds; those that no role reaches count as the job
    /// role's.
    pub fn roles(&self, file: &Path, stands_in: impl Fn(TokenStream) -> bool) -> BTreeSet<Role> {
        let find = || [Role::Request, Role::Job].map(|role| (role, self.reached(role)));
        let reached = self.reached.get_or_init(find);
        let mut found = BTreeSet::new();
        for (index, function) in self.all.iter().enumerate() {
            if function.file != file || !stands_in(function.body.clone()) {
                continue;
            }
            let of = reached.iter().filter(|(_, all)| all.contains(&index));
            found.extend(of.map(|(role, _)| *role));
        }
        if found.is_empty() {
            found.insert(Role::Job);
        }
        found
    }

    fn reached(&self, role: Role) -> BTreeSet<usize> {
        let begins: &[&str] = match role {
            Role::Request => &REQUEST,
            Role::Job => &JOB,
        };
        let begins = |function: &Function| begins.iter().any(|name| function.calls.contains(*name));
        let givers: BTreeMap<&Path, &str> = (self.all.iter())
            .filter(|function| function.gives_cx && begins(function))
            .map(|function| (function.file.as_path(), function.name.as_str()))
            .collect();
        let is_root = |function: &Function| {
            let given = givers.get(function.file.as_path());
            let is_hook = function.file == Path::new("hooks.rs") && function.takes_cx;
            begins(function)
                || given.is_some_and(|name| function.calls.contains(*name))
                || (is_hook && role == Role::Request)
        };
        let mut found: BTreeSet<usize> = (0..self.all.len())
            .filter(|index| is_root(&self.all[*index]))
            .collect();
        let mut open: Vec<usize> = found.iter().copied().collect();
        while let Some(index) = open.pop() {
            for next in self.next(&self.all[index]) {
                if found.insert(next) {
                    open.push(next);
                }
            }
        }
        found
    }

    /// The functions that get the `cx`, the nearest ones of their names, and constants that are named.
    fn next(&self, function: &Function) -> Vec<usize> {
        let folder = |file: &Path| {
            file.iter()
                .next()
                .map(|part| Path::new(part).with_extension(""))
        };
        let near: [&dyn Fn(&Function) -> bool; 3] = [
            &|other: &Function| other.file == function.file,
            &|other: &Function| folder(&other.file) == folder(&function.file),
            &|_: &Function| true,
        ];
        let is_constant = |name: &str| !name.chars().any(char::is_lowercase);
        let mut found = Vec::new();
        for (names, takes_cx) in [(&function.handed, true), (&function.names, false)] {
            for name in names.iter().filter(|name| takes_cx || is_constant(name)) {
                let is_one = |other: &Function| {
                    let is_kind = takes_cx || is_constant(&other.name);
                    other.name == *name && other.takes_cx == takes_cx && is_kind
                };
                for is_near in near {
                    let all = (0..self.all.len())
                        .filter(|index| is_one(&self.all[*index]) && is_near(&self.all[*index]));
                    let all: Vec<usize> = all.collect();
                    if !all.is_empty() {
                        found.extend(all);
                        break;
                    }
                }
            }
        }
        found
    }
}

fn is_sign(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

fn names(tokens: TokenStream) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for token in tokens {
        match token {
            TokenTree::Ident(name) => {
                found.insert(name.to_string());
            }
            TokenTree::Group(group) => found.extend(names(group.stream())),
            _ => {}
        }
    }
    found
}

fn called(tokens: TokenStream, calls: &mut BTreeSet<String>, handed: &mut BTreeSet<String>) {
    let mut last = None;
    for token in tokens {
        match token {
            TokenTree::Ident(name) => last = Some(name.to_string()),
            TokenTree::Group(group) => {
                if let Some(name) = last.take()
                    && group.delimiter() == Delimiter::Parenthesis
                {
                    if has_cx(&group) {
                        handed.insert(name.clone());
                    }
                    calls.insert(name);
                }
                called(group.stream(), calls, handed);
            }
            _ => last = None,
        }
    }
}

/// Whether `cx` is an argument by itself: `cx`, `&mut cx`.
fn has_cx(arguments: &Group) -> bool {
    let mut tokens = arguments.stream().into_iter();
    tokens.any(|token| matches!(token, TokenTree::Ident(name) if name == "cx"))
}

/// The assumption on which the test of the statements relies.
#[test]
fn roles_follow_the_transaction() {
    let mut functions = Functions::default();
    let file = Path::new("a/routes.rs");
    functions.add(
        file,
        r#"
        const SHARED: &str = "shared";
        async fn read(&self) { let mut cx = db.begin_read(&c).await?; shown(&mut cx, 1); "mine"; both(&mut cx) }
        async fn shown(cx: &mut Cx, n: i32) { "shown"; SHARED }
        async fn work(&self) { self.db.run(N, move |cx| { Box::pin(async move { both(cx).await; made(cx) }) }) }
        async fn made(cx: &mut Cx) { "made" }
        async fn both(cx: &mut Cx) { "both" }
        async fn nobody(cx: &mut Cx) { "nobody" }
        "#,
    );
    functions.add(
        Path::new("hooks.rs"),
        r#"fn before<'a>(&'a self, cx: &'a mut Cx) -> F<'a> { Box::pin(async move { refuse(cx).await }) }"#,
    );
    functions.add(
        Path::new("b.rs"),
        r#"pub async fn refuse(cx: &mut Cx) { "refuse" }"#,
    );
    let roles = |file: &str, text: &str| {
        let text = format!("\"{text}\"");
        functions.roles(Path::new(file), |body| body.to_string().contains(&text))
    };
    let (request, job) = (Role::Request, Role::Job);
    for text in ["mine", "shown", "shared"] {
        assert_eq!(roles("a/routes.rs", text), [request].into(), "{text}");
    }
    for text in ["made", "nobody"] {
        assert_eq!(roles("a/routes.rs", text), [job].into(), "{text}");
    }
    assert_eq!(roles("a/routes.rs", "both"), [request, job].into());
    assert_eq!(roles("b.rs", "refuse"), [request].into());
}
