//! A small model with every kind of thing the document has to write down.

use codegen::model::*;

pub const USER: EntityId = 0;
pub const CITY: EntityId = 1;
pub const ORGANIZATION: EntityId = 2;
pub const EVENT: EntityId = 3;
pub const LIKE: EntityId = 4;
pub const ROLE_ASSIGNMENT: EntityId = 5;

pub const ORG_ADMIN: usize = 0;
pub const PLATFORM_ADMIN: usize = 1;

pub fn model() -> Model {
    Model {
        memo: Default::default(),
        app: "culturepass".into(),
        title: "CulturePass".into(),
        doc: "What is on, who hosts it, who goes.".into(),
        identity: USER,
        counted: None,
        assignments: ROLE_ASSIGNMENT,
        sessions: None,
        roles: vec![
            Role {
                name: "orgAdmin".into(),
                scopes: vec![ORGANIZATION],
            },
            Role {
                name: "platformAdmin".into(),
                scopes: vec![],
            },
        ],
        objects: vec![Object {
            name: "social_links".into(),
            fields: vec![
                optional(field("website", Ty::Url)),
                optional(field("x", Ty::Url)),
            ],
        }],
        modules: vec![Module {
            name: "payments".into(),
            doc: "Payments.".into(),
            reads: vec![],
            writes: vec![],
            narrowed: Vec::new(),
            requested: vec![],
        }],
        tags: vec![
            ("Events".into(), vec![EVENT, LIKE]),
            ("People".into(), vec![USER]),
        ],
        entities: vec![
            user(),
            city(),
            organization(),
            event(),
            like(),
            role_assignment(),
            transaction(),
            secret(),
        ],
        by_hand: Vec::new(),
        dropped: vec![],
    }
}

fn user() -> Entity {
    let email = Field {
        read: Some(Expr::MeIsThis),
        redact: true,
        ..field("email", Ty::Email)
    };
    Entity {
        fields: vec![
            field("handle", text(3, 30)),
            email,
            optional(field("social_links", Ty::Object { object: 0 })),
        ],
        access: Access {
            read: Some(Expr::Anyone),
            update: Some(Expr::MeIsThis),
            ..nothing()
        },
        ..entity("user", "A person.", Lifecycle::SoftDelete)
    }
}

fn city() -> Entity {
    Entity {
        plural: "cities".into(),
        fields: vec![
            field("name", text(1, 80)),
            field("timezone", Ty::Timezone),
            field("country", Ty::Country),
        ],
        access: Access {
            read: Some(Expr::Anyone),
            create: Some(Expr::MeHolds {
                role: PLATFORM_ADMIN,
            }),
            ..nothing()
        },
        ..entity("city", "A place.", Lifecycle::SoftDelete)
    }
}

fn organization() -> Entity {
    Entity {
        fields: vec![field("name", text(1, 80))],
        conditions: vec![NamedExpr {
            name: "admin".into(),
            expr: Expr::MeHoldsOf {
                role: ORG_ADMIN,
                relation: None,
            },
        }],
        access: Access {
            read: Some(Expr::Anyone),
            create: Some(Expr::SignedIn),
            update: Some(Expr::Condition(0)),
            ..nothing()
        },
        ..entity("organization", "Who hosts.", Lifecycle::SoftDelete)
    }
}

