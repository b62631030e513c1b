//! How long to wait after a failed attempt: twice as long each time, up to a limit, with random jitter so that jobs
//! that failed together are not retried together.

use std::time::Duration;
use uuid::Uuid;

const FIRST_SECONDS: u64 = 5;

/// The longest wait.
pub(super) const LONGEST: Duration = Duration::from_secs(6 * 60 * 60);

/// The wait after this attempt (1, 2, …). `random` may be any number; it spreads waits over the upper half of the
/// interval.
pub(super) fn delay(attempt: u32, random: u64) -> Duration {
    let seconds = FIRST_SECONDS.saturating_mul(1 << attempt.saturating_sub(1).min(30));
    let longest = Duration::from_secs(seconds).min(LONGEST);
    let spread = (random % 1000) as u32;
    longest / 2 + longest / 2 * spread / 1000
}

/// Enough for spreading.
pub(super) fn random() -> u64 {
    Uuid::new_v4().as_u64_pair().1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// In seconds, by doubling it again and again.
    fn longest(attempt: u32) -> f64 {
        let doubled = (1..attempt.min(64)).fold(FIRST_SECONDS as f64, |wait, _| wait * 2.0);
        doubled.min(LONGEST.as_secs_f64())
    }

    proptest! {
        #[test]
        fn jb9_a_wait_is_in_the_upper_half_of_what_doubling_gives(
            attempt in prop_oneof![0_u32..40, any::<u32>()], random in any::<u64>()
        ) {
            let (wait, longest) = (delay(attempt, random).as_secs_f64(), longest(attempt));
            prop_assert!(wait >= longest / 2.0 && wait < longest, "{wait} of {longest}");
        }
    }

    #[test]
    fn waits_grow_up_to_a_bound_and_are_spread() {
        for attempt in 1..=200 {
            let (least, most) = (delay(attempt, 0), delay(attempt, 999));
            assert!(
                most <= LONGEST && least >= most / 3,
                "{attempt}: {least:?} {most:?}"
            );
            assert!(
                delay(attempt + 1, 0) >= least,
                "{attempt} waits longer than the next"
            );
            for _ in 0..20 {
                let some = delay(attempt, random());
                assert!((least..=most).contains(&some));
            }
        }
        assert_eq!(delay(1, 0), Duration::from_millis(2500));
        assert_eq!(delay(200, 0), LONGEST / 2);
        assert_ne!(delay(9, 1), delay(9, 500));
    }
}
