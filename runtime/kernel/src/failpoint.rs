//! Places at which a test can end the process as if its power were cut, to show that nothing is lost there.
//!
//! `FAILPOINT=payment.called:2` ends the process the second time that this place is reached. Only in builds with debug
//! assertions: a release has neither these places nor the variable, and no `CLOCK_OFFSET_SECONDS` either, which makes
//! the clock of a server wrong.

/// Marks a place. Ends the process here if `FAILPOINT` says so.
#[inline]
pub fn reach(name: &'static str) {
    #[cfg(debug_assertions)]
    armed::reach(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// How much the clock of this server is ahead, in a test.
pub fn clock_offset_seconds() -> i64 {
    #[cfg(debug_assertions)]
    if let Ok(text) = std::env::var("CLOCK_OFFSET_SECONDS") {
        return text.parse().unwrap_or(0);
    }
    0
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    };

    struct Armed {
        name: String,
        left: AtomicU32,
    }

    static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
        let text = std::env::var("FAILPOINT").ok()?;
        let (name, times) = text.split_once(':').unwrap_or((&text, "1"));
        Some(Armed {
            name: name.to_owned(),
            left: AtomicU32::new(times.parse().ok()?),
        })
    });

    pub fn reach(name: &str) {
        let Some(armed) = ARMED.as_ref().filter(|armed| armed.name == name) else {
            return;
        };
        // No destructor runs and no connection is closed by us.
        if armed.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            std::process::abort();
        }
    }
}
