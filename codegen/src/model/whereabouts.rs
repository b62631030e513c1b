//! The path of relations that leads from a row to its country.

use super::{Entity, EntityId, Model, Relation, Ty};

/// The most relations in a path. A country further away says little about where the row's telephone numbers are.
const STEPS_MAX: usize = 3;

/// The path from a row to the code of its country.
#[derive(Clone, Debug, PartialEq)]
pub struct Way<'a> {
    /// The relations to follow, beginning with one of the row itself. Empty if the row itself has the country.
    pub steps: Vec<&'a Relation>,
    /// The column with the code (ISO 3166-1), in the row at the end of the path.
    pub column: &'a str,
}

impl Way<'_> {
    /// The column of the row itself that the path begins with.
    pub fn first_column(&self) -> String {
        match self.steps.first() {
            Some(relation) => relation.id_column(),
            None => self.column.to_owned(),
        }
    }

    /// The name of the first relation, or of the country field, for use in a sentence.
    pub fn first_name(&self) -> &str {
        match self.steps.first() {
            Some(relation) => &relation.name,
            None => self.column,
        }
    }
}

/// The shortest path to a country. `None` if there is none, or if several are equally short, since the model can't
/// tell which of them is meant.
pub fn way(model: &Model, id: EntityId) -> Option<Way<'_>> {
    let mut ends = vec![(id, Vec::new())];
    for _ in 0..=STEPS_MAX {
        let here = ends.iter().flat_map(|(at, steps)| {
            countries(&model.entities[*at]).map(|column| Way {
                steps: steps.clone(),
                column,
            })
        });
        let mut here: Vec<Way> = here.collect();
        if !here.is_empty() {
            return (here.len() == 1).then(|| here.remove(0));
        }
        let next = ends.iter().flat_map(|(at, steps)| {
            followed(&model.entities[*at]).map(|relation| {
                let steps: Vec<&Relation> = steps.iter().copied().chain([relation]).collect();
                (relation.targets[0], steps)
            })
        });
        ends = next.collect();
    }
    None
}

/// The country fields of the entity that every caller who can read the row may read.
fn countries(entity: &Entity) -> impl Iterator<Item = &str> {
    let of = |field: &&super::Field| field.ty == Ty::Country && field.read.is_none();
    entity
        .fields
        .iter()
        .filter(of)
        .map(|field| field.name.as_str())
}

fn followed(entity: &Entity) -> impl Iterator<Item = &Relation> {
    let open =
        |relation: &&Relation| !relation.polymorphic && !relation.hidden && relation.read.is_none();
    entity.belongs.iter().filter(open)
}
