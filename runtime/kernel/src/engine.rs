//! What all journeys share: the database, the mounted entities, the key that signs cursors.

use crate::{cx::Db, list::cursor::CursorKey, mount::Mounted, resource::Resource};
use std::{collections::HashMap, sync::Arc};

pub(crate) struct Engine {
    pub db: Db,
    pub cursors: CursorKey,
    entities: HashMap<&'static str, Arc<Mounted>>,
}

/// One entity at one engine: what a route needs.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub engine: Arc<Engine>,
    pub mounted: Arc<Mounted>,
}

impl Engine {
    pub fn new(db: Db, mounted: Vec<Mounted>, cursors: CursorKey) -> Self {
        let entities = mounted
            .into_iter()
            .map(|mounted| (mounted.resource.name, Arc::new(mounted)))
            .collect();
        Self {
            db,
            cursors,
            entities,
        }
    }

    pub fn entity(&self, name: &str) -> Option<&Arc<Mounted>> {
        self.entities.get(name)
    }

    pub fn entities(&self) -> impl Iterator<Item = &Arc<Mounted>> {
        self.entities.values()
    }
}

impl Endpoint {
    pub fn resource(&self) -> &'static Resource {
        self.mounted.resource
    }
}
