//! Which transactions had ended at a certain moment: PostgreSQL's `pg_snapshot`, parsed and queried.
//!
//! Transactions do not end in the order in which they begin, so "everything after the last number" would miss what a
//! slow transaction commits later. The difference of two snapshots is exactly what became visible between them.

use std::str::FromStr;

/// The maximum number of running transactions in the text, which must fit into a header. A snapshot with more is
/// shortened, so that more counts as unseen than is.
const LISTED_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// All transactions below this number had ended.
    least: u64,
    /// No transaction from this number on had begun.
    pub(super) next: u64,
    /// The transactions between the two that were still running, ascending.
    running: Vec<u64>,
}

impl Snapshot {
    /// Whether the effects of this transaction are visible, unless it was rolled back.
    pub(super) fn shows(&self, transaction: u64) -> bool {
        transaction < self.least
            || transaction < self.next && self.running.binary_search(&transaction).is_err()
    }

    /// The snapshot in PostgreSQL's format, of a limited length. A shortened snapshot shows less, so changes may be
    /// told twice but are never missed.
    pub(super) fn text(&self) -> String {
        let running: Vec<String> = match self.running.len() {
            0..=LISTED_MAX => self.running.iter().map(u64::to_string).collect(),
            _ => return format!("{}:{}:", self.least, self.least),
        };
        format!("{}:{}:{}", self.least, self.next, running.join(","))
    }
}

impl FromStr for Snapshot {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(':');
        let mut number = || parts.next().and_then(|part| part.parse().ok()).ok_or(());
        let (least, next) = (number()?, number()?);
        let running = parts.next().ok_or(())?;
        if parts.next().is_some() {
            return Err(());
        }
        let running: Vec<u64> = match running {
            "" => Vec::new(),
            list => list
                .split(',')
                .map(|one| one.parse().map_err(drop))
                .collect::<Result<_, ()>>()?,
        };
        let ordered = running.windows(2).all(|pair| pair[0] < pair[1]);
        let within = running.iter().all(|one| (least..next).contains(one));
        let sound = 0 < least && least <= next && ordered && within;
        sound
            .then_some(Self {
                least,
                next,
                running,
            })
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(text: &str) -> Snapshot {
        text.parse().expect("a snapshot")
    }

    #[test]
    fn what_runs_or_comes_is_not_shown() {
        let seen = snapshot("10:20:10,14,19");
        let shown: Vec<u64> = (8..22).filter(|one| seen.shows(*one)).collect();
        assert_eq!(shown, [8, 9, 11, 12, 13, 15, 16, 17, 18]);
        assert_eq!(seen.text(), "10:20:10,14,19");
        assert_eq!(snapshot("7:7:").text(), "7:7:");
    }

    #[test]
    fn a_long_one_is_shortened_and_shows_less() {
        let running: Vec<String> = (100..300)
            .step_by(2)
            .map(|one: u64| one.to_string())
            .collect();
        let seen = snapshot(&format!("100:300:{}", running.join(",")));
        let short = snapshot(&seen.text());
        assert_eq!(seen.text(), "100:100:");
        assert!((90..310).all(|one| seen.shows(one) || !short.shows(one)));
        assert!(seen.shows(101) && !short.shows(101));
    }

    #[test]
    fn nothing_else_is_a_snapshot() {
        for text in [
            "", "1", "1:2", "1:2:3", "2:1:", "1:5:4,2", "1:5:0", "a:b:", "1:2::", "0:1:",
            "1:9:5,,6", "-1:2:",
        ] {
            assert_eq!(text.parse::<Snapshot>(), Err(()), "{text}");
        }
    }
}
