//! Simplifies a condition when something is known about the row or the caller.
//!
//! Knows no model.

use super::predicate::{LOOKED_UP, Sql, all, any, not};

impl Sql {
    /// Simplifies `self` under the assumption that `known` holds: `known and self` is equivalent to `known and
    /// self.assuming(known)`.
    pub fn assuming(&self, known: &Sql) -> Sql {
        match known {
            Sql::All(facts) => self.given(facts),
            fact => self.given(std::slice::from_ref(fact)),
        }
    }

    fn given(&self, facts: &[Sql]) -> Sql {
        if facts.iter().any(|fact| fact.implies(self)) {
            return Sql::True;
        }
        if facts.iter().any(|fact| fact.denies(self)) {
            return Sql::False;
        }
        match self {
            Sql::All(parts) => all(parts.iter().map(|p| p.given(facts))),
            Sql::Any(parts) => any(parts.iter().map(|p| p.given(facts))),
            Sql::Not(part) => not(part.given(facts)),
            // Inside a sub-query, the same text may refer to another row.
            Sql::True | Sql::False | Sql::Atom(_) | Sql::Exists(..) => self.clone(),
        }
    }

    fn implies(&self, other: &Sql) -> bool {
        match (self, other) {
            _ if self == other => true,
            (Sql::Any(few), Sql::Any(many)) => few.iter().all(|part| many.contains(part)),
            _ => false,
        }
    }

    fn denies(&self, other: &Sql) -> bool {
        matches!(self, Sql::Not(denied) if **denied == *other)
    }

    /// The condition with `words` replaced by false, except under `not`. It is equivalent if none of `words` holds,
    /// and otherwise holds less often.
    pub fn without(&self, words: &[Sql]) -> Sql {
        match self {
            word if words.contains(word) => Sql::False,
            Sql::All(parts) => all(parts.iter().map(|p| p.without(words))),
            Sql::Any(parts) => any(parts.iter().map(|p| p.without(words))),
            other => other.clone(),
        }
    }

    /// Sorts the operands of every `or` by their cost if evaluated for many rows. Operands of equal cost keep the
    /// order of the spec, which has the most usual first.
    pub fn cheap_first(self) -> Sql {
        self.sorted(&Sql::cost)
    }

    /// Like [`Sql::cheap_first`] for a single row, for which a sub-query is not cheaper than a function call.
    pub fn free_first(self) -> Sql {
        self.sorted(&|part| part.cost().min(Cost::SubPlan))
    }

    fn sorted(self, key: &impl Fn(&Sql) -> Cost) -> Sql {
        match self {
            Sql::All(parts) => Sql::All(parts.into_iter().map(|p| p.sorted(key)).collect()),
            Sql::Any(parts) => {
                let mut parts: Vec<Sql> = parts.into_iter().map(|p| p.sorted(key)).collect();
                parts.sort_by_key(key);
                Sql::Any(parts)
            }
            other => other,
        }
    }

    /// Whether the condition uses no other table, and calls no function that would.
    pub fn is_flat(&self) -> bool {
        match self {
            Sql::True | Sql::False => true,
            Sql::Atom(text) => !calls(text) && !text.contains(LOOKED_UP),
            Sql::All(parts) | Sql::Any(parts) => parts.iter().all(Sql::is_flat),
            Sql::Not(part) => part.is_flat(),
            Sql::Exists(..) => false,
        }
    }

    fn cost(&self) -> Cost {
        match self {
            Sql::True | Sql::False => Cost::Nothing,
            Sql::Atom(text) if calls(text) => Cost::Call,
            Sql::Atom(text) if text.contains(" in (select ") || text.contains(LOOKED_UP) => {
                Cost::SubPlan
            }
            Sql::Atom(_) => Cost::Nothing,
            Sql::All(parts) | Sql::Any(parts) => {
                parts.iter().map(Sql::cost).max().unwrap_or(Cost::Nothing)
            }
            Sql::Not(part) => part.cost(),
            Sql::Exists(_, condition) => condition.cost().max(Cost::SubPlan),
        }
    }
}

