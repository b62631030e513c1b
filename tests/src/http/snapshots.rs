//! Snapshots of answers, a file for each entity, so that the diff of a change is short.

use crate::support::root;

/// Compares with `snapshots/<of>/<entity>.snap`.
///
/// `script/test` creates missing files (`INSTA_UPDATE=unseen`): a new entity shows in the diff without a failing test.
/// Continuous integration creates none.
pub fn check(of: &str, entity: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("tests/src/http/snapshots").join(of));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(entity, text));
}
