//! One task per process polls the database for new notifications on behalf of all listening clients and passes them
//! on.
//!
//! `NOTIFY` is not used: at commit it takes a lock of the whole cluster, so all transactions that create notifications
//! would wait for each other. This module knows members and ids of notifications, but not their contents.

use super::{super::Notifications, snapshot::Snapshot};
use crate::module::Module;
use kernel::{Db, Error, Result};
use sqlx::Row;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::{Mutex, mpsc};
use uuid::Uuid;

/// If a member has more changes than this in one poll, they are not listed one by one.
pub(super) const TOLD_MAX: usize = 100;

/// The maximum number of changes queued for a client that reads too slowly. After that its stream is closed; the
/// client gets the rest when it reconnects.
const WAITING_MAX: usize = 256;

/// The longest interval between polls while the database does not answer.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// A member's changes since the previous poll.
#[derive(Clone, Debug)]
pub(super) struct News {
    /// Ids of changed notifications with their transactions, the oldest change first. None: there are more than
    /// [`TOLD_MAX`].
    pub(super) changed: Option<Vec<(Uuid, u64)>>,
    pub(super) unread: i64,
    pub(super) seen: Arc<Snapshot>,
}

#[derive(Clone)]
pub(in super::super) struct Relay(Arc<Inner>);

struct Inner {
    db: Db,
    pause: Duration,
    listening: Mutex<Listening>,
}

#[derive(Default)]
struct Listening {
    members: HashMap<Uuid, Vec<mpsc::Sender<News>>>,
    /// The snapshot up to which all clients have been told. None: no client is listening.
    seen: Option<Arc<Snapshot>>,
}

impl Listening {
    /// Passes the news on without waiting: a client whose queue is full is disconnected.
    fn hand_over(&mut self, told: HashMap<Uuid, News>) {
        for (member, news) in told {
            if let Some(places) = self.members.get_mut(&member) {
                places.retain(|place| place.try_send(news.clone()).is_ok());
            }
        }
    }
}

impl Relay {
    pub(in super::super) fn new(db: Db, pause: Duration) -> Self {
        Self(Arc::new(Inner {
            db,
            pause,
            listening: Mutex::default(),
        }))
    }

    /// Subscribes to a member's news from now on. None: the member has `most` open streams already.
    pub(super) async fn listen(
        &self,
        member: Uuid,
        most: usize,
    ) -> Result<Option<mpsc::Receiver<News>>> {
        let mut listening = self.0.listening.lock().await;
        if listening.seen.is_none() {
            let (seen, _) = news(&self.0.db, None, Vec::new()).await?;
            listening.seen = Some(seen);
            tokio::spawn(self.clone().run());
        }
        let places = listening.members.entry(member).or_default();
        places.retain(|place| !place.is_closed());
        if places.len() >= most {
            return Ok(None);
        }
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        places.push(sender);
        Ok(Some(receiver))
    }

    /// Polls until no client is listening any more.
    async fn run(self) {
        let mut pause = self.0.pause;
        loop {
            tokio::time::sleep(pause).await;
            match self.tell().await {
                Ok(true) => pause = self.0.pause,
                Ok(false) => return,
                Err(error) => {
                    pause = (pause * 2).min(PAUSE_MAX);
                    tracing::warn!(%error, pause_ms = pause.as_millis() as u64, "what is new could not be found out");
                }
            }
        }
    }

    /// Polls once. Returns whether any client is still listening. New listeners wait for the lock meanwhile, so that
    /// they miss nothing between two polls.
    async fn tell(&self) -> Result<bool> {
        let mut listening = self.0.listening.lock().await;
        listening.members.retain(|_, places| {
            places.retain(|place| !place.is_closed());
            !places.is_empty()
        });
        let Some(seen) = listening
            .seen
            .clone()
            .filter(|_| !listening.members.is_empty())
        else {
            listening.seen = None;
            return Ok(false);
        };
        let members = listening.members.keys().copied().collect();
        let (now, told) = news(&self.0.db, Some(&seen), members).await?;
        listening.hand_over(told);
        listening.seen = Some(now);
        Ok(true)
    }
}

/// What became visible to these members since the snapshot `since`, and the present snapshot. Without `since` nothing
/// counts as new.
pub(super) async fn news(
    db: &Db,
    since: Option<&Snapshot>,
    members: Vec<Uuid>,
) -> Result<(Arc<Snapshot>, HashMap<Uuid, News>)> {
    let (since, members) = (&since.map(Snapshot::text), &members);
    let rows = db.run(Notifications::NAME, None, Uuid::now_v7(), move |cx| {
        Box::pin(async move {
            let rows = sqlx::query(
                "select seen, member, ids, marks, unread from app.notification_news($1, $2, $3)",
            )
            .bind(since)
            .bind(members)
            .bind(TOLD_MAX as i32 + 1);
            Ok(rows.fetch_all(cx.conn()).await?)
        })
    });
    let rows = rows.await?;
    let seen: &str = rows
        .first()
        .ok_or_else(|| Error::internal("no snapshot"))?
        .try_get("seen")?;
    let seen: Snapshot = seen
        .parse()
        .map_err(|()| Error::internal("a snapshot of another form"))?;
    let seen = Arc::new(seen);
    let mut all = HashMap::new();
    for row in rows {
        let Some(member) = row.try_get("member")? else {
            continue;
        };
        let ids: Vec<Uuid> = row.try_get("ids")?;
        let marks: Vec<i64> = row.try_get("marks")?;
        let changed = ids
            .into_iter()
            .zip(marks.into_iter().map(i64::cast_unsigned))
            .collect::<Vec<_>>();
        let news = News {
            changed: (changed.len() <= TOLD_MAX).then_some(changed),
            unread: row.try_get("unread")?,
            seen: seen.clone(),
        };
        all.insert(member, news);
    }
    Ok((seen, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn re4_who_reads_too_slowly_is_cut_off_and_keeps_nobody_waiting() {
        let (slow, quick) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut listening = Listening::default();
        let mut places = HashMap::new();
        for member in [slow, quick] {
            let (sender, receiver) = mpsc::channel(WAITING_MAX);
            listening.members.insert(member, vec![sender]);
            places.insert(member, receiver);
        }
        let seen = Arc::new("1:1:".parse().expect("a snapshot"));
        let news = |unread| News {
            changed: Some(Vec::new()),
            unread,
            seen: Arc::clone(&seen),
        };
        for round in 0..=WAITING_MAX as i64 {
            listening.hand_over(HashMap::from([(slow, news(round)), (quick, news(round))]));
            let heard = places.get_mut(&quick).expect("a place").try_recv();
            assert_eq!(heard.expect("news").unread, round);
        }
        // The receiver still gets what is queued, and then the end.
        let slow = places.get_mut(&slow).expect("a place");
        for round in 0..WAITING_MAX as i64 {
            assert_eq!(slow.try_recv().expect("news").unread, round);
        }
        assert_eq!(
            slow.try_recv().err(),
            Some(mpsc::error::TryRecvError::Disconnected)
        );
    }
}
