//! Updates of entities with columns that only some callers may read.
//!
//! Knows no entity, runs nothing.

/// The parts of an update statement. A statement that keeps the old value of a column has to read it, which the role
/// of requests may not do with these columns; so the statement sets exactly those that the body gives.
#[derive(Clone, Copy)]
pub struct GuardedUpdate {
    /// `update … as t set `
    pub start: &'static str,
    /// Sets the columns that all callers may read, whether the body gives them or not. Empty if there are none.
    pub sets: &'static str,
    /// ` where t.id = $1 and <$2 is null or holds the version>`
    pub condition: &'static str,
    /// The updatable columns that only some callers may read.
    pub columns: &'static [GuardedColumn],
    /// ` returning t.id, t.version`
    pub end: &'static str,
}

/// PostgreSQL infers the types of all arguments from the statement, so both arguments of a column are mentioned even
/// if the body does not give it.
#[derive(Clone, Copy)]
pub struct GuardedColumn {
    /// `phone`
    pub name: &'static str,
    /// `phone = $20::text`
    pub set: &'static str,
    /// `$19::bool`: whether the body gives the column.
    pub given: &'static str,
    /// `$20::text is null`
    pub empty: &'static str,
}

impl GuardedUpdate {
    /// Whether any of these properties is one of the guarded columns.
    pub fn concerns(&self, given: &[&str]) -> bool {
        self.columns
            .iter()
            .any(|column| given.contains(&column.name))
    }

    /// The statement for a body that gives these properties.
    pub fn text(&self, given: &[&str]) -> String {
        let (mut sets, mut conditions) = (Vec::new(), String::new());
        for column in self.columns {
            if given.contains(&column.name) {
                sets.push(column.set);
                conditions += &format!(" and {}", column.given);
            } else {
                conditions += &format!(" and not {} and {}", column.given, column.empty);
            }
        }
        sets.extend(Some(self.sets).filter(|sets| !sets.is_empty()));
        let sets = sets.join(", ");
        [self.start, &sets, self.condition, &conditions, self.end].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPDATE: GuardedUpdate = GuardedUpdate {
        start: "update users as t set ",
        sets: "bio = case when $3 then $4 else t.bio end",
        condition: " where t.id = $1",
        columns: &[
            GuardedColumn {
                name: "phone",
                set: "phone = $6::text",
                given: "$5::bool",
                empty: "$6::text is null",
            },
            GuardedColumn {
                name: "salary",
                set: "salary = $8::int4",
                given: "$7::bool",
                empty: "$8::int4 is null",
            },
        ],
        end: " returning t.id",
    };

    #[test]
    fn only_given_columns_are_set() {
        assert!(!UPDATE.concerns(&["bio"]));
        assert!(UPDATE.concerns(&["bio", "salary"]));
        assert_eq!(
            UPDATE.text(&["bio", "salary"]),
            "update users as t set salary = $8::int4, bio = case when $3 then $4 else t.bio end where t.id = $1 \
             and not $5::bool and $6::text is null and $7::bool returning t.id"
        );
    }

    #[test]
    fn an_entity_may_have_guarded_columns_only() {
        let update = GuardedUpdate { sets: "", ..UPDATE };
        assert_eq!(
            update.text(&["phone", "salary"]),
            "update users as t set phone = $6::text, salary = $8::int4 where t.id = $1 and $5::bool and $7::bool \
             returning t.id"
        );
    }
}
