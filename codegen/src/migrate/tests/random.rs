//! For any two schemas, the steps lead from one to the other and back.

use super::super::change::Renames;
use super::super::diff::{Direction, diff};
use super::super::recount::After;
use super::super::stage::stages;
use super::world::World;
use super::{check, column, index, object, policy, schema, table};
use crate::objects::{Column, Kind, Object, Schema};

#[test]
fn the_steps_lead_from_any_schema_to_any_other() {
    for seed in 1..=400 {
        let (old, new, renames) = pair(seed);
        let result = std::panic::catch_unwind(|| leads(&old, &new, &renames));
        assert!(
            result.is_ok(),
            "seed {seed}: {}",
            told(&old, &new, &renames)
        );
    }
}

/// The steps in both directions, for the message of a failed test.
fn told(old: &Schema, new: &Schema, renames: &Renames) -> String {
    let stages = stages(old, new, renames, &|_, _| "0".to_owned(), &After::default());
    let side = |ops: &[super::super::op::Op]| {
        ops.iter()
            .map(|op| format!("  {}\n", op.summary()))
            .collect::<String>()
    };
    stages
        .iter()
        .map(|s| format!("{:?} up\n{}down\n{}", s.part, side(&s.up), side(&s.down)))
        .collect()
}

#[test]
fn there_is_nothing_to_do_between_equal_schemas() {
    for seed in 1..=100 {
        let (_, new, _) = pair(seed);
        assert!(
            stages(
                &new,
                &new,
                &Renames::default(),
                &|_, _| "0".to_owned(),
                &After::default()
            )
            .is_empty(),
            "seed {seed}"
        );
    }
}

fn leads(old: &Schema, new: &Schema, renames: &Renames) {
    let stages = stages(old, new, renames, &|_, _| "0".to_owned(), &After::default());
    let mut world = World::of(old);
    stages
        .iter()
        .flat_map(|s| &s.up)
        .for_each(|op| world.apply(op));
    world.assert_is(new);
    let again = diff(&world.schema, new, &Renames::default(), &Direction::Up);
    assert!(again.is_empty(), "{again:?}");
    for stage in stages.iter().rev() {
        stage.down.iter().for_each(|op| world.apply(op));
    }
    world.assert_shape(old);
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Two schemas over the same few names, some tables and columns renamed on the way.
fn pair(seed: u64) -> (Schema, Schema, Renames) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..20 {
        random.below(2);
    }
    let old = any(&mut random, None);
    let mut renames = Renames::default();
    if random.chance(40) {
        renames
            .tables
            .push(("app.t0".to_owned(), "app.t9".to_owned()));
    }
    let base = random.chance(70).then_some(&old);
    let new = any(&mut random, base.map(|old| (old, &renames)));
    (old, new, renames)
}

/// A random schema. With a base, most columns of its tables stay, some of them renamed.
fn any(random: &mut Random, base: Option<(&Schema, &Renames)>) -> Schema {
    let mut objects = Vec::new();
    for f in 0..2 + random.below(3) {
        let ty = ["integer", "text"][usize::try_from(random.below(4) / 3).unwrap()];
        let create = format!(
            "create function sec.f{f}() returns {ty}\n  language sql as $$ select {} $$;",
            random.below(3)
        );
        objects.push(object(
            Kind::Function,
            None,
            &format!("sec.f{f}()"),
            &create,
        ));
    }
    let mut tables: Vec<Object> = Vec::new();
    for n in 0..3 {
        if random.chance(80) {
            let renamed = base.is_some_and(|(_, renames)| n == 0 && !renames.tables.is_empty());
            let name = if renamed {
                "t9".to_owned()
            } else {
                format!("t{n}")
            };
            let before = base
                .and_then(|(old, _)| old.objects.iter().find(|o| o.name == format!("app.t{n}")));
            tables.push(table(&name, columns(random, n, before)));
        }
    }
    for t in &tables {
        let others: Vec<&Object> = tables.iter().collect();
        objects.extend(around(random, t, &others));
    }
    objects.extend(tables);
    let has = |f: u64| objects.iter().any(|o| o.name == format!("sec.f{f}()"));
    let known: Vec<u64> = (0..5).filter(|f| has(*f)).collect();
    // Objects that name a function which doesn't exist are left out.
    let names_unknown = |text: &str| {
        (0..5).any(|f| {
            !known.contains(&f) && super::super::text::mentions(text, &format!("sec.f{f}"))
        })
    };
    objects.retain(|o| matches!(o.kind, Kind::Table | Kind::Function) || !names_unknown(&o.create));
    for o in &mut objects {
        for c in &mut o.columns {
            if c.default.as_deref().is_some_and(names_unknown) {
                c.default = None;
            }
        }
    }
    schema(objects)
}

