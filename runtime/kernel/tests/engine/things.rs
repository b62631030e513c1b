//! Two entities by hand, in the form of generated ones.

use kernel::prelude::*;
use macros::{Entity, Input};

#[derive(Debug, Clone, Entity)]
#[expect(
    dead_code,
    reason = "the engine writes rows from the columns, not from the struct"
)]
pub struct City {
    pub id: Uuid,
    pub name: String,
    pub version: i64,
}

#[derive(Debug, Clone, Entity)]
#[expect(
    dead_code,
    reason = "the engine writes rows from the columns, not from the struct"
)]
pub struct Thing {
    pub id: Uuid,
    pub state: String,
    pub title: String,
    pub rank: i32,
    pub city_id: Uuid,
    pub owner_id: Uuid,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Input)]
#[input(create)]
pub struct CreateThing {
    #[input(length(1, 40))]
    pub title: String,
    #[input(default = 0)]
    pub rank: i32,
    pub city_id: Uuid,
}

#[derive(Debug, Clone, Input)]
#[input(update)]
pub struct UpdateThing {
    #[input(required, length(1, 40))]
    pub title: Patch<String>,
    #[input(default = 0)]
    pub rank: Patch<i32>,
}

static MINE: Rule = MeIs("owner_id");
static ADMIN: Rule = Holds("admin");
static READ: Rule = Any(&[
    Compare(V::Column("state"), Op::Eq, V::Text("published")),
    Ref(&MINE),
    Ref(&ADMIN),
]);

pub static CITY: Resource = Resource {
    name: "city",
    plural: "cities",
    path: "cities",
    lifecycle: Lifecycle::SoftDelete,
    guarded: false,
    created_unseen: false,
    hides: false,
    acts: false,
    page: 20,
    sql: Sql {
        get: "select t.id, t.name, t.version from app.cities t where t.id = $1",
        list: "select t.id, t.name, t.version from app.cities t",
        list_end: "",
        get_anonymous: "",
        by_ids: "select t.id, t.name, t.version from app.cities t where t.id = any($1)",
        ..Sql::NONE
    },
    rules: Rules {
        read: &Anyone,
        create: &Nobody,
        update: &Nobody,
        delete: &Nobody,
        restore: &Nobody,
        suspend: &Nobody,
    },
    filters: &[],
    within: &[],
    public_to_all: true,
    sorts: &[],
    expands: &[],
    children: &[Child::new("things", "thing", "t.city_id")],
    together: &[],
    transitions: &[],
    constraints: &[],
    encode: City::encode,
    create: None,
    update: None,
    fixed: &[],
    moving: &[],
    hooks: &[],
};

macro_rules! columns {
    () => {
        "t.id, t.state, t.title, t.rank, t.city_id, t.owner_id, t.version, t.created_at, t.updated_at"
    };
}

macro_rules! change {
    ($set:literal) => {
        concat!(
            "update app.things as t set ",
            $set,
            " where t.id = $1 and ($2::int8[] is null or t.version = any ($2)) returning t.version"
        )
    };
}

pub static THING: Resource = Resource {
    name: "thing",
    plural: "things",
    path: "things",
    lifecycle: Lifecycle::SoftDelete,
    guarded: false,
    created_unseen: false,
    hides: false,
    acts: false,
    page: 20,
    sql: Sql {
        get: concat!(
            "select ",
            columns!(),
            ", array_remove(array[case when t.owner_id = (select sec.uid()) then 'update' end], null)
            from app.things t where t.id = $1"
        ),
        list: concat!("select ", columns!(), " from app.things t"),
        list_end: "",
        ways: None,
        get_anonymous: "",
        by_ids: concat!("select ", columns!(), " from app.things t where t.id = any($1)"),
        create: concat!(
            "insert into app.things as t (title, rank, city_id) select $1, $2, $3 returning ",
            columns!()
        ),
        update: concat!(
            "update app.things as t set title = case when $3 then $4 else t.title end,
            rank = case when $5 then $6 else t.rank end
            where t.id = $1 and ($2::int8[] is null or t.version = any ($2)) returning ",
            columns!()
        ),
        update_guarded: None,
        national: None,
        archive: change!("status = 'archived'"),
        restore: change!("status = 'active'"),
        suspend: change!("status = 'suspended'"),
        unsuspend: change!("status = 'active'"),
        probe: "select t.version, t.status, t.state, array_remove(array[
            case when t.owner_id = (select sec.uid()) then 'update' end,
            case when t.owner_id = (select sec.uid()) then 'delete' end,
            case when t.owner_id = (select sec.uid()) then 'restore' end,
            case when t.owner_id = (select sec.uid()) then 'publish' end,
            case when t.owner_id = (select sec.uid()) then 'withdraw' end,
            case when (select sec.is_admin()) then 'suspend' end
            ], null) from app.things t where t.id = $1",
    },
    rules: Rules {
        read: &READ,
        create: &SignedIn,
        update: &MINE,
        delete: &MINE,
        restore: &MINE,
        suspend: &ADMIN,
    },
    filters: &[
        Filter::new("state", "t.state", Kind::Enum(&["draft", "published"])),
        Filter::new("rank", "t.rank", Kind::Int),
        Filter::new("city_id", "t.city_id", Kind::Uuid),
        Filter::new("q", "app.things_search", Kind::Search),
    ],
    within: &["t.city_id"],
    public_to_all: true,
    sorts: &[Sort::new("rank", "t.rank", Kind::Int), Sort::new("title", "t.title", Kind::Text)],
    expands: &[Expand::to("city", "city_id", &["city"])],
    children: &[],
    together: &[],
    transitions: &[
        Transition {
            name: "publish",
            rule: &MINE,
            sql: change!("state = 'published'"),
            from: &["draft"],
            when: Some("it is ready"),
            reason: false,
        },
        Transition {
            name: "withdraw",
            rule: &MINE,
            sql: change!("state = 'draft'"),
            from: &["published"],
            when: None,
            reason: true,
        },
    ],
    constraints: &[
        Constraint::conflict("things_title_key", "/title", "there is already a thing with this title"),
        Constraint::invalid("things_rank_check", "/rank", "must be below 1000"),
        Constraint::reference("things_city_id_fkey", "/city_id"),
    ],
    encode: Thing::encode,
    create: Some(CreateThing::decode),
    update: Some(UpdateThing::decode),
    fixed: &[],
    moving: &[],
    hooks: &["create", "update"],
};
