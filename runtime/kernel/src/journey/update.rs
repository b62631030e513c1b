//! `PUT /events/{id}` and `PATCH /events/{id}`

use super::{
    Action, Call, Shown, Way,
    diagnose::{Trouble, diagnose},
    findings::{complete, incomplete, is_about_values},
    hook, is_one_statement, national,
    read_only::{self, Repeated},
    refused::{self, Attempt},
    require, settled, span, try_again,
};
use crate::{
    caller::Caller,
    cx::Cx,
    engine::Endpoint,
    error::{Error, Result},
    etag::Precondition,
    http::body,
    input::{Input, Mode},
    list::query,
};
use axum::{http::StatusCode, response::Response};
use sqlx::{Arguments, AssertSqlSafe, postgres::PgArguments};
use uuid::Uuid;

struct Update<'a> {
    endpoint: &'a Endpoint,
    caller: &'a Caller,
    id: Option<Uuid>,
    text: &'a [u8],
    /// Read-only properties that the body contained.
    repeated: &'a Repeated,
    mode: Mode,
    precondition: Precondition,
    /// Errors in the request outside its body.
    wrong: Option<Error>,
}

pub(crate) async fn update(endpoint: &Endpoint, call: Call, mode: Mode) -> Result<Response> {
    span(endpoint, "update");
    require(endpoint.resource().rules.update, &call.caller)?;
    let text = body::read_json(&call.parts.headers, call.body, mode).await?;
    let (text, repeated) = read_only::take(endpoint.resource(), text);
    let text = national::complete(endpoint, &call.caller, call.id, text).await?;
    let (precondition, wrong) = match Precondition::read(&call.parts.headers) {
        Ok(precondition) => (
            precondition,
            query::refuse_any(call.parts.uri.query()).err(),
        ),
        Err(error) => (Precondition::Missing, Some(error)),
    };
    let update = Update {
        endpoint,
        caller: &call.caller,
        id: call.id,
        text: &text,
        repeated: &repeated,
        mode,
        precondition,
        wrong,
    };
    let mut attempt = 1;
    loop {
        match update.run(Way::Seen).await {
            Err(error) if try_again(&error, attempt) => attempt += 1,
            result => return settled(endpoint.resource(), Action::Update, result),
        }
    }
}

