//! Shares of each caller in the database connections: long work has connections of its own, and no caller can take all
//! connections of any kind.
//!
//! Searches, maps and counts run on their own pool, where statements time out earlier: they wait for each other, while
//! reads by id and writes never wait for them. Figures such as dashboards have their own pool too, of the job role.
//! Within a lane each caller has a share; a caller that asks for more at once waits for a while and is then refused
//! with 429.

use crate::{
    actor::Actor,
    caller::Caller,
    error::{Error, Result},
    http::client,
    problems,
};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// The number of requests of one caller that may wait for each place of the caller's share.
const WAITING_PER_PLACE: usize = 32;

/// A share of each caller in the connections of one kind.
pub(super) struct Lane {
    share: usize,
    patience: Duration,
    callers: Mutex<HashMap<Key, Seats>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    User(Uuid),
    /// An IPv4 address, or the IPv6 network that is assigned to one customer.
    Address(Option<IpAddr>),
}

struct Seats {
    free: Arc<Semaphore>,
    /// Includes the requests that are waiting.
    taken: usize,
}

/// One place in a caller's share, given back when it is dropped.
pub(super) struct Seat {
    lane: Arc<Lane>,
    key: Key,
    permit: Option<OwnedSemaphorePermit>,
}

impl Lane {
    /// At most half of `connections` for one caller.
    pub fn of(connections: u32, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            share: (connections as usize / 2).max(1),
            patience,
            callers: Mutex::default(),
        })
    }

    pub async fn enter(self: &Arc<Self>, caller: &Caller) -> Result<Seat> {
        let key = Key::of(caller);
        let (mut seat, free) = self.register(key)?;
        let wait = tokio::time::timeout(self.patience, free.acquire_owned());
        seat.permit = match wait.await {
            Ok(permit) => permit.ok(),
            Err(_) => return Err(busy()),
        };
        Ok(seat)
    }

    fn register(self: &Arc<Self>, key: Key) -> Result<(Seat, Arc<Semaphore>)> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let seats = callers.entry(key).or_insert_with(|| Seats {
            free: Arc::new(Semaphore::new(self.share)),
            taken: 0,
        });
        if seats.taken >= self.share * (1 + WAITING_PER_PLACE) {
            return Err(busy());
        }
        seats.taken += 1;
        let seat = Seat {
            lane: self.clone(),
            key,
            permit: None,
        };
        Ok((seat, seats.free.clone()))
    }
}

fn busy() -> Error {
    Error::new(&problems::QUOTA)
        .detail("You have too many lists, searches and figures in progress. Wait until one of them is answered.")
        .retry_after(1)
}

impl Key {
    fn of(caller: &Caller) -> Self {
        match caller.actor {
            Actor::User { id, .. } => Self::User(id),
            Actor::Anonymous => Self::Address(caller.ip.map(client::bucket)),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.permit.take();
        let mut callers = (self.lane.callers.lock()).unwrap_or_else(PoisonError::into_inner);
        if let Some(seats) = callers.get_mut(&self.key) {
            seats.taken -= 1;
            if seats.taken == 0 {
                callers.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(ip: &str) -> Caller {
        Caller {
            ip: Some(ip.parse().unwrap()),
            ..Caller::anonymous(Uuid::nil())
        }
    }

    #[tokio::test]
    async fn a_caller_has_half_and_others_have_theirs() {
        let lane = Lane::of(4, Duration::from_millis(20));
        let (one, other) = (from("2001:db8:1:2::1"), from("2001:db8:1:3::1"));
        let first = lane.enter(&one).await.ok();
        let second = lane.enter(&from("2001:db8:1:2:9::7")).await.ok();
        assert!(first.is_some() && second.is_some());
        let refused = lane.enter(&one).await.err().unwrap();
        assert_eq!(refused.status(), 429);
        assert!(lane.enter(&other).await.is_ok());
        drop(first);
        assert!(lane.enter(&one).await.is_ok());
        drop(second);
        assert!(lane.callers.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn who_waits_gets_the_next_place_and_not_too_many_wait() {
        let lane = Lane::of(1, Duration::from_secs(60));
        let one = from("192.0.2.1");
        let first = lane.enter(&one).await.ok();
        let waiting: Vec<_> = (0..WAITING_PER_PLACE)
            .map(|_| {
                let lane = lane.clone();
                tokio::spawn(async move { lane.enter(&one).await.is_ok() })
            })
            .collect();
        while lane.callers.lock().unwrap()[&Key::of(&one)].taken < 1 + WAITING_PER_PLACE {
            tokio::task::yield_now().await;
        }
        assert_eq!(lane.enter(&one).await.err().unwrap().status(), 429);
        drop(first);
        for one in waiting {
            assert!(one.await.unwrap());
        }
    }
}
