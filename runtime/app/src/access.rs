//! Which kinds of callers may use a hand-written operation: the extension `x-access` of the API document, in the form
//! that generated operations have.
//!
//! Modules declare it ([`Module::access`](crate::module::Module::access)). It only documents the permissions; the
//! handlers check them. A test checks over HTTP that callers of kinds that are not listed are refused.

use crate::operations;
use serde_json::{Value, json};
use utoipa::openapi::{OpenApi, extensions::Extensions, path::Operation};

/// Who may use an operation. A kind of caller is documented with `yes` if it may use the operation on every object,
/// and with `depends` if that depends on the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, even without a token.
    Anyone,
    /// Everybody who may see the object that the operation is about.
    Reader,
    /// Everybody who has a signed URL, header or mail link for it.
    Signed,
    /// Every member, for their own data.
    Member,
    /// Members who are concerned by the object: they own it, bought it, or may see or change it.
    Concerned,
    /// Administrators of the host.
    HostAdmin,
    /// Administrators of the host and of the platform.
    HostAdminOrPlatform,
    /// Administrators of the host, of its city and of the platform.
    HostStaff,
    /// Administrators of the city and of the platform.
    CityAdmin,
    /// Administrators of the platform.
    PlatformAdmin,
}

/// Operation ids, and who may use each.
pub type Table = &'static [(&'static str, Access)];

const KEY: &str = "x-access";

impl Access {
    /// The kinds of callers with their permission, named as in generated operations. A kind that is not listed has the
    /// permission of the more general kind that is: signed-in callers have that of anonymous callers, and holders of a
    /// role that of signed-in callers.
    fn callers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Access::Anyone => &[("anonymous", "yes")],
            Access::Reader | Access::Signed => &[("anonymous", "depends")],
            Access::Member => &[("signed in", "yes")],
            Access::Concerned => &[("signed in", "depends")],
            Access::HostAdmin => &[("orgAdmin", "depends")],
            Access::HostAdminOrPlatform => &[("orgAdmin", "depends"), ("platformAdmin", "yes")],
            Access::HostStaff => &[
                ("orgAdmin", "depends"),
                ("cityAdmin", "depends"),
                ("platformAdmin", "yes"),
            ],
            Access::CityAdmin => &[("cityAdmin", "depends"), ("platformAdmin", "yes")],
            Access::PlatformAdmin => &[("platformAdmin", "yes")],
        }
    }

    /// The value of `x-access`, such as `{"platformAdmin": "yes"}`.
    pub fn told(self) -> Value {
        let callers = self.callers().iter();
        callers
            .map(|(name, may)| ((*name).to_owned(), json!(may)))
            .collect()
    }
}

/// Adds `x-access` to operations that utoipa's derives describe.
pub fn tell(document: &mut OpenApi, tables: &[Table]) {
    operations::each(document, |id, operation| {
        if let Some(access) = find(tables, id) {
            extend(operation, access);
        }
    });
}

/// Adds `x-access` to operations that modules describe as JSON.
pub fn tell_json(document: &mut Value, tables: &[Table]) {
    operations::each_json(document, |id, operation| {
        if let Some(access) = find(tables, id) {
            operation[KEY] = access.told();
        }
    });
}

fn extend(operation: &mut Operation, access: Access) {
    operation
        .extensions
        .get_or_insert_with(Extensions::default)
        .insert(KEY.to_owned(), access.told());
}

fn find(tables: &[Table], id: &str) -> Option<Access> {
    let mut all = tables.iter().copied().flatten();
    all.find(|(known, _)| *known == id)
        .map(|(_, access)| *access)
}
