//! The database as text: the same every time, each thing named once, rules as they are meant.
//! Whether PostgreSQL takes it is for the system tests.

use codegen::emit::schema::rules::{Context, compile};
use codegen::emit::schema::{render, schema};
use codegen::model::{Access, Expr, Lifecycle, Literal, Model, OnArchive, Op, Value};
use codegen::objects::Kind;
use std::collections::BTreeSet;
use std::path::Path;

fn model(folder: &str) -> Model {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(folder);
    codegen::load(&root).unwrap_or_else(|_| panic!("{folder}/spec has mistakes: cargo gen --check"))
}

fn both() -> [Model; 2] {
    [model("."), model("tests/library")]
}

#[test]
fn the_same_model_gives_the_same_text() {
    for model in both() {
        assert_eq!(render(&schema(&model)), render(&schema(&model)));
    }
}

/// PostgreSQL accepts some words as columns of tables only; and a text may contain what usually ends a function.
#[test]
fn functions_quote_what_would_end_or_break_them() {
    let objects = schema(&model("codegen/tests/good/names")).objects;
    let function = |name: &str| {
        let of_name = |o: &&codegen::objects::Object| o.name.starts_with(&format!("{name}("));
        let found = objects.iter().find(of_name);
        &found.unwrap_or_else(|| panic!("no {name}")).create
    };
    assert!(function("app.guard_private").contains("returns table(\"between\" integer, "));
    assert!(function("app.secret_private").contains(", \"position\" integer, "));
    let texts = objects.iter().filter(|o| o.create.contains("$$ x"));
    let bodies: Vec<_> = texts.filter(|o| o.create.contains("language ")).collect();
    assert!(!bodies.is_empty());
    for object in bodies {
        assert_eq!(
            object.create.matches("$body$").count(),
            2,
            "{}",
            object.create
        );
    }
}

#[test]
fn every_object_is_named_once_and_can_be_told_apart() {
    for model in both() {
        let mut seen = BTreeSet::new();
        for object in schema(&model).objects {
            let last = object
                .name
                .split('(')
                .next()
                .and_then(|n| n.rsplit('.').next())
                .unwrap_or_default();
            assert!(last.len() <= 63, "PostgreSQL would cut {}", object.name);
            assert!(object.create.trim_end().ends_with(';'), "{}", object.create);
            let kept = matches!(object.kind, Kind::Role | Kind::Extension);
            assert_eq!(object.drop.is_empty(), kept, "{}", object.name);
            assert!(
                seen.insert((object.kind, object.name.clone())),
                "{} is there twice",
                object.name
            );
        }
    }
}

/// Of a new row the audit log leaves the usual status out, but not a field that an entity calls `status` itself: it
/// may be of any type, and `active` may be one of several words.
#[test]
fn a_status_of_ones_own_is_audited_like_any_field() {
    let (mut own, mut usual) = (0, 0);
    for model in both() {
        let objects = schema(&model).objects;
        for entity in model.entities.iter().filter(|entity| entity.audit) {
            let name = format!("audit.record_{}()", entity.plural);
            let recorder = objects.iter().find(|object| object.name == name);
            let text = &recorder.unwrap_or_else(|| panic!("no {name}")).create;
            let is_left_out = text.contains("new.status <> 'active'");
            let is_archived = entity.lifecycle == Lifecycle::SoftDelete;
            assert_eq!(is_left_out, is_archived, "{}", entity.name);
            usual += usize::from(is_archived);
            own += usize::from(!is_archived && entity.field("status").is_some());
        }
    }
    assert!(own > 0 && usual > 20, "{own}, {usual}");
}

/// A quote may be deleted, and so restored, as a draft, and is declined also while it is archived: what comes back with a
/// lead is asked again, unless it went along in whatever state it was.
#[test]
fn values_are_asked_again_when_a_row_comes_back_and_counts_are_not() {
    let restores = |plural: &str, change: &dyn Fn(&mut Model)| {
        let mut model = model(".");
        change(&mut model);
        let name = format!("sec.restore_{plural}(uuid[])");
        let objects = schema(&model).objects;
        let function = objects.into_iter().find(|object| object.name == name);
        function.unwrap_or_else(|| panic!("no {name}")).create
    };
    let with_its_lead = |model: &mut Model, on_archive| {
        let quotes = model.entities.iter_mut().find(|one| one.name == "quote");
        let mut relations = quotes.expect("quotes").belongs.iter_mut();
        let lead = relations.find(|one| one.name == "lead");
        lead.expect("a lead").on_archive = on_archive;
    };
    let asks = |on_archive| {
        restores("quotes", &|model| with_its_lead(model, on_archive)).contains("t.state = 'draft'")
    };
    assert!(asks(OnArchive::Cascade));
    assert!(!asks(OnArchive::CascadeAlways));
    // Where `restore` asks what `delete` does: what is held and sold of a type stands in its row, an event's tickets are
    // counted.
    let same = |entity: &'static str| {
        move |model: &mut Model| {
            let mut entities = model.entities.iter_mut();
            let found = entities.find(|one| one.name == entity);
            let access = &mut found.expect("an entity").access;
            access.restore.clone_from(&access.delete);
        }
    };
    let state = "\"code\": \"state\"";
    assert!(restores("ticket_types", &same("ticket_type")).contains(state));
    assert!(!restores("events", &same("event")).contains(state));
}