impl Update<'_> {
    async fn begin(&self) -> Result<Cx> {
        let db = &self.endpoint.engine.db;
        db.begin_write(self.caller, "update").await
    }

    async fn run(&self, way: Way) -> Result<Response> {
        let resource = self.endpoint.resource();
        let Some(decode) = resource.update else {
            return Err(Error::internal("no way to update"));
        };
        let decoded = decode(self.text, self.mode).map_err(Error::from);
        let (id, input) = match (decoded, &self.wrong, self.id) {
            (Ok(input), None, Some(id)) if self.precondition != Precondition::Missing => {
                (id, input)
            }
            (decoded, wrong, _) => {
                let wrong = wrong.as_ref().map(Error::copy);
                let invalid = match decoded {
                    Err(error) => Some(error.after(wrong)),
                    Ok(_) => wrong,
                };
                return Err(self.invalid(invalid).await?);
            }
        };
        if way == Way::Seen
            && self.repeated.is_empty()
            && is_one_statement(self.endpoint, Action::Update)
        {
            return self.at_once(self.arguments(id, &*input)?).await;
        }
        self.in_transaction(id, input, way).await
    }

    /// All errors at once, including those against the object as the caller sees it.
    async fn invalid(&self, found: Option<Error>) -> Result<Error> {
        let resource = self.endpoint.resource();
        let mut cx = self.begin().await?;
        let mut invalid = found;
        if let (Some(error), Some(id)) = (&invalid, self.id)
            && let Some(shown) = Shown::read(resource, &mut cx, id).await?
        {
            let error = match self.repeated.changed(resource, &shown.body) {
                Some(changed) => changed.after(Some(error.copy())),
                None => error.copy(),
            };
            let missing = match (resource.update, self.mode) {
                (Some(decode), Mode::Merge) if is_about_values(&error) => {
                    incomplete(decode, self.text, &shown.body)
                }
                _ => Vec::new(),
            };
            let error = missing.into_iter().fold(error, Error::with_finding);
            let body = Some(&*shown.body);
            invalid = Some(complete(&mut cx, &self.attempt(), body, error).await?);
        }
        Ok(diagnose(&mut cx, self.trouble(invalid, None)).await)
    }

    async fn at_once(&self, arguments: PgArguments) -> Result<Response> {
        let (db, resource) = (&self.endpoint.engine.db, self.endpoint.resource());
        let text = resource.sql.update;
        match db.write(self.caller, "update", text, arguments).await {
            Ok(Some(row)) => Ok(Shown::of(resource, &row)?.answer(StatusCode::OK)),
            Ok(None) => Err(diagnose(&mut self.begin().await?, self.trouble(None, None)).await),
            Err(error) => self.refused(Way::Seen, error).await,
        }
    }

    async fn refused(&self, way: Way, error: sqlx::Error) -> Result<Response> {
        let attempt = self.attempt();
        if refused::may_be_unseen(&attempt, way, &error) {
            return Box::pin(self.run(Way::Unseen)).await;
        }
        Err(refused::explain(&attempt, error).await)
    }

    fn attempt(&self) -> Attempt<'_> {
        Attempt {
            endpoint: self.endpoint,
            caller: self.caller,
            action: Action::Update,
            id: self.id,
            body: self.text,
        }
    }

    async fn in_transaction(
        &self,
        id: Uuid,
        mut input: Box<dyn Input>,
        way: Way,
    ) -> Result<Response> {
        let resource = self.endpoint.resource();
        let mut cx = self.begin().await?;
        if let Some((changed, body)) = self.changed(&mut cx, id).await? {
            let all = complete(&mut cx, &self.attempt(), Some(&body), changed).await?;
            return Err(diagnose(&mut cx, self.trouble(None, Some(all))).await);
        }
        let (action, given) = (Action::Update, Some(&mut *input));
        if let Err(error) = hook(self.endpoint, action, &mut cx, Some(id), given).await {
            return Err(self.refused_by_hook(cx, error).await);
        }
        if way == Way::Unseen {
            super::may_be_hidden(&mut cx, resource, id).await?;
        }
        let text = AssertSqlSafe(resource.update_text(&input.given()));
        let row = match sqlx::query_with(text, self.arguments(id, &*input)?)
            .fetch_optional(cx.conn())
            .await
        {
            Ok(Some(row)) => row,
            Ok(None) => return Err(diagnose(&mut cx, self.trouble(None, None)).await),
            Err(error) => {
                drop(cx);
                return self.refused(way, error).await;
            }
        };
        let shown = if way == Way::Unseen {
            None
        } else if resource.guarded {
            Shown::read(resource, &mut cx, id).await?
        } else {
            Some(Shown::of(resource, &row)?)
        };
        refused::commit(cx, &self.attempt()).await?;
        Ok(shown.map_or_else(
            || super::empty(StatusCode::NO_CONTENT),
            |shown| shown.answer(StatusCode::OK),
        ))
    }

    /// Compares repeated read-only properties with the object as it is now, which is returned as well. If the object is
    /// missing, nothing is reported here.
    async fn changed(&self, cx: &mut Cx, id: Uuid) -> Result<Option<(Error, Vec<u8>)>> {
        if self.repeated.is_empty() {
            return Ok(None);
        }
        let resource = self.endpoint.resource();
        let shown = Shown::read(resource, cx, id).await?;
        Ok(shown.and_then(|shown| {
            let changed = self.repeated.changed(resource, &shown.body)?;
            Some((changed, shown.body))
        }))
    }

    /// A hook's reason is only told to those who may do this at all. The hook's failure may have aborted its
    /// transaction.
    async fn refused_by_hook(&self, cx: Cx, error: Error) -> Error {
        if !error.is_refusal() {
            return error;
        }
        drop(cx);
        match self.begin().await {
            Ok(mut cx) => diagnose(&mut cx, self.trouble(None, Some(error))).await,
            Err(error) => error,
        }
    }

    fn arguments(&self, id: Uuid, input: &dyn Input) -> Result<PgArguments> {
        let mut arguments = PgArguments::default();
        arguments.add(id).map_err(Error::internal)?;
        arguments
            .add(self.precondition.versions())
            .map_err(Error::internal)?;
        input.bind(&mut arguments).map_err(Error::internal)?;
        Ok(arguments)
    }

    fn trouble(&self, invalid: Option<Error>, otherwise: Option<Error>) -> Trouble<'_> {
        Trouble {
            resource: self.endpoint.resource(),
            caller: self.caller,
            action: Action::Update,
            id: self.id,
            invalid,
            precondition: &self.precondition,
            required: true,
            otherwise,
        }
    }
}
