//! A town library that is served on a free port, with a database made by its own migrations.

use crate::{
    migrations::blank::{Blank, limits},
    support::{Answer, Client, server::TOKEN_KEY},
};
use kernel::{
    Cx, Db, Error, Result,
    auth::{Authenticator, Tokens},
    config::{DbConfig, HttpConfig, TokenConfig},
    http::{Http, health::Health},
    jobs::NewJob,
    migrate::{self, Limits},
    mount,
    prelude::BoxFuture,
    problems, serve,
};
use library::{hooks::AppHooks, loan::CreateLoan, migrations::MIGRATIONS};
use serde_json::json;
use sqlx::Connection;
use std::sync::Arc;
use tokio::net::TcpListener;
use uuid::Uuid;

pub struct Library {
    pub database: Blank,
    /// A client without a token.
    pub visitor: Client,
    pub librarian: Client,
    pub admin: Client,
    tokens: Tokens,
}

pub struct Reader {
    pub id: Uuid,
    pub client: Client,
}

/// The hand-written code of this application: lends no more copies than there are.
struct Desk;

impl AppHooks for Desk {
    fn loan_before_create<'a>(
        &'a self,
        cx: &'a mut Cx,
        input: &'a mut CreateLoan,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            // Serializes concurrent loans of a book. A row lock would require the privilege to update, which another
            // action has.
            sqlx::query("select pg_advisory_xact_lock(hashtextextended($1::text, 0))")
                .bind(input.book_id)
                .execute(cx.conn())
                .await?;
            let at_hand: Option<bool> =
                sqlx::query_scalar("select copies > on_loan from app.books where id = $1")
                    .bind(input.book_id)
                    .fetch_optional(cx.conn())
                    .await?;
            if at_hand == Some(false) {
                return Err(Error::new(&problems::CONFLICT).detail("All copies are on loan."));
            }
            // In the request's own transaction: without the loan there is no reminder.
            NewJob::new("reminders.remind", json!({ "member": input.member_id }))?
                .replacing(input.member_id.to_string())
                .put(cx)
                .await?;
            Ok(())
        })
    }

    fn loan_before_take_back<'a>(&'a self, _: &'a mut Cx, _: Uuid) -> BoxFuture<'a, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Library {
    pub async fn open() -> Self {
        let database = Blank::new().await;
        // Roles belong to the cluster: the first of several concurrent tests creates them, and the others wait.
        let patient = Limits {
            attempts: 10,
            ..limits()
        };
        migrate::up(&database.options(), MIGRATIONS, &patient)
            .await
            .expect("the migrations of the library");
        let url = login(&database).await;
        let token = TokenConfig::new(
            "http://library.test".into(),
            "library".into(),
            TOKEN_KEY.into(),
        );
        let db = Db::connect(&DbConfig::new(url.into())).expect("a URL");
        let tokens = Arc::new(Tokens::new(&token).expect("a key"));
        let http = Http::new(
            HttpConfig::default(),
            Authenticator::new(tokens, Vec::new()),
        );
        let http = http.expect("settings");
        let mounted = library::hooks::resources(Arc::new(Desk));
        let router = http.wrap(mount::router(db.clone(), mounted, &"a cursor key".into()));
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let health = Health::new(db, None);
        // Ends with the test.
        tokio::spawn(serve::serve(
            listener,
            router,
            http,
            health,
            std::future::pending(),
        ));
        let mut library = Self {
            visitor: Client::new(base),
            librarian: Client::new(String::new()),
            admin: Client::new(String::new()),
            tokens: Tokens::new(&token).expect("a key"),
            database,
        };
        library.librarian = library.member("Lena", Some("librarian")).await.client;
        library.admin = library.member("Ada", Some("admin")).await.client;
        library
    }

    /// Inserts a member, bypassing the rules, because nobody could create the first administrator.
    pub async fn member(&self, name: &str, role: Option<&str>) -> Reader {
        let mut conn = self.database.connect().await;
        let id: Uuid = sqlx::query_scalar(
            "insert into app.members (name, card_number, email, joined_on)
             values ($1, $1 || '-000000', lower($1) || '@example.org', '2026-01-31') returning id",
        )
        .bind(name)
        .fetch_one(&mut conn)
        .await
        .expect("a member");
        if let Some(role) = role {
            sqlx::query("insert into app.appointments (member_id, role) values ($1, $2)")
                .bind(id)
                .bind(role)
                .execute(&mut conn)
                .await
                .expect("a post");
        }
        conn.close().await.expect("close");
        Reader {
            id,
            client: self.visitor.with_token(self.token(id)),
        }
    }

    fn token(&self, id: Uuid) -> String {
        let now = chrono::Utc::now().timestamp();
        self.tokens
            .issue(id, Uuid::now_v7(), now)
            .expect("a token")
            .token
    }

    pub async fn category(&self, name: &str, parent: Option<&str>) -> Answer {
        let body = json!({"name": name, "shelf_mark": name.to_uppercase(), "parent_id": parent});
        self.librarian.post("/categories", body).await
    }

    /// A title with one copy.
    pub async fn book(&self, title: &str) -> String {
        let category = self.category(&title[..4], None).await.expect(201).id();
        let body = json!({"title": title, "language": "de", "purchase_cents": 1990, "category_id": category});
        self.librarian.post("/books", body).await.expect(201).id()
    }

    pub async fn lend(&self, book: &str, to: &Reader) -> Answer {
        let body = json!({"due_on": "2026-12-24", "book_id": book, "member_id": to.id, "note": "cover torn"});
        self.librarian.post("/loans", body).await
    }
}

/// The URL of the request role. Tests run concurrently, and a role belongs to the whole cluster.
async fn login(database: &Blank) -> String {
    // Roles belong to the whole cluster, and other tests run migrations: two concurrent changes of one role are an
    // error.
    let set = "do $$ begin
        for attempt in 1..50 loop
          begin
            alter role library_app login password 'test';
            exit;
          exception when internal_error then
            if attempt = 50 then raise; end if;
            perform pg_sleep(0.05);
          end;
        end loop;
      end $$";
    database.run(set).await;
    let options = database.options();
    let (host, port) = (options.get_host(), options.get_port());
    let name = options.get_database().expect("a name");
    format!("postgres://library_app:test@{host}:{port}/{name}")
}
