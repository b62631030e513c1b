//! `cargo gen new <entity>`: writes a first spec file to edit, which contains all usual parts.

use crate::names;

/// Returns the path from the root and the text, or the reason why the name is not allowed. `app` is the text of
/// app.yaml, which says what those who sign in are called.
pub fn starter(entity: &str, app: &str) -> Result<(String, String), String> {
    let is_taken = names::is_rust_reserved(entity) || names::is_yaml_word(entity);
    if !names::is_name(entity) || is_taken {
        return Err(format!(
            "`{entity}` can't be an entity: write it like `ticket_type`, singular, in small letters"
        ));
    }
    let path = format!("{}/{entity}.yaml", crate::spec::ENTITY_FOLDER);
    let title = entity.replace('_', " ");
    let identity = app.lines().find_map(|line| line.strip_prefix("identity:"));
    let identity = identity.and_then(|rest| rest.split_whitespace().next());
    let identity = identity.unwrap_or("user");
    let text = format!(
        "# The language is described in spec/README.md. `cargo gen explain {entity}` shows what this becomes.
entity: {entity}
doc: What a {title} is, in one sentence.

fields:
  name:        text(1..120), search, sort
  description: text(..5000)?
  # state:     states(draft, published) = draft, filter

belongs:
  created_by: {identity}?, set me, on archive detach

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
