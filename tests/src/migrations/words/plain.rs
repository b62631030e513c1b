//! Entities without the words that are tried, with a line for each place to which a word is added.

use super::super::repository::Edit;

/// These entities are added to those of the small world.
pub const PLAIN: [Edit<'static>; 8] = [
    ("gig", "", GIG),
    ("lot", "", LOT),
    ("card", "", CARD),
    ("chit", "", CHIT),
    ("ping", "", PING),
    ("pong", "", PONG),
    (
        "app",
        "write: [event, organization]",
        "write: [event, organization, gig, lot, card, city]",
    ),
    (
        "city",
        "  population: int(0..)?",
        "  population: int(0..)?\n  place: point?, filter",
    ),
];

const GIG: &str = "\
entity: gig
doc: Something that takes place.
fields:
  f_unique: text(1..20)?
  f_moves: text(1..20)?, unique
  f_search: text(1..20)?
  f_filter: uuid?
  f_else: point?, filter
  f_sort: int = 0
  f_fixed: int?
  f_system: int?
  f_read: int?
  f_write: int?
  f_redact: text(1..20)?
  f_future: time?
  f_check: int?
  f_doc: int?
  starts_at: time
  ends_at: time
  ended_at: time?, system
  state: states(open, shut) = open
belongs:
  city: city
  r_same: organization?
  r_archive: city?
  r_end: user?
  r_movable: city?
  r_me: user?
  r_session: sign_in?
  r_system: city?
  r_unique: city?
  r_filter: city?
  r_hidden: city?
  r_read: city?
  r_doc: city?
  owner: user, set me
access:
  mine: me is owner
  read: anyone
  create: signed_in
  update: mine
  delete: mine
";

const LOT: &str = "\
entity: lot
doc: Something for sale.
fields:
  price: int(0..) = 0
  part: int(0..) = 0
belongs:
  gig: gig
  keeper: user, set me
access:
  mine: me is keeper
  read: anyone
  create: signed_in
  update: mine
  delete: mine
";

const CARD: &str = "\
entity: card
doc: A card.
fields:
  note: text(1..20)
belongs:
  owner: user
access:
  read: me is owner
  update: me is owner
";

const CHIT: &str = "\
entity: chit
doc: A piece of paper.
lifecycle: append_only
fields:
  note: text(1..20)
belongs:
  owner: user, set me
access:
  read: me is owner
  create: signed_in
";

const PING: &str = "\
entity: ping
doc: Something to look at.
lifecycle: mutable
internal: true
module: billing
fields:
  made_at: time
belongs:
  event: event?, on archive detach
";

/// An entity that refers to `ping`, and becomes unlogged together with it.
const PONG: &str = "\
entity: pong
doc: An answer.
lifecycle: mutable
internal: true
module: billing
fields:
  made_at: time
belongs:
  ping: ping
";

/// Rows of these entities, inserted after the rows of the small world.
pub const ALL_ROWS: &str = "
insert into app.gigs (starts_at, ends_at, city_id, owner_id)
select now() + n * interval '1 day', now() + n * interval '1 day 1 hour', c.id, u.id
from app.cities c, app.users u, generate_series(1, 3) n where c.name = 'City ' || n and u.handle = 'user1';
insert into app.lots (gig_id, keeper_id, price) select id, owner_id, row_number() over () from app.gigs;
insert into app.chits (note, owner_id) select handle, id from app.users;
insert into app.pings (made_at) select now() from generate_series(1, 3);
insert into app.pongs (made_at, ping_id) select now(), id from app.pings;
";
