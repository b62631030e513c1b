//! The whole state of the fake, and its lookups.

use crate::{
    clock::Clock,
    error::{ApiError, Result},
    event::Cause,
    fake::Config,
    fault::Script,
    form::Params,
    idempotency::Keys,
    json::{Fields, visible},
    ledger::{Entry, Ledger, PLATFORM, Reason},
    random::Random,
    timer::Timers,
    webhook::Webhooks,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct World {
    pub clock: Clock,
    /// The time of the current action. For timers this is their own time, which may be before that of the clock.
    pub now: i64,
    random: Random,
    objects: HashMap<String, Value>,
    /// Ids in the order of creation, by the name of their list.
    lists: BTreeMap<String, Vec<String>>,
    pub ledger: Ledger,
    pub keys: Keys,
    pub timers: Timers,
    pub webhooks: Webhooks,
    pub faults: Script,
    #[serde(skip)]
    pub cause: Cause,
    #[serde(skip)]
    pub config: Config,
}

/// A call whose authentication and idempotency key were handled.
#[derive(Debug)]
pub struct Call {
    pub path: String,
    pub params: Params,
    /// The connected account on whose behalf the call is made. None: the platform.
    pub account: Option<String>,
}

/// A movement of money to be booked.
pub struct Move<'a> {
    pub currency: &'a str,
    pub from: &'a str,
    pub to: &'a str,
    pub amount: i64,
    pub reason: Reason,
    pub object: &'a str,
}

impl World {
    pub fn new(config: Config) -> Self {
        Self {
            clock: config.clock,
            now: config.clock.now(),
            random: Random::new(config.seed),
            objects: HashMap::new(),
            lists: BTreeMap::new(),
            ledger: Ledger::default(),
            keys: Keys::default(),
            timers: Timers::default(),
            webhooks: Webhooks::new(config.seed),
            faults: Script::new(config.seed),
            cause: Cause::default(),
            config,
        }
    }

    pub fn seed(&self) -> u64 {
        self.random.seed()
    }

    pub fn token(&mut self, length: usize) -> String {
        self.random.token(length)
    }

    pub fn new_id(&mut self, prefix: &str) -> String {
        format!("{prefix}_{}", self.random.token(24))
    }

    pub fn get(&self, id: &str) -> Option<&Value> {
        self.objects.get(id)
    }

    /// The object with this id; null if there is none.
    pub fn object(&self, id: &str) -> &Value {
        self.objects.get(id).unwrap_or(&Value::Null)
    }

    pub fn edit(&mut self, id: &str) -> &mut Value {
        self.objects.entry(id.to_owned()).or_default()
    }

    pub fn insert(&mut self, list: &str, object: Value) -> String {
        let id = object.str("id").to_owned();
        self.lists
            .entry(list.to_owned())
            .or_default()
            .push(id.clone());
        self.objects.insert(id.clone(), object);
        id
    }

