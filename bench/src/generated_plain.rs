//! The generated server without tokens, context, policies and audit, which shows the cost of the engine itself.
//!
//! It runs the same generated code and statements; only the rules are replaced by "anyone".

use anyhow::Result;
use generated::institution::INSTITUTION;
use kernel::{
    Db,
    auth::{Authenticator, Tokens},
    config::{DbConfig, HttpConfig, TokenConfig},
    http::Http,
    mount::{self, Mounted},
    resource::{Resource, Rules},
    rule::Rule,
    serve,
};
use std::sync::Arc;

static ANYONE: Rule = Rule::Anyone;
static RULES: Rules = Rules {
    read: &ANYONE,
    create: &ANYONE,
    update: &ANYONE,
    delete: &ANYONE,
    restore: &ANYONE,
    suspend: &ANYONE,
};

pub async fn serve(url: &str, connections: u32, listen: &str) -> Result<()> {
    let mut config = DbConfig::new(url.into());
    config.connections = connections;
    let db = Db::connect(&config)?.without_context();
    let http = HttpConfig {
        listen: listen.parse()?,
        ip_limit: None,
        user_limit: None,
        ..HttpConfig::default()
    };
    let key = std::env::var("TOKEN_KEY")?;
    let tokens = Tokens::new(&TokenConfig::new(
        crate::ISSUER.into(),
        crate::AUDIENCE.into(),
        key.into(),
    ))?;
    let http = Http::new(http, Authenticator::new(Arc::new(tokens), Vec::new()))?;
    let resource: &'static Resource = Box::leak(Box::new(Resource {
        rules: RULES,
        ..INSTITUTION
    }));
    let routes = http.wrap(mount::router(
        db.clone(),
        vec![Mounted {
            resource,
            hooks: None,
        }],
        &"cursors".into(),
    ));
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let health = kernel::http::health::Health::new(db, None);
    Ok(serve::serve(listener, routes, http, health, std::future::pending()).await?)
}
