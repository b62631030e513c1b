//! `cargo gen new <entity>`: writes a first spec file to edit, which contains all usual parts.

use crate::names;

/// Returns the path from the root and the text, or the reason why the name is not allowed.
pub fn starter(entity: &str) -> Result<(String, String), String> {
    if !names::is_name(entity) || names::is_rust_reserved(entity) {
        return Err(format!(
            "`{entity}` can't be an entity: write it like `ticket_type`, singular, in small letters"
        ));
    }
    let path = format!("{}/{entity}.yaml", crate::spec::ENTITY_FOLDER);
    let title = entity.replace('_', " ");
    let text = format!(
        "# The language is described in spec/README.md. `cargo gen explain {entity}` shows what this becomes.
entity: {entity}
doc: What a {title} is, in one sentence.

fields:
  name:        text(1..120), search, sort
  description: text(..5000)?
  # state:     states(draft, published) = draft, filter

belongs:
  created_by: user?, set me, on archive detach
  # city:     city, filter

# has:
#   likes: like* via {entity}

# derived:
#   like_count: count(likes), sort

# transitions:
#   publish: draft -> published, by mine

access:
  mine:   me is created_by
  read:   anyone
  create: signed_in
  update: mine
  delete: mine

# What one member may make in a day.
quota: 200 a day
"
    );
    Ok((path, text))
}
