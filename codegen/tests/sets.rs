//! Which questions about the row above a policy over many rows asks by a set, and which by a call.

use codegen::emit::schema::schema;
use codegen::objects::Object;

const APP: &str = "app: clinic
title: Clinic
doc: A clinic.
identity: person
assignments: post
roles:
  nurse:  of ward
  doctor: everywhere
tags:
  All: [person, post, ward, bed, chart, page]
";
const PERSON: &str = "entity: person
doc: A person.
fields:
  name: text(1..80)
access:
  read: anyone
";
const POST: &str = "entity: post
doc: A post.
fields:
  role: enum(nurse, doctor)
belongs:
  person: person
  scope:  one of ward?
access:
  read:   me is person
  create: me holds doctor
";
const WARD: &str = "entity: ward
doc: A ward.
fields:
  title: text(1..80)
access:
  read:   anyone
  create: me holds doctor
";
const BED: &str = "entity: bed
doc: A bed.
fields:
  number: int(1..1000)
belongs:
  ward: ward
access:
  nurse:   me holds nurse of ward
  staff:   nurse or me holds doctor
  dry:     number > 10 and (nurse or me holds doctor)
  any_dry: number > 10
  read:    read of ward
  create:  nurse
";
const PAGE: &str = "entity: page
doc: A page.
fields:
  text: text(1..80)
belongs:
  chart: chart
access:
  read:   read of chart
  create: me holds doctor
";

fn chart(fields: &str, read: &str) -> String {
    format!(
        "entity: chart\ndoc: A chart.\nfields:\n  text: text(1..80)\n{fields}access:\n  read: {read}\n  create: staff of bed or dry of bed or any_dry of bed\n"
    )
}

fn objects(chart: &str) -> Vec<Object> {
    let mut sources = codegen::diag::Sources::default();
    for (name, text) in [
        ("app.yaml", APP),
        ("entities/person.yaml", PERSON),
        ("entities/post.yaml", POST),
        ("entities/ward.yaml", WARD),
        ("entities/bed.yaml", BED),
        ("entities/chart.yaml", chart),
        ("entities/page.yaml", PAGE),
    ] {
        sources.add(format!("spec/{name}"), text.to_owned());
    }
    let model = codegen::load_sources(&sources).unwrap_or_else(|said| panic!("{said}"));
    schema(&model).objects
}

/// The rule on one line, without the other states of a row.
fn policy(objects: &[Object], table: &str) -> String {
    let start = format!("create policy {table}_select ");
    let found = objects.iter().find(|o| o.create.starts_with(&start));
    let text = &found.expect("a policy").create;
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn set(objects: &[Object], name: &str) -> Option<String> {
    let start = format!("create function sec.{name}()");
    let found = objects.iter().find(|o| o.create.starts_with(&start))?;
    Some(
        found
            .create
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
    )
}

const OF_BED: &str = "belongs:\n  bed: bed\n";

#[test]
fn what_names_the_caller_is_a_set() {
    let objects = objects(&chart(OF_BED, "nurse of bed"));
    let charts = policy(&objects, "charts");
    assert!(
        charts.contains("charts.bed_id in (select sec.mine_bed_nurse())"),
        "{charts}"
    );
    let set = set(&objects, "mine_bed_nurse").expect("a set");
    assert!(
        set.contains("where t.ward_id = any ((select sec.scopes_nurse())::uuid[])"),
        "{set}"
    );
}

#[test]
fn who_is_not_named_is_asked_for_each_row() {
    let objects = objects(&chart(OF_BED, "staff of bed"));
    let charts = policy(&objects, "charts");
    assert!(
        charts.contains(
            "charts.bed_id in (select sec.mine_bed_staff()) \
             or ((select sec.is_doctor()) and sec.seen_bed_staff(charts.bed_id))"
        ),
        "{charts}"
    );
    let set = set(&objects, "mine_bed_staff").expect("a set");
    assert!(!set.contains("is_doctor"), "{set}");
}

#[test]
fn what_else_must_hold_stays_in_the_set() {
    let objects = objects(&chart(OF_BED, "dry of bed"));
    let set = set(&objects, "mine_bed_dry").expect("a set");
    assert!(set.contains("(select sec.scopes_nurse())"), "{set}");
    assert!(set.contains("and t.number > 10"), "{set}");
    assert!(!set.contains("is_doctor"), "{set}");
}

#[test]
fn what_holds_for_everybody_is_no_set() {
    for (rule, call) in [
        ("any_dry of bed", "sec.seen_bed_any_dry(charts.bed_id)"),
        ("read of bed", "sec.seen_bed(charts.bed_id) is not null"),
    ] {
        let objects = objects(&chart(OF_BED, rule));
        let charts = policy(&objects, "charts");
        assert!(charts.contains(call), "{charts}");
        assert!(!charts.contains("sec.mine_"), "{charts}");
    }
}

#[test]
fn what_is_below_a_set_is_looked_up() {
    let flat = format!("lifecycle: append_only\n{OF_BED}");
    let objects = objects(&chart(&flat, "nurse of bed or me holds doctor"));
    let pages = policy(&objects, "pages");
    assert!(
        pages.contains("(select true from app.charts p1 where p1.id = pages.chart_id)"),
        "{pages}"
    );
}
