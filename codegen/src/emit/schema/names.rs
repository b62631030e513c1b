//! Names of the objects in the database: roles, tables, constraints. Only this module composes them.
//!
//! A constraint is named `<table>_<column>_<kind>`, so that an error can name the field.

use crate::model::{Entity, Relation};

/// The database roles of an application.
#[derive(Clone, Copy)]
pub struct Roles<'a>(pub &'a str);

impl Roles<'_> {
    /// Owns the tables, but sees no row, because row-level security is forced.
    pub fn owner(self) -> String {
        format!("{}_owner", self.0)
    }
    /// Runs requests.
    pub fn app(self) -> String {
        format!("{}_app", self.0)
    }
    /// Runs modules and workers.
    pub fn job(self) -> String {
        format!("{}_job", self.0)
    }
    /// Owns the functions that bypass row-level security in order to decide on access.
    pub fn authz(self) -> String {
        format!("{}_authz", self.0)
    }
    /// Owns the functions that maintain derived columns and references.
    pub fn counter(self) -> String {
        format!("{}_counter", self.0)
    }
    /// Owns the queue of jobs, the outbox, and the keys of requests.
    pub fn queue(self) -> String {
        format!("{}_queue", self.0)
    }
    /// Owns the audit log.
    pub fn audit(self) -> String {
        format!("{}_audit", self.0)
    }
}

/// `sec.holds_event`, `sec.may_event`: answers questions about one row.
pub fn asked(question: &str, entity: &Entity) -> String {
    fit(format!("sec.{question}_{}", entity.name))
}

/// `app.events`
pub fn table(entity: &Entity) -> String {
    format!("app.{}", entity.plural)
}

/// `app.events_public`
pub fn projection(entity: &Entity) -> String {
    format!("app.{}_public", entity.plural)
}

/// `app.events_public_else`: the view of rows that are found at the place of a related row.
pub fn beside(entity: &Entity) -> String {
    fit(format!("{}_else", projection(entity)))
}

/// `app.events_search`
pub fn search(entity: &Entity) -> String {
    format!("app.{}_search", entity.plural)
}

/// `app.events_search_own`: the search in rows that the caller may read and others may not.
pub fn search_own(entity: &Entity) -> String {
    format!("{}_own", search(entity))
}

/// `orgAdmin` → `org_admin`
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_uppercase() && i > 0 {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// `host` + community → `host_community_id`: the generated column of a `one of`.
pub fn target_column(relation: &Relation, target: &Entity) -> String {
    format!("{}_{}_id", relation.name, target.name)
}

/// Part of the name of the foreign key to live rows, which applies while both rows are live.
pub fn live_column(column: &str) -> String {
    format!("live_{column}")
}

/// The longest last part that a shortened name keeps: `_else`, `_assigns` and the like.
const KIND_MAX: usize = 24;

/// Shortens names of more than 63 bytes, and adds a hash of the whole name. PostgreSQL would just truncate them, and
/// might make two of them equal.
pub fn fit(name: String) -> String {
    if name.len() <= 63 {
        return name;
    }
    let mark = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
    });
    // What comes last says of what kind it is (`_fkey`), unless it is itself a word of the spec.
    let kind = name.rfind('_').map_or("", |at| &name[at..]);
    let kind = if kind.len() > KIND_MAX { "" } else { kind };
    let keep = 63 - 7 - kind.len();
    format!("{}_{:06x}{kind}", &name[..keep], mark & 0xff_ffff)
}

/// `events_title_length`; the kinds are length, range, format, choice, check, order.
pub fn check(entity: &Entity, column: &str, kind: &str) -> String {
    fit(format!("{}_{column}_{kind}", entity.plural))
}

/// `events_city_id_slug_key`
pub fn unique(entity: &Entity, columns: &[String]) -> String {
    fit(format!("{}_{}_key", entity.plural, columns.join("_")))
}

/// `events_city_id_idx`
pub fn index(entity: &Entity, columns: &[String]) -> String {
    fit(format!("{}_{}_idx", entity.plural, columns.join("_")))
}

/// `events_city_id_fkey`; for a reference that also keeps a relation equal: `events_venue_id_same_city_fkey`.
pub fn foreign_key(entity: &Entity, column: &str, same: &[String]) -> String {
    let same = if same.is_empty() {
        String::new()
    } else {
        format!("_same_{}", same.join("_"))
    };
    fit(format!("{}_{column}{same}_fkey", entity.plural))
}

/// `events_user_id_valid_from_excl`
pub fn exclusion(entity: &Entity, columns: &[String]) -> String {
    fit(format!("{}_{}_excl", entity.plural, columns.join("_")))
}

/// `events_publish_when`, `events_publish_from`, `events_cancel_reason`
pub fn guard(entity: &Entity, verb: &str, kind: &str) -> String {
    fit(format!("{}_{verb}_{kind}", entity.plural))
}

/// `quotes_valid_until_future`: the rule that the error names, and the trigger that checks changed values.
pub fn future(entity: &Entity, column: &str) -> String {
    fit(format!("{}_{column}_future", entity.plural))
}

/// `quotes_valid_until_new_future`: the trigger that checks the value of a new row.
pub fn future_when_created(entity: &Entity, column: &str) -> String {
    fit(format!("{}_{column}_new_future", entity.plural))
}

/// `events_quota`: the trigger that counts creations, which is also the constraint that its error names.
pub fn quota(entity: &Entity) -> String {
    fit(format!("{}_quota", entity.plural))
}

pub fn keep(entity: &Entity, name: &str) -> String {
    fit(format!("{}_{name}_keep", entity.plural))
}

/// `role_assignments_still_may`: the constraint in the error if the giver of a role may not give it any more.
pub fn still_may(entity: &Entity) -> String {
    fit(format!("{}_still_may", entity.plural))
}

/// `events_host_along`: the constraint in the error if a row can't be archived together with what `host` refers to.
pub fn along(entity: &Entity, relation: &Relation) -> String {
    fit(format!("{}_{}_along", entity.plural, relation.name))
}

/// `app.archived_events`. The engine calls the function by this name.
pub fn archived(entity: &Entity) -> String {
    format!("app.archived_{}", entity.plural)
}

/// `events_while_archived_idx`
pub fn archived_index(entity: &Entity) -> String {
    fit(format!("{}_while_archived_idx", entity.plural))
}

/// `events_archived_stays`
pub fn stays(entity: &Entity) -> String {
    fit(format!("{}_archived_stays", entity.plural))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(snake("platformAdmin"), "platform_admin");
        let long = fit(format!("{}_fkey", "a".repeat(80)));
        assert_eq!(long.len(), 63);
        assert!(long.ends_with("_fkey"));
        assert_ne!(long, fit(format!("{}b_fkey", "a".repeat(80))));
        // A long word of a spec may come last.
        for length in 20..200 {
            let name = format!("app.things_in_{}", "x".repeat(length));
            assert_eq!(fit(name.clone()).len(), name.len().min(63));
            assert_ne!(fit(name.clone()), fit(format!("{name}x")));
        }
    }
}