/// A text that lists are filtered and sorted by has the index of its order, and no other beside it.
#[test]
fn no_two_indexes_differ_in_their_collation_alone() {
    let mut in_order = 0;
    for model in both() {
        let mut seen = BTreeSet::new();
        for object in schema(&model).objects {
            if object.kind != Kind::Index {
                continue;
            }
            let (_, what) = object.create.split_once(" on ").expect("a table");
            let plain = what.replace(" collate \"und-x-icu\"", "");
            in_order += usize::from(plain != what);
            assert!(seen.insert(plain), "{}", object.create);
        }
    }
    assert!(in_order > 10, "{in_order}");
}

#[test]
fn objects_come_in_the_order_of_their_kinds() {
    for model in both() {
        let kinds: Vec<Kind> = schema(&model).objects.iter().map(|o| o.kind).collect();
        assert!(kinds.is_sorted());
    }
}

#[test]
fn lines_of_the_schema_can_be_read() {
    for model in both() {
        for line in render(&schema(&model)).lines() {
            assert!(!line.ends_with(' '), "blank at the end: {line:?}");
            assert!(
                !line.contains("current_setting") || line.contains("pg_catalog.current_setting"),
                "{line}"
            );
        }
    }
}

/// No name in these rules is looked up, so that any entity does.
fn row(model: &Model, expr: &Expr) -> String {
    compile(model, 0, expr, "t", Context::Row)
}

#[test]
fn rules_fold_and_negate_in_two_values() {
    let model = model(".");
    let is = |word: &str| Expr::Compare {
        left: Value::Column("state".into()),
        op: Op::Eq,
        right: Value::Literal(Literal::Text(word.into())),
    };
    let not = |e: Expr| Expr::Not(Box::new(e));
    assert_eq!(
        row(&model, &Expr::All(vec![Expr::Anyone, is("open")])),
        "t.state = 'open'"
    );
    assert_eq!(
        row(&model, &Expr::Any(vec![Expr::Nobody, not(is("it's"))])),
        "(t.state = 'it''s') is not true"
    );
    assert_eq!(
        row(
            &model,
            &Expr::Any(vec![is("a"), Expr::All(vec![is("a"), is("b")])])
        ),
        "t.state = 'a'"
    );
    assert_eq!(row(&model, &not(Expr::Nobody)), "true");
    let signed_in = Expr::Any(vec![Expr::SignedIn, is("a")]);
    assert_eq!(
        compile(&model, 0, &signed_in, "", Context::Anonymous),
        "state = 'a'"
    );
}

#[test]
fn rules_ask_for_the_caller_once_per_statement() {
    let model = model(".");
    let (id, event) = model.entity("event").expect("there are events");
    let Access { update, .. } = &event.access;
    let text = compile(
        &model,
        id,
        update.as_ref().expect("events are updated"),
        "t",
        Context::Policy,
    );
    assert_eq!(
        text,
        "t.host_id in (select unnest(sec.scopes_org_admin())) \
         or t.city_id in (select unnest(sec.scopes_city_admin())) or (select sec.is_platform_admin())"
    );
}

/// The policies of a table are evaluated with the rights of the request role, which may not read such a column.
#[test]
fn a_rule_about_a_private_column_of_another_row_is_asked_as_a_function() {
    let mut sources = codegen::diag::Sources::default();
    let app = "app: clinic\ntitle: Clinic\ndoc: A clinic.\nidentity: person\nassignments: post\nroles:\n  nurse: everywhere\ntags:\n  All: [person, post, chart, note]\n";
    let chart = "entity: chart\ndoc: A chart.\nfields:\n  sealed: bool = false, read nurse, write nurse\nbelongs:\n  person: person\naccess:\n  nurse: me holds nurse\n  open: sealed == false\n  read: anyone\n  create: nurse\n  update: nurse\n";
    let note = "entity: note\ndoc: A note.\nfields:\n  text: text(1..80)\nbelongs:\n  chart: chart\naccess:\n  read: open of chart\n  create: me holds nurse\n";
    let person =
        "entity: person\ndoc: A person.\nfields:\n  name: text(1..80)\naccess:\n  read: anyone\n";
    let post = "entity: post\ndoc: A post.\nfields:\n  role: enum(nurse)\nbelongs:\n  person: person\naccess:\n  read: me is person\n  create: me holds nurse\n";
    for (name, text) in [
        ("app.yaml", app),
        ("entities/chart.yaml", chart),
        ("entities/note.yaml", note),
        ("entities/person.yaml", person),
        ("entities/post.yaml", post),
    ] {
        sources.add(format!("spec/{name}"), text.to_owned());
    }
    let model = codegen::load_sources(&sources).unwrap_or_else(|said| panic!("{said}"));
    let objects = schema(&model).objects;
    let policy = objects
        .iter()
        .find(|o| o.create.starts_with("create policy notes_select "))
        .expect("notes are read");
    let call = "sec.seen_chart_open(notes.chart_id)";
    assert!(policy.create.contains(call), "{}", policy.create);
}
