//! What phrases mean: the small world of the bad fixtures, with one line changed, as a model.

use codegen::diag::Sources;
use codegen::emit::openapi::words::{Caller, May, may};
use codegen::model::{DerivedKind, Entity, Expr, Model, OfWhat, whereabouts};
use std::path::Path;

#[test]
fn mixins_come_first_where_they_are_named_first() {
    let names = |model: &Model| -> Vec<String> {
        fields(entity(model, "organization"))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(names(&world(&[])), ["links", "verified", "name"]);
    let last = world(&[
        ("organization", "mixins: [profile]\n", ""),
        ("organization", "belongs:", "mixins: [profile]\nbelongs:"),
    ]);
    assert_eq!(names(&last), ["name", "links", "verified"]);
}

#[test]
fn restore_is_for_those_who_delete_unless_it_says_otherwise() {
    let model = world(&[]);
    let access = &entity(&model, "event").access;
    assert_eq!(access.restore, access.delete);
    let model = world(&[("event", "  suspend:", "  restore: nobody\n  suspend:")]);
    assert_eq!(entity(&model, "event").access.restore, None);
}

#[test]
fn denial_wins_over_the_grant_and_follows_delete_into_restore() {
    let model = world(&[(
        "event",
        "  suspend:",
        "  deny delete: state == published\n  suspend:",
    )]);
    let access = &entity(&model, "event").access;
    let Some(Expr::All(parts)) = &access.delete else {
        panic!("{access:?}")
    };
    assert!(matches!(parts.as_slice(), [_, Expr::Not(_)]));
    assert_eq!(access.restore, access.delete);
}

#[test]
fn the_caller_of_a_membership_is_found_or_named() {
    let me = |model: &Model| match &entity(model, "organization").conditions[1].expr {
        Expr::MeIn { me, .. } => me.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(me(&world(&[])), "user");
    let named = world(&[
        (
            "member",
            "  user: user, set me\n",
            "  user: user, set me\n  guest: user?\n",
        ),
        (
            "organization",
            "me in members where",
            "me in members as guest where",
        ),
    ]);
    assert_eq!(me(&named), "guest");
}

#[test]
fn one_of_several_is_asked_only_where_it_has_the_condition() {
    let model = world(&[(
        "event",
        "one of organization, same city",
        "one of organization | city, same city",
    )]);
    let (organization, _) = model.entity("organization").unwrap();
    let Some(Expr::Any(parts)) = &entity(&model, "event").access.read else {
        panic!()
    };
    let Expr::Of { what, .. } = &parts[1] else {
        panic!("{parts:?}")
    };
    assert_eq!(what, &[(organization, OfWhat::Condition(1))]);
}

#[test]
fn null_is_asked_for_and_never_compared() {
    let model = world(&[(
        "event",
        "\nindex:",
        "\ncheck:\n  open: capacity != null\nindex:",
    )]);
    let expr = &entity(&model, "event").checks[0].expr;
    let Expr::Not(inner) = expr else {
        panic!("{expr:?}")
    };
    assert!(matches!(**inner, Expr::IsNull(_)));
}

#[test]
fn relations_in_lists_become_their_columns() {
    let model = world(&[("event", "[[city, starts_at]]", "[[host, starts_at]]")]);
    assert_eq!(
        entity(&model, "event").index,
        [["host_type", "host_id", "starts_at"]]
    );
}

#[test]
fn counters_keep_their_filter() {
    let model = world(&[]);
    let kind = &entity(&model, "organization").derived[0].kind;
    assert!(
        matches!(
            kind,
            DerivedKind::Count {
                has: 0,
                filter: Some(_)
            }
        ),
        "{kind:?}"
    );
}

#[test]
fn every_mistake_of_a_stage_is_told_at_once() {
    let said = try_world(&[
        (
            "event",
            "me holds orgAdmin of host",
            "me holds orgadmin of host",
        ),
        ("event", "starts_at > now()", "starts > now()"),
        ("member", "me is user or", "me is usr or"),
    ]);
    let said = said.unwrap_err();
    assert_eq!(said.list.len(), 3, "{said}");
}

#[test]
fn the_starter_of_a_new_entity_has_no_mistakes() {
    for mut sources in [sources(&[]), library()] {
        let app = sources.files[0].text.clone();
        let (path, text) = codegen::starter::starter("wish_list", &app).unwrap();
        sources.add(path, text);
        // Where entities are under tags, the new one has to be put under one.
        let tagged = app.replace("\ntags:\n", "\ntags:\n  Wishes: [wish_list]\n");
        sources.files[0].text = tagged;
        let model = codegen::load_sources(&sources).unwrap_or_else(|said| panic!("{said}"));
        assert_eq!(entity(&model, "wish_list").plural, "wish_lists");
    }
    for name in ["Wish-List", "on", "type"] {
        assert!(codegen::starter::starter(name, "").is_err(), "{name}");
    }
}

/// Another application, whose members are not called users.
fn library() -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/library/spec");
    let mut sources = Sources::default();
    let mut read = |path: String| {
        let text = std::fs::read_to_string(root.join(&path)).unwrap();
        sources.add(format!("spec/{path}"), text);
    };
    read("app.yaml".to_owned());
    let mut names: Vec<_> = (std::fs::read_dir(root.join("entities")).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
        .into_iter()
        .for_each(|name| read(format!("entities/{name}")));
    sources
}

/// A rule that names what the transition changes says nothing of the row afterwards.
#[test]
fn whoever_changes_a_row_out_of_their_own_sight_is_known() {
    let hides = |read: &str, by: &str| {
        let rules = format!(
            "  read: {read} or city_admin or member of host\n  create: host\n  update: host and featured\n"
        );
        let model = world(&[
            (
                "event",
                "  read: state != draft or member of host or host or city_admin\n",
                "",
            ),
            (
                "event",
                "  create: host\n  update: host or city_admin\n",
                &rules,
            ),
            (
                "event",
                "  delete: host or city_admin\n",
                "  delete: city_admin\n",
            ),
            (
                "event",
                "door_code: text(4..12)?, read host or city_admin, write host, redact",
                "door_code: text(4..12)?",
            ),
            (
                "event",
                "  publish: draft -> published, by host, when starts_at > now()\n  cancel: draft | published -> cancelled, by host or city_admin, reason\n  feature: set featured = true, by city_admin\n",
                &format!(
                    "  publish: draft -> published, by {by}\n  cancel: draft | published -> cancelled, by host and featured\n"
                ),
            ),
            (
                "event",
                "featured: bool = false, system",
                "featured: bool = false",
            ),
            ("event", "text(1..140), search, sort", "text(1..140), sort"),
            ("event", "hooks: [create, publish]\n", ""),
        ]);
        let (id, _) = model.entity("event").expect("an event");
        codegen::model::implied::hides(&model, id)
    };
    assert!(!hides("host", "host"));
    assert!(!hides("host", "host and state == draft"));
    // The state is not draft any more, whoever could say so before.
    assert!(hides("host and state == draft", "host and state == draft"));
    assert!(!hides("host and featured", "host and featured"));
    assert!(!hides(
        "host and (featured or state != draft)",
        "host and featured"
    ));
}

fn fields(entity: &Entity) -> impl Iterator<Item = &str> {
    entity.fields.iter().map(|f| f.name.as_str())
}

fn entity<'a>(model: &'a Model, name: &str) -> &'a Entity {
    model.entity(name).expect(name).1
}

