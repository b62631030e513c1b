//! The real engine with a hook that fails on demand, in the middle of a transaction that has already written.

use super::{Client, TestServer};
use generated::event::{EVENT, UpdateEvent};
use kernel::{
    Cx, Error, Result,
    auth::Authenticator,
    config::HttpConfig,
    http::{Http, health::Health},
    input::{Input, typed},
    mount::{Hooks, Mounted, router},
    prelude::BoxFuture,
    resource::Resource,
    serve,
};
use std::{sync::Arc, time::Duration};
use tokio::net::TcpListener;
use uuid::Uuid;

/// The title in an update decides how the hook fails: `panic`, `error`, `broken` (an error of the database) or `slow`.
struct Fragile;

impl Hooks for Fragile {
    fn before<'a>(
        &'a self,
        _: &'a str,
        cx: &'a mut Cx,
        id: Option<Uuid>,
        input: Option<&'a mut dyn Input>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let title = input.map(typed::<UpdateEvent>);
            let title = title.and_then(|update| update.title.value().cloned());
            let half = "update app.events set title = 'half done' where id = $1";
            let title = title.unwrap_or_default();
            if ["panic", "error", "broken", "slow"].contains(&title.as_str()) {
                let done = sqlx::query(half).bind(id).execute(cx.conn()).await?;
                assert_eq!(done.rows_affected(), 1, "there is something to undo");
            }
            match title.as_str() {
                "panic" => panic!("a canary that nobody outside may read"),
                "error" => Err(Error::internal("a canary that nobody outside may read")),
                "broken" => {
                    sqlx::query("select 1 / 0 as canary")
                        .execute(cx.conn())
                        .await?;
                    Ok(())
                }
                "slow" => {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    Ok(())
                }
                _ => Ok(()),
            }
        })
    }
}

/// Serves the routes of events on a port of their own, with the pool of `server`.
pub async fn serve_events(server: &TestServer, change: impl FnOnce(&mut HttpConfig)) -> Client {
    let event: &'static Resource = Box::leak(Box::new(Resource {
        hooks: &["update"],
        ..EVENT
    }));
    let mounted = vec![Mounted {
        resource: event,
        hooks: Some(Arc::new(Fragile)),
    }];
    let mut config = HttpConfig {
        ip_limit: None,
        user_limit: None,
        ..HttpConfig::default()
    };
    change(&mut config);
    let built = &server.built;
    let auth = Authenticator::new(built.tokens.clone(), Vec::new());
    let http = Http::new(config, auth).expect("settings of a test");
    let routes = http.wrap(router(built.db.clone(), mounted, &"cursors".into()));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let health = Health::new(built.db.clone(), None);
    tokio::spawn(serve::serve(
        listener,
        routes,
        http,
        health,
        std::future::pending(),
    ));
    Client::new(format!("http://{address}"))
}