fn event() -> Entity {
    let states = ["draft", "published", "cancelled"]
        .map(String::from)
        .to_vec();
    let column = |name: &str| Value::Column(name.into());
    let state_is = |op, state: &str| Expr::Compare {
        left: column("state"),
        op,
        right: Value::Literal(Literal::Text(state.into())),
    };
    let host = || Expr::Condition(0);
    let later = Expr::Compare {
        left: column("ends_at"),
        op: Op::Gt,
        right: column("starts_at"),
    };
    Entity {
        fields: vec![
            Field {
                search: true,
                sort: true,
                ..field("title", text(1, 140))
            },
            field(
                "slug",
                Ty::Slug {
                    from: Some("title".into()),
                },
            ),
            optional(field("description", text(0, 20000))),
            Field {
                default: Some(Literal::Text("other".into())),
                filter: true,
                ..field(
                    "category",
                    Ty::Enum {
                        values: vec!["concert".into(), "other".into()],
                    },
                )
            },
            Field {
                default: Some(Literal::Text("draft".into())),
                filter: true,
                ..field("state", Ty::States { values: states })
            },
            Field {
                filter: true,
                sort: true,
                ..field("starts_at", Ty::Time)
            },
            Field {
                check: Some(later),
                ..field("ends_at", Ty::Time)
            },
            Field {
                filter: true,
                ..optional(field(
                    "capacity",
                    Ty::Int {
                        min: Some(1),
                        max: Some(1_000_000),
                    },
                ))
            },
            Field {
                filter: true,
                ..optional(field("location", Ty::Point))
            },
            Field {
                read: Some(host()),
                write: Some(host()),
                redact: true,
                ..optional(field("door_code", text(4, 12)))
            },
            Field {
                fixed: true,
                ..field(
                    "price_cents",
                    Ty::Money {
                        min: Some(0),
                        max: None,
                    },
                )
            },
            field("currency", Ty::Currency),
            optional(field("tags", Ty::TextList { max: 20, count: 5 })),
            Field {
                system: true,
                ..optional(field("note", Ty::Json))
            },
        ],
        belongs: vec![
            Relation {
                filter: true,
                ..relation("city", vec![CITY])
            },
            Relation {
                polymorphic: true,
                filter: true,
                ..relation("host", vec![ORGANIZATION, USER])
            },
            Relation {
                movable: true,
                optional: true,
                hidden: true,
                ..relation("venue", vec![CITY])
            },
        ],
        has: vec![Has {
            name: "likes".into(),
            child: LIKE,
            via: "event".into(),
            create_with: None,
        }],
        derived: vec![
            Derived {
                name: "like_count".into(),
                kind: DerivedKind::Count {
                    has: 0,
                    filter: None,
                },
                sort: true,
                filter: true,
                delta: false,
            },
            Derived {
                name: "full".into(),
                kind: DerivedKind::Flag {
                    expr: Expr::IsNull(column("capacity")),
                },
                sort: false,
                filter: false,
                delta: false,
            },
        ],
        transitions: vec![
            Transition {
                name: "publish".into(),
                change: Change::State {
                    field: "state".into(),
                    from: vec!["draft".into()],
                    to: "published".into(),
                },
                sets: Vec::new(),
                by: host(),
                when: Some(Expr::Compare {
                    left: column("starts_at"),
                    op: Op::Gt,
                    right: Value::Literal(Literal::Now),
                }),
                reason: false,
            },
            Transition {
                name: "cancel".into(),
                change: Change::State {
                    field: "state".into(),
                    from: vec!["draft".into(), "published".into()],
                    to: "cancelled".into(),
                },
                sets: Vec::new(),
                by: host(),
                when: None,
                reason: true,
            },
        ],
        conditions: vec![NamedExpr {
            name: "host".into(),
            expr: Expr::Of {
                relation: 1,
                what: vec![(ORGANIZATION, OfWhat::Condition(0))],
            },
        }],
        access: Access {
            read: Some(Expr::Any(vec![state_is(Op::Ne, "draft"), host()])),
            create: Some(host()),
            update: Some(host()),
            delete: Some(host()),
            restore: Some(host()),
            suspend: Some(Expr::MeHolds {
                role: PLATFORM_ADMIN,
            }),
        },
        page: 50,
        ..entity("event", "A dated happening.", Lifecycle::SoftDelete)
    }
}