/// National telephone numbers are taken to be of the country at the end of the shortest path. If two paths are equally
/// short, there is no country.
#[test]
fn a_country_is_found_by_the_shortest_way() {
    let way = |model: &Model, name: &str| -> Option<String> {
        let (id, _) = model.entity(name).expect("an entity");
        let way = whereabouts::way(model, id)?;
        let steps = way.steps.iter().map(|relation| relation.name.as_str());
        let steps: Vec<&str> = steps.chain([way.column]).collect();
        Some(steps.join("."))
    };
    let of_city = ("city", "fields:\n", "fields:\n  country: country\n");
    let model = world(&[of_city]);
    assert_eq!(way(&model, "city").as_deref(), Some("country"));
    assert_eq!(way(&model, "organization").as_deref(), Some("city.country"));
    assert_eq!(way(&model, "user").as_deref(), Some("home.country"));
    // There are two equally short paths: by the organization and by the user.
    assert_eq!(way(&model, "member"), None);
    let own = ("member", "fields:\n", "fields:\n  land: country?\n");
    assert_eq!(
        way(&world(&[of_city, own]), "member").as_deref(),
        Some("land")
    );
    assert_eq!(way(&world(&[]), "organization"), None);
}

/// A rule `read of …` that a kind of caller can never fulfil closes the entity to that kind of caller as well.
#[test]
fn who_may_follows_rules_through_relations() {
    let reads = |model: &Model, caller: Caller| {
        let (id, member) = model.entity("member").expect("an entity");
        may(
            model,
            id,
            member.access.read.as_ref().expect("a rule"),
            caller,
        )
    };
    let with = (
        "member",
        "read: me is user or admin of organization",
        "read: read of organization",
    );
    let model = world(&[with]);
    assert_eq!(reads(&model, Caller::Anonymous), May::Depends);
    let closed = world(&[with, ("organization", "read: anyone", "read: admin")]);
    assert_eq!(reads(&closed, Caller::Anonymous), May::No);
    assert_eq!(reads(&closed, Caller::SignedIn), May::No);
    let admin = closed.roles.iter().position(|role| role.name == "orgAdmin");
    assert_eq!(
        reads(&closed, Caller::Role(admin.expect("a role"))),
        May::Depends
    );
}

/// The base world with texts replaced: (entity, from, to).
fn world(changes: &[(&str, &str, &str)]) -> Model {
    try_world(changes).unwrap_or_else(|said| panic!("{said}"))
}

fn try_world(changes: &[(&str, &str, &str)]) -> Result<Model, codegen::diag::Diagnostics> {
    codegen::load_sources(&sources(changes))
}

fn sources(changes: &[(&str, &str, &str)]) -> Sources {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad/base");
    let mut sources = Sources::default();
    sources.add(
        "spec/app.yaml",
        std::fs::read_to_string(base.join("app.yaml")).unwrap(),
    );
    let mut paths: Vec<_> = std::fs::read_dir(base.join("entities"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort_unstable();
    for path in paths {
        let mut text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        for (_, from, to) in changes.iter().filter(|(entity, ..)| *entity == name) {
            assert!(text.contains(from), "{name} has no {from:?}");
            text = text.replacen(from, to, 1);
        }
        sources.add(format!("spec/entities/{name}.yaml"), text);
    }
    sources
}