/// Whether the text calls a generated function for every row.
fn calls(text: &str) -> bool {
    text.contains("sec.seen_") || text.contains("sec.outranks(")
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Cost {
    /// Columns, and expressions that are evaluated once per statement.
    Nothing,
    SubPlan,
    Call,
}

#[cfg(test)]
mod tests {
    use super::super::predicate::{atom, exists};
    use super::*;

    #[test]
    fn what_is_known_is_left_out() {
        let [a, b, c, d] = ["a", "b", "c", "d"].map(atom);
        let seen = any([
            all([
                c.clone(),
                any([d.clone(), all([b.clone(), d.clone()]), a.clone()]),
            ]),
            all([b.clone(), any([a.clone(), d.clone()])]),
        ]);
        assert_eq!(seen.assuming(&a).line(), "c or b");
        assert_eq!(seen.assuming(&all([a.clone(), c.clone()])), Sql::True);
        let either = any([a.clone(), d.clone()]);
        assert_eq!(seen.assuming(&either).line(), "c or b");
        assert_eq!(
            either.assuming(&any([a.clone(), b.clone()])),
            either,
            "b may be what holds"
        );
        assert_eq!(a.assuming(&not(a.clone())), Sql::False);
        assert_eq!(not(a.clone()).assuming(&a), Sql::False);
    }

    #[test]
    fn a_subquery_is_known_only_as_a_whole() {
        let a = atom("a");
        let inside = exists("t", all([a.clone(), atom("b")]));
        assert_eq!(inside.assuming(&a), inside);
        assert_eq!(inside.assuming(&inside), Sql::True);
    }

    #[test]
    fn what_others_hold_is_left_out_only_where_it_is_asked_for() {
        let [a, b, c] = ["a", "b", "c"].map(atom);
        let words = [a.clone()];
        let mixed = any([
            all([a.clone(), b.clone()]),
            all([c.clone(), not(a.clone())]),
        ]);
        assert_eq!(mixed.without(&words), all([c, not(a)]));
    }

    #[test]
    fn what_costs_nothing_comes_first() {
        let text = any([
            atom("sec.seen_event(t.event_id)"),
            all([atom("t.a"), exists("app.users p1", atom("p1.id = t.b"))]),
            atom("t.c in (select sec.my_c())"),
            atom("t.d = (select sec.uid())"),
            atom("t.e"),
        ])
        .cheap_first()
        .line();
        assert_eq!(
            text,
            "t.d = (select sec.uid()) or t.e \
             or (t.a and exists (select 1 from app.users p1 where p1.id = t.b)) \
             or t.c in (select sec.my_c()) or sec.seen_event(t.event_id)"
        );
    }

    /// A pseudo-random generator with a fixed seed.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % limit
        }

        fn tree(&mut self, depth: u32) -> Sql {
            let kind = if depth == 0 { 0 } else { self.below(4) };
            let parts = |dice: &mut Dice| -> Vec<Sql> {
                (0..1 + dice.below(4))
                    .map(|_| dice.tree(depth - 1))
                    .collect()
            };
            match kind {
                1 => all(parts(self)),
                2 => any(parts(self)),
                3 => not(self.tree(depth - 1)),
                _ => atom(self.below(WORDS).to_string()),
            }
        }
    }

    const WORDS: u64 = 5;

    /// Evaluates a condition; the bits of `world` say which atoms hold.
    fn holds(condition: &Sql, world: u64) -> bool {
        match condition {
            Sql::True => true,
            Sql::False => false,
            Sql::Atom(word) => world >> word.parse::<u64>().expect("a number") & 1 == 1,
            Sql::All(parts) => parts.iter().all(|p| holds(p, world)),
            Sql::Any(parts) => parts.iter().any(|p| holds(p, world)),
            Sql::Not(part) => !holds(part, world),
            Sql::Exists(..) => unreachable!("not among these trees"),
        }
    }

    #[test]
    fn nothing_changes_in_meaning() {
        let mut dice = Dice(1);
        let mut shorter = 0;
        for _ in 0..5_000 {
            let (known, whole) = (dice.tree(2), dice.tree(4));
            let words = [atom("0"), atom("1")];
            let (rest, less) = (whole.assuming(&known), whole.without(&words));
            shorter += usize::from(rest != whole);
            for world in 0..1 << WORDS {
                let before = holds(&whole, world);
                if holds(&known, world) {
                    assert_eq!(before, holds(&rest, world), "{whole:?} given {known:?}");
                }
                assert!(before || !holds(&less, world), "{whole:?}: {less:?}");
                if world & 0b11 == 0 {
                    assert_eq!(before, holds(&less, world), "{whole:?}: {less:?}");
                }
                assert_eq!(before, holds(&whole.clone().cheap_first(), world));
                assert_eq!(before, holds(&whole.clone().free_first(), world));
            }
        }
        assert!(shorter > 1_000, "{shorter} became shorter");
    }
}
