//! In which country a row is, as far as its relations tell.

use super::{Entity, EntityId, Model, Relation, Ty};

/// More relations are too far away to say of what country something of the row is.
const STEPS_MAX: usize = 3;

/// The way from a row to the code of its country.
#[derive(Clone, Debug, PartialEq)]
pub struct Way<'a> {
    /// Relations to follow, the first of the row itself; none if the row has the country.
    pub steps: Vec<&'a Relation>,
    /// The column with the code (ISO 3166-1), in the row at the end.
    pub column: &'a str,
}

impl Way<'_> {
    /// The column of the row that the way begins with.
    pub fn first_column(&self) -> String {
        match self.steps.first() {
            Some(relation) => relation.id_column(),
            None => self.column.to_owned(),
        }
    }

    /// How the first step is called in a sentence.
    pub fn first_name(&self) -> &str {
        match self.steps.first() {
            Some(relation) => &relation.name,
            None => self.column,
        }
    }
}

/// The shortest way to a country. `None` if there is none, or if several are equally short: then the model can't tell which
/// of them is meant.
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

/// Fields with a country that every caller who sees the row may read.
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
