//! What is expected of operations whose subject has ended, where that is something else than a refusal.

use super::ways::How;
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Refused,
    /// It may succeed.
    Done,
}

/// An exception: operations, labels of rows, ways of ending (as they are displayed); `*` stands for all.
struct May {
    operations: &'static [&'static str],
    rows: &'static [&'static str],
    ways: &'static [&'static str],
    because: &'static str,
}

const MAY: &[May] = &[May {
    operations: &[
        "unlikeEvent",
        "unfollowUser",
        "unfollowCommunity",
        "unfollowOrganization",
        "unfollowBusiness",
        "unfollowVenue",
        "unfollowInstitution",
    ],
    rows: &["*"],
    ways: &["*"],
    because: "it takes back, and says 204 where nothing is left to take back",
}];

pub fn of(operation: &str, row: &str, how: &How) -> Expected {
    let how = how.to_string();
    match MAY.iter().any(|may| may.fits(operation, row, &how)) {
        true => Expected::Done,
        false => Expected::Refused,
    }
}

impl May {
    fn fits(&self, operation: &str, row: &str, how: &str) -> bool {
        let has =
            |list: &[&str], one: &str| list.iter().any(|known| *known == "*" || *known == one);
        has(self.operations, operation) && has(self.rows, row) && has(self.ways, how)
    }
}

/// Exceptions that nothing needs: for some of their operations, rows or ways nothing has succeeded.
pub fn unused(done: &BTreeSet<(String, String, String)>) -> Vec<String> {
    let mut unused = Vec::new();
    for may in MAY {
        let fits =
            |(operation, row, how): &&(String, String, String)| may.fits(operation, row, how);
        let fitting: Vec<_> = done.iter().filter(fits).collect();
        let parts = [
            (
                may.operations,
                fitting
                    .iter()
                    .map(|one| one.0.as_str())
                    .collect::<BTreeSet<_>>(),
            ),
            (may.rows, fitting.iter().map(|one| one.1.as_str()).collect()),
            (may.ways, fitting.iter().map(|one| one.2.as_str()).collect()),
        ];
        for (list, needed) in parts {
            let idle = list
                .iter()
                .filter(|one| **one != "*" && !needed.contains(**one));
            unused.extend(
                idle.map(|one| format!("the exception of {one} ({}) is not needed", may.because)),
            );
        }
    }
    unused
}