fn like() -> Entity {
    Entity {
        belongs: vec![
            Relation {
                set_me: true,
                ..relation("user", vec![USER])
            },
            Relation {
                filter: true,
                ..relation("event", vec![EVENT])
            },
        ],
        access: Access {
            read: Some(Expr::Of {
                relation: 1,
                what: vec![(EVENT, OfWhat::Read)],
            }),
            create: Some(Expr::SignedIn),
            update: Some(Expr::MeIs { relation: 0 }),
            delete: Some(Expr::MeIs { relation: 0 }),
            restore: Some(Expr::Nobody),
            ..nothing()
        },
        ..entity(
            "like",
            "A member's like of an event.",
            Lifecycle::SoftDelete,
        )
    }
}

fn role_assignment() -> Entity {
    Entity {
        fields: vec![field(
            "role",
            Ty::Enum {
                values: vec!["orgAdmin".into(), "platformAdmin".into()],
            },
        )],
        belongs: vec![
            relation("user", vec![USER]),
            Relation {
                polymorphic: true,
                optional: true,
                ..relation("scope", vec![ORGANIZATION])
            },
        ],
        access: Access {
            read: Some(Expr::MeIs { relation: 0 }),
            create: Some(Expr::MeHolds {
                role: PLATFORM_ADMIN,
            }),
            ..nothing()
        },
        ..entity("role_assignment", "A role held.", Lifecycle::Mutable)
    }
}

fn transaction() -> Entity {
    Entity {
        fields: vec![field(
            "amount_cents",
            Ty::Money {
                min: None,
                max: None,
            },
        )],
        belongs: vec![relation("user", vec![USER])],
        module: Some(0),
        access: Access {
            read: Some(Expr::MeIs { relation: 0 }),
            create: Some(Expr::SignedIn),
            ..nothing()
        },
        ..entity("transaction", "Money that moved.", Lifecycle::AppendOnly)
    }
}

fn secret() -> Entity {
    Entity {
        internal: true,
        access: Access {
            read: Some(Expr::Anyone),
            ..nothing()
        },
        ..entity("secret", "Not for anyone.", Lifecycle::Mutable)
    }
}

fn text(min: u32, max: u32) -> Ty {
    Ty::Text { min, max }
}

fn nothing() -> Access {
    Access {
        read: None,
        create: None,
        update: None,
        delete: None,
        restore: None,
        suspend: None,
    }
}

fn optional(field: Field) -> Field {
    Field {
        optional: true,
        ..field
    }
}

fn field(name: &str, ty: Ty) -> Field {
    Field {
        name: name.into(),
        ty,
        optional: false,
        default: None,
        unique: false,
        moves: false,
        search: false,
        filter: false,
        beside: None,
        sort: false,
        fixed: false,
        system: false,
        redact: false,
        future: None,
        read: None,
        write: None,
        check: None,
        was: None,
        doc: None,
    }
}

fn relation(name: &str, targets: Vec<EntityId>) -> Relation {
    Relation {
        name: name.into(),
        targets,
        polymorphic: false,
        optional: false,
        same: vec![],
        on_archive: OnArchive::Restrict,
        on_end: None,
        movable: false,
        set_me: false,
        set_session: false,
        system: false,
        unique: false,
        filter: false,
        hidden: false,
        consents: false,
        read: None,
        was: None,
        doc: None,
    }
}

fn entity(name: &str, doc: &str, lifecycle: Lifecycle) -> Entity {
    Entity {
        name: name.into(),
        plural: format!("{name}s"),
        doc: doc.into(),
        lifecycle,
        module: None,
        internal: false,
        fields: vec![],
        belongs: vec![],
        has: vec![],
        derived: vec![],
        firsts: vec![],
        unique: vec![],
        unique_where: vec![],
        renamed: vec![],
        exclude: vec![],
        index: vec![],
        checks: vec![],
        keeps: Vec::new(),
        transitions: vec![],
        offers: vec![],
        conditions: vec![],
        access: nothing(),
        creator: None,
        hooks: vec![],
        emits: vec![],
        page: 20,
        quota: None,
        dropped: vec![],
        was: None,
        audit: true,
        wal: true,
    }
}
