//! Work on many items, each in a transaction of its own.

use kernel::Result;
use std::ops::AddAssign;

/// Runs `work` on each item, which uses a transaction of its own. A failing item would fail in every run, so the
/// others are processed nevertheless. Returns the sum of the results, or the last error.
pub async fn each<T, S, F>(
    all: impl IntoIterator<Item = T>,
    mut work: impl FnMut(T) -> F,
) -> Result<S>
where
    S: Default + AddAssign,
    F: Future<Output = Result<S>>,
{
    let (mut sum, mut failed) = (S::default(), None);
    for one in all {
        match work(one).await {
            Ok(some) => sum += some,
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(sum), Err)
}