fn columns(random: &mut Random, n: u64, before: Option<&Object>) -> Vec<Column> {
    let mut id = column("id", "uuid");
    id.not_null = true;
    let mut found = vec![id];
    let mut numbers: Vec<u64> = (0..4).map(|k| n * 100 + k).collect();
    numbers.retain(|_| random.chance(75));
    for number in numbers {
        let mut c = column(
            &format!("c{number}"),
            ["integer", "bigint", "text"][usize::try_from(random.below(3)).unwrap()],
        );
        c.not_null = random.chance(40);
        c.default = match random.below(4) {
            0 => Some("1".to_owned()),
            1 => Some(format!("sec.f{}()", random.below(5))),
            _ => None,
        };
        let there = |name: &str| before.is_some_and(|t| t.columns.iter().any(|o| o.name == name));
        if random.chance(30) && there(&c.name) {
            let was = std::mem::replace(&mut c.name, format!("c{}", number + 50));
            c.was = Some(was);
        }
        found.push(c);
    }
    let plain: Vec<String> = found.iter().skip(1).map(|c| c.name.clone()).collect();
    if let Some(of) = plain.first().filter(|_| random.chance(50)) {
        let mut c = column(&format!("c{}", n * 100 + 90 + random.below(2)), "integer");
        c.generated = Some(format!("length({of}::text) + {}", random.below(2)));
        found.push(c);
    }
    found
}

fn around(random: &mut Random, t: &Object, tables: &[&Object]) -> Vec<Object> {
    let mut found = Vec::new();
    let name = t.name.trim_start_matches("app.").to_owned();
    let names: Vec<&str> = t.columns.iter().skip(1).map(|c| c.name.as_str()).collect();
    for c in &names {
        if random.chance(40) {
            found.push(check(
                &name,
                &format!("{name}_{c}_check"),
                &format!("{c} > {}", random.below(2)),
            ));
        }
        if random.chance(20) {
            found.push(check(
                &name,
                &format!("{name}_{c}_fine"),
                &format!("sec.f{}() = {c}", random.below(5)),
            ));
        }
        if random.chance(40) {
            found.push(index(&name, &format!("{name}_{c}_idx"), c));
        }
        if random.chance(40) {
            let create =
                format!("alter table app.{name} add constraint {name}_{c}_key\n  unique ({c});");
            let key = object(
                Kind::Constraint,
                Some(&name),
                &format!("app.{name}.{name}_{c}_key"),
                &create,
            );
            let from = tables[usize::try_from(random.below(tables.len() as u64)).unwrap()];
            if let Some(own) = from.columns.get(1).filter(|_| from.name != t.name) {
                let child = from.name.trim_start_matches("app.");
                let create = format!(
                    "alter table app.{child} add constraint {child}_{}_{c}_fkey\n  foreign key ({}) references app.{name} ({c});",
                    own.name, own.name
                );
                let fk = format!("app.{child}.{child}_{}_{c}_fkey", own.name);
                found.push(object(Kind::ForeignKey, Some(child), &fk, &create));
            }
            found.push(key);
        }
        if random.chance(30) {
            found.push(policy(
                &name,
                &format!("{name}_{c}_read"),
                &format!("{c} = sec.f{}()", random.below(5)),
            ));
        }
    }
    if let Some(c) = names.first() {
        let view = format!("app.v{}", name.trim_start_matches('t'));
        if random.chance(50) {
            found.push(object(
                Kind::View,
                Some(&name),
                &view,
                &format!("create view {view} as select {c} from app.{name};"),
            ));
            if let Some(other) = tables
                .iter()
                .find(|o| o.name != t.name && random.chance(50))
            {
                let other = other.name.trim_start_matches("app.");
                found.push(policy(
                    other,
                    &format!("{other}_{name}_seen"),
                    &format!("exists (select from {view})"),
                ));
            }
        }
        let function = format!("app.{name}_guard()");
        let create = format!(
            "create function {function} returns trigger\n  language plpgsql as $$ begin -- {c} {} end $$;",
            random.below(2)
        );
        found.push(object(Kind::TableFunction, Some(&name), &function, &create));
        let create = format!(
            "create trigger {name}_guard\n  before update of {c} on app.{name} for each row execute function {function};"
        );
        found.push(object(
            Kind::Trigger,
            Some(&name),
            &format!("app.{name}.{name}_guard"),
            &create,
        ));
    }
    if random.chance(70) {
        let granted = if random.chance(50) {
            String::new()
        } else {
            format!(" ({})", names.join(", "))
        };
        if !names.is_empty() {
            let create = format!("grant select{granted} on app.{name} to reader;");
            found.push(object(
                Kind::Grant,
                Some(&name),
                &format!("app.{name}.reader"),
                &create,
            ));
        }
    }
    found
}
