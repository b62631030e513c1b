//! `POST /events`

use super::{
    Action, Call, Shown, Way,
    findings::{self, complete},
    hook, is_one_statement, national,
    refused::{self, Attempt},
    require, require_with_roles, span,
    together::{Made, Making, Pace, Parts, Stop},
    try_again,
};
use crate::{
    caller::Caller,
    cx::Cx,
    engine::Endpoint,
    error::{Error, Result},
    http::body,
    idempotency::{self, Claim, Request},
    input::{Input, Mode},
    list::query,
    problems,
    resource::Resource,
};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use sqlx::{Row, postgres::PgArguments};
use std::time::Duration;
use uuid::Uuid;

pub(crate) async fn create(endpoint: &Endpoint, call: Call) -> Result<Response> {
    span(endpoint, "create");
    require(endpoint.resource().rules.create, &call.caller)?;
    let text = body::read_json(&call.parts.headers, call.body, Mode::Create).await?;
    let extra = query::refuse_any(call.parts.uri.query());
    let keyed = keyed(endpoint, &call.caller, &call.parts.headers, &text)?;
    let text = national::complete(endpoint, &call.caller, None, text).await?;
    let create = Create {
        endpoint,
        caller: &call.caller,
        parts: Parts::of(endpoint.resource(), &text),
        extra: &extra,
        keyed: keyed.as_ref(),
    };
    let mut attempt = 1;
    loop {
        match create.run(Way::Seen, Pace::AtOnce).await {
            Err(error) if try_again(&error, attempt) => attempt += 1,
            result => return result,
        }
    }
}

struct Create<'a> {
    endpoint: &'a Endpoint,
    caller: &'a Caller,
    parts: Parts<'a>,
    /// Errors in the request outside its body.
    extra: &'a Result<()>,
    keyed: Option<&'a Request>,
}

/// Anonymous callers have no idempotency keys, because their keys could not be told apart.
fn keyed(
    endpoint: &Endpoint,
    caller: &Caller,
    headers: &HeaderMap,
    text: &[u8],
) -> Result<Option<Request>> {
    let Some(key) = idempotency::key(headers)? else {
        return Ok(None);
    };
    if caller.actor.user().is_none() {
        return Err(Error::new(&problems::BAD_REQUEST)
            .detail("`Idempotency-Key` is for signed-in callers; send the request without."));
    }
    let path = format!("/{}", endpoint.resource().path);
    Ok(Some(Request::new("POST", &path, &path, key, text)))
}

/// The key is claimed for no longer than the transaction, which has a time limit itself.
const LEASE: Duration = Duration::from_secs(60);

