//! How many files this process may open, which every connection is one of.
//!
//! Without files left, no connection to the database or to Stripe can be opened either, and whoever keeps connections
//! open would stop the server. So connections of clients leave room for the others.

use std::fs;

/// For the log, libraries, pictures, listeners and calls of other services.
const OTHERS: usize = 128;

/// The number of connections of clients for which there is room, if that is less than `wanted`. `pools`: connections to
/// the database.
pub fn room(wanted: usize, pools: usize) -> Option<usize> {
    // Only on Linux; elsewhere the limit stays unknown.
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    fits(wanted, pools, open_files(&limits)?)
}

fn fits(wanted: usize, pools: usize, files: usize) -> Option<usize> {
    let room = files.saturating_sub(OTHERS + pools).max(1);
    (wanted > room).then_some(room)
}

/// The limit that applies now, which the process may not exceed.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_other_files() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
             Max processes             95972                95972                processes \n\
             Max open files            1024                 524288               files     \n";
        assert_eq!(open_files(limits), Some(1024));
        assert_eq!(
            open_files("Max open files  unlimited unlimited files"),
            None
        );
        assert_eq!(open_files(""), None);
        assert_eq!(fits(4096, 26, 1024), Some(1024 - 128 - 26));
        assert_eq!(fits(870, 26, 1024), None);
        assert_eq!(fits(4096, 26, 100), Some(1));
    }
}