    pub fn all(&self, list: &str) -> impl DoubleEndedIterator<Item = &Value> {
        let ids = self.lists.get(list).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| self.objects.get(id))
    }

    /// The object that a path names, if it is of this kind and belongs to the calling account.
    pub fn find(&self, kind: &str, id: &str, call: &Call) -> Result<&Value> {
        let found = self.objects.get(id);
        let found = found.filter(|object| object.str("object") == kind && call.owns(object));
        let what = name_of(kind);
        found.ok_or_else(|| ApiError::not_found(what, id))
    }

    /// The object that a parameter names, with the same conditions; deleted objects don't count.
    pub fn named(&self, kind: &str, param: &str, id: &str, call: &Call) -> Result<&Value> {
        let found = self.find(kind, id, call);
        let found = found.ok().filter(|object| !object.is("deleted"));
        found.ok_or_else(|| ApiError::no_such(name_of(kind), id, param))
    }

    pub fn book(&mut self, movement: &Move<'_>) {
        if movement.amount == 0 {
            return;
        }
        self.ledger.book(Entry {
            at: self.now,
            currency: movement.currency.to_owned(),
            from: movement.from.to_owned(),
            to: movement.to.to_owned(),
            amount: movement.amount,
            reason: movement.reason,
            object: movement.object.to_owned(),
        });
    }

    /// Creates the balance transaction of an amount on a balance. Returns its id.
    pub fn balance_transaction(
        &mut self,
        owner: &str,
        kind: &str,
        source: &str,
        amount: i64,
        fee: i64,
    ) -> String {
        let currency = self.object(source).str("currency").to_owned();
        let details = match fee {
            0 => json!([]),
            _ => json!([{
                "amount": fee, "application": null, "currency": currency,
                "description": "Stripe processing fees", "type": "stripe_fee",
            }]),
        };
        let id = self.new_id("txn");
        let mut transaction = json!({
            "id": id,
            "object": "balance_transaction",
            "amount": amount,
            "available_on": self.now,
            "balance_type": "payments",
            "created": self.now,
            "currency": currency,
            "description": null,
            "exchange_rate": null,
            "fee": fee,
            "fee_details": details,
            "net": amount - fee,
            "reporting_category": kind,
            "source": source,
            "status": "available",
            "type": kind,
        });
        if owner != PLATFORM {
            transaction["_account"] = json!(owner);
        }
        self.insert("balance_transactions", transaction)
    }

    /// A page of a list, newest first, of the calling account's objects.
    pub fn page(&self, list: &str, call: &Call, keep: impl Fn(&Value) -> bool) -> Result<Value> {
        let params = &call.params;
        let limit = params.integer("limit")?.unwrap_or(10);
        if !(1..=100).contains(&limit) {
            return Err(ApiError::parameter(
                "parameter_invalid_integer",
                "limit",
                "A limit is from 1 to 100.".to_owned(),
            ));
        }
        let limit = usize::try_from(limit).unwrap_or(10);
        let fits = created_filter(params)?;
        let all = self.all(list).rev();
        let all = all.filter(|object| call.owns(object) && !object.is("deleted"));
        let all: Vec<&Value> = all
            .filter(|object| fits(object.num("created")) && keep(object))
            .collect();
        let place = |param: &str| match params.text(param) {
            None => Ok(None),
            Some(id) => match all.iter().position(|object| object.str("id") == id) {
                Some(at) => Ok(Some(at)),
                None => Err(ApiError::no_such("object", id, param)),
            },
        };
        let (rest, more): (&[&Value], bool) =
            match (place("starting_after")?, place("ending_before")?) {
                (Some(at), _) => (&all[at + 1..], all.len() - at - 1 > limit),
                (None, Some(at)) => (&all[at.saturating_sub(limit)..at], at > limit),
                (None, None) => (&all, all.len() > limit),
            };
        let data: Vec<&Value> = rest.iter().take(limit).copied().collect();
        Ok(json!({ "object": "list", "url": call.path, "has_more": more, "data": data }))
    }

    /// The object as it is returned: without the fake's own fields, and with those that `expand` asks for.
    pub fn present(&self, object: &Value, expand: &[&str]) -> Value {
        let mut shown = object.clone();
        for path in expand {
            let path: Vec<&str> = path.split('.').collect();
            self.expand(&mut shown, &path);
        }
        visible(&shown)
    }

    fn expand(&self, object: &mut Value, path: &[&str]) {
        let Some((name, rest)) = path.split_first() else {
            return;
        };
        if let Value::Array(all) = object {
            for one in all {
                self.expand(one, path);
            }
            return;
        }
        let hidden = object.get(format!("_{name}")).cloned();
        let inner = match object.get(*name) {
            Some(Value::String(id)) => self.objects.get(id).cloned(),
            Some(Value::Null) | None => hidden,
            Some(other) => Some(other.clone()),
        };
        if let Some(mut inner) = inner {
            self.expand(&mut inner, rest);
            object[*name] = inner;
        }
    }
}

impl Call {
    /// The account whose balance and objects the call uses.
    pub fn holder(&self) -> &str {
        self.account.as_deref().unwrap_or(PLATFORM)
    }

    pub fn owns(&self, object: &Value) -> bool {
        object.maybe("_account") == self.account.as_deref()
    }

    pub fn own(&self, object: &mut Value) {
        if let Some(account) = &self.account {
            object["_account"] = json!(account);
        }
    }
}

/// The name of a kind of object in Stripe's messages.
fn name_of(kind: &str) -> &str {
    match kind {
        "payment_method" => "PaymentMethod",
        other => other,
    }
}

/// The filters `created`, `created[gte]` and so on.
fn created_filter(params: &Params) -> Result<impl Fn(i64) -> bool> {
    let exact = params.integer("created")?;
    let (gte, gt) = (
        params.integer("created[gte]")?,
        params.integer("created[gt]")?,
    );
    let (lte, lt) = (
        params.integer("created[lte]")?,
        params.integer("created[lt]")?,
    );
    Ok(move |at| {
        exact.is_none_or(|time| at == time)
            && gte.is_none_or(|time| at >= time)
            && gt.is_none_or(|time| at > time)
            && lte.is_none_or(|time| at <= time)
            && lt.is_none_or(|time| at < time)
    })
}