impl Create<'_> {
    async fn run(&self, way: Way, pace: Pace) -> Result<Response> {
        let decoded = self.decode()?;
        let alone = way == Way::Seen
            && self.parts.is_empty()
            && self.keyed.is_none()
            && is_one_statement(self.endpoint, Action::Create);
        match decoded {
            Ok(input) if alone => self.at_once(bound(&*input)?).await,
            decoded => self.in_transaction(decoded, way, pace).await,
        }
    }

    fn decode(&self) -> Result<Result<Box<dyn Input>>> {
        let Some(decode) = self.endpoint.resource().create else {
            return Err(Error::internal("no way to create"));
        };
        let own = decode(&self.parts.own, Mode::Create);
        let checked = self.parts.check(self.endpoint, own);
        Ok(match self.extra {
            Ok(()) => checked,
            Err(error) => Err(match checked {
                Ok(_) => error.copy(),
                Err(wrong) => wrong.after(Some(error.copy())),
            }),
        })
    }

    async fn begin(&self) -> Result<Cx> {
        let db = &self.endpoint.engine.db;
        db.begin_write(self.caller, "create").await
    }

    fn attempt(&self) -> Attempt<'_> {
        Attempt {
            endpoint: self.endpoint,
            caller: self.caller,
            action: Action::Create,
            id: None,
            body: &self.parts.own,
        }
    }

    async fn at_once(&self, arguments: PgArguments) -> Result<Response> {
        let (db, resource) = (&self.endpoint.engine.db, self.endpoint.resource());
        let made = db.write(self.caller, "create", resource.sql.create, arguments);
        match made.await {
            Ok(Some(row)) => {
                let shown = Shown::of(resource, &row)?;
                created(resource, row.try_get("id")?, Some(shown))
            }
            Ok(None) => Err(Error::internal("a row that is not made, without an error")),
            Err(error) => self.refused(Way::Seen, Pace::AtOnce, error).await,
        }
    }

    async fn refused(&self, way: Way, pace: Pace, error: sqlx::Error) -> Result<Response> {
        let attempt = self.attempt();
        if refused::may_be_unseen(&attempt, way, &error) {
            return Box::pin(self.run(Way::Unseen, pace)).await;
        }
        Err(self
            .with_errors_of_parts(refused::explain(&attempt, error).await)
            .await)
    }

    /// Errors of nested objects are reported together with those of the object itself.
    async fn with_errors_of_parts(&self, error: Error) -> Error {
        if self.parts.is_empty() || error.is_transient() || !findings::is_about_values(&error) {
            return error;
        }
        let told = error.copy();
        let more = async {
            let mut cx = self.begin().await?;
            self.complete_parts(&mut cx, error).await
        };
        more.await.unwrap_or(told)
    }

    async fn complete_parts(&self, cx: &mut Cx, error: Error) -> Result<Error> {
        self.parts
            .complete(cx, self.endpoint, self.caller, error)
            .await
    }

    async fn in_transaction(
        &self,
        decoded: Result<Box<dyn Input>>,
        way: Way,
        pace: Pace,
    ) -> Result<Response> {
        let resource = self.endpoint.resource();
        let mut cx = self.begin().await?;
        let mut input = match decoded {
            Ok(input) => input,
            Err(error) => return Err(self.all_errors(&mut cx, error).await?),
        };
        if let Some(keyed) = self.keyed
            && let Claim::Done(response) = keyed.claim(&mut cx, LEASE).await?
        {
            return Ok(response);
        }
        let mut cx = self.hook(cx, &mut *input).await?;
        let made = sqlx::query_with(statement(resource, way), bound(&*input)?);
        let row = match made.fetch_optional(cx.conn()).await {
            Ok(row) => row,
            Err(error) => {
                drop(cx);
                return self.refused(way, pace, error).await;
            }
        };
        let id = match &row {
            Some(row) => row.try_get("id")?,
            None => made_unseen(&mut cx).await?,
        };
        if !self.parts.is_empty() {
            return self.create_parts(cx, id, way, pace).await;
        }
        let shown = match row {
            Some(_) if resource.guarded => Shown::read(resource, &mut cx, id).await?,
            Some(row) => Some(Shown::of(resource, &row)?),
            None => None,
        };
        self.finish(cx, created(resource, id, shown)?).await
    }

    /// Creates the nested objects of an object that was just created, and answers with all of them.
    async fn create_parts(&self, mut cx: Cx, id: Uuid, way: Way, pace: Pace) -> Result<Response> {
        let resource = self.endpoint.resource();
        cx.note_made(id);
        let making = Making {
            endpoint: self.endpoint,
            caller: self.caller,
            id,
            way,
            pace,
        };
        match making.all(cx, &self.parts).await {
            Ok((mut cx, made)) => {
                // Read again, because nested objects may have changed it.
                let shown = with(Shown::read(resource, &mut cx, id).await?, made)?;
                self.finish(cx, created(resource, id, shown)?).await
            }
            Err(Stop::Refused(error)) => Err(self.with_errors_of_parts(error).await),
            Err(Stop::OneByOne) => Box::pin(self.run(way, Pace::OneByOne)).await,
            Err(Stop::Unseen) => Box::pin(self.run(Way::Unseen, pace)).await,
        }
    }

    /// Everything that is wrong with a body, for callers who may create at all.
    async fn all_errors(&self, cx: &mut Cx, error: Error) -> Result<Error> {
        require_with_roles(self.endpoint.resource().rules.create, self.caller, cx).await?;
        let error = complete(cx, &self.attempt(), None, error).await?;
        self.complete_parts(cx, error).await
    }

    /// Calls the entity's hook. Its reason is only told to callers who may create at all.
    async fn hook(&self, mut cx: Cx, input: &mut dyn Input) -> Result<Cx> {
        let called = hook(self.endpoint, Action::Create, &mut cx, None, Some(input));
        let Err(error) = called.await else {
            return Ok(cx);
        };
        if error.is_refusal() {
            // The hook's failure may have aborted its transaction.
            drop(cx);
            let mut cx = self.begin().await?;
            require_with_roles(self.endpoint.resource().rules.create, self.caller, &mut cx).await?;
        }
        Err(error)
    }

    /// Commits, and stores the answer of a request with a key in the same transaction: the object, its nested objects
    /// and the answer are stored together or not at all.
    async fn finish(&self, mut cx: Cx, answer: Response) -> Result<Response> {
        let Some(keyed) = self.keyed else {
            refused::commit(cx, &self.attempt()).await?;
            return Ok(answer);
        };
        let (parts, content) = answer.into_parts();
        let content = body::read(content).await?;
        keyed
            .keep(&mut cx, 1, parts.status, &parts.headers, &content)
            .await?;
        refused::commit(cx, &self.attempt()).await?;
        Ok(Response::from_parts(parts, Body::from(content)))
    }
}

/// The object as it is after its nested objects were created, with them.
fn with(shown: Option<Shown>, made: Made) -> Result<Option<Shown>> {
    let Some(mut shown) = shown else {
        return Ok(None);
    };
    for (name, objects) in made {
        shown = shown.with(name, &objects)?;
    }
    Ok(Some(shown))
}

fn bound(input: &dyn Input) -> Result<PgArguments> {
    let mut arguments = PgArguments::default();
    input.bind(&mut arguments).map_err(Error::internal)?;
    Ok(arguments)
}

/// Marks an object that this transaction created and can't read.
async fn made_unseen(cx: &mut Cx) -> Result<Uuid> {
    let id = sqlx::query_scalar("select sec.created()").fetch_one(cx.conn());
    Ok(id.await?)
}

/// It may be only the nested objects that their creator can't see.
fn statement(resource: &Resource, way: Way) -> &'static str {
    match way {
        Way::Unseen if resource.created_unseen => without_returning(resource.sql.create),
        Way::Seen | Way::Unseen => resource.sql.create,
    }
}

fn without_returning(text: &'static str) -> &'static str {
    text.split_once("returning ")
        .map_or(text, |(before, _)| before)
}

/// The answer without a body, for callers who may create but not read.
fn created(resource: &Resource, id: Uuid, shown: Option<Shown>) -> Result<Response> {
    let mut response = match shown {
        Some(shown) => shown.answer(StatusCode::CREATED),
        None => super::empty(StatusCode::CREATED),
    };
    let location = format!("/{}/{id}", resource.path);
    response.headers_mut().insert(
        header::LOCATION,
        HeaderValue::try_from(location).map_err(Error::internal)?,
    );
    Ok(response)
}
