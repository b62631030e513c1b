//! Names of files: a folder of ours, an id, and possibly a part. Names never contain text from clients, and only
//! ASCII, since stores and URLs would encode other characters differently.

use object_store::path::Path;
use std::fmt;
use uuid::Uuid;

/// The key of a file: `incoming/019c…`, `pictures/7b1e…/320.jpg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    folder: &'static str,
    id: Uuid,
    part: Option<&'static str>,
}

impl Key {
    /// The folder of uploads that have not been checked yet. Its files are never served.
    pub const INCOMING: &'static str = "incoming";
    /// The folder of files that are served to anybody who knows the key.
    pub const PICTURES: &'static str = "pictures";
    /// The folder of files that are kept but not served: those of archived or suspended rows.
    pub const WITHHELD: &'static str = "withheld";

    pub const fn incoming(id: Uuid) -> Self {
        Self::new(Self::INCOMING, id, None)
    }

    pub const fn picture(id: Uuid, part: &'static str) -> Self {
        Self::new(Self::PICTURES, id, Some(part))
    }

    pub const fn withheld(id: Uuid, part: &'static str) -> Self {
        Self::new(Self::WITHHELD, id, Some(part))
    }

    const fn new(folder: &'static str, id: Uuid, part: Option<&'static str>) -> Self {
        Self { folder, id, part }
    }

    pub(crate) fn path(&self) -> Path {
        Path::from(self.to_string())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.folder, self.id)?;
        match self.part {
            Some(part) => write!(f, "/{part}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_path() {
        let key = Key::picture(Uuid::from_u128(7), "320.jpg");
        let text = "pictures/00000000-0000-0000-0000-000000000007/320.jpg";
        assert_eq!(key.to_string(), text);
        assert_eq!(key.path().as_ref(), text);
    }
}
