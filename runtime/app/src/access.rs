//! Who may use a hand-written operation, by kind of caller: `x-access` of the API document, as generated ones have it.
//!
//! Modules declare it ([`Module::access`](crate::module::Module::access)); what holds is what the handler asks the rules.
//! A test tries over HTTP that who is not named is refused.

use serde_json::{Map, Value, json};
use utoipa::openapi::{OpenApi, extensions::Extensions, path::Operation};

/// `yes` for every object, or `depends`: then the object decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a token too.
    Anyone,
    /// Everybody who may see what it is about.
    Reader,
    /// Whoever has what was signed for it: an address, a header, a link of a mail.
    Signed,
    /// Every member, about themselves.
    Member,
    /// Members whom it concerns: they hold it, bought it, may see or change it.
    Concerned,
    /// Who administers the host.
    HostAdmin,
    /// Who administers the host, and administrators of the platform.
    HostAdminOrPlatform,
    /// Who administers the host, those of its city, and of the platform.
    HostStaff,
    /// Who administers the city, and administrators of the platform.
    CityAdmin,
    /// Administrators of the platform.
    PlatformAdmin,
}

/// Ids of operations and who may use them.
pub type Table = &'static [(&'static str, Access)];

const KEY: &str = "x-access";

impl Access {
    /// Kinds of caller, as the generated operations call them. Who is not named may what those may who need less: whoever is
    /// signed in what a stranger may, and who holds a role what everybody who is signed in may.
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

    /// `{"platformAdmin": "yes"}`
    pub fn told(self) -> Value {
        let callers = self.callers().iter();
        callers
            .map(|(name, may)| ((*name).to_owned(), json!(may)))
            .collect()
    }
}

/// For operations that derives describe.
pub fn tell(document: &mut OpenApi, tables: &[Table]) {
    for item in document.paths.paths.values_mut() {
        let all = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ];
        for operation in all.into_iter().flatten() {
            let id = operation.operation_id.as_deref().unwrap_or_default();
            if let Some(access) = find(tables, id) {
                extend(operation, access);
            }
        }
    }
}

fn extend(operation: &mut Operation, access: Access) {
    operation
        .extensions
        .get_or_insert_with(Extensions::default)
        .insert(KEY.to_owned(), access.told());
}

/// For operations that modules write as JSON.
pub fn tell_json(document: &mut Value, tables: &[Table]) {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let items = paths.into_iter().flat_map(Map::values_mut);
    let operations = items
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut);
    for operation in operations {
        let id = operation["operationId"].as_str().unwrap_or_default();
        if let Some(access) = find(tables, id) {
            operation[KEY] = access.told();
        }
    }
}

fn find(tables: &[Table], id: &str) -> Option<Access> {
    let mut all = tables.iter().copied().flatten();
    all.find(|(known, _)| *known == id)
        .map(|(_, access)| *access)
}
