//! One task per process that asks the database what is new, for all who listen, and tells each of them.
//!
//! Nobody is woken by `NOTIFY`: at commit it takes a lock of the whole cluster, so every transaction that tells something
//! would wait for the others. Knows members and ids of notifications, not what is in them.

use super::{super::Notifications, snapshot::Snapshot};
use crate::module::Module;
use kernel::{Db, Error, Result};
use sqlx::Row;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::{Mutex, mpsc};
use uuid::Uuid;

/// More changes of a member at once are not told one by one.
pub(super) const TOLD_MAX: usize = 100;

/// Changes that wait for a client which reads too slowly; then it is cut off, and finds the rest when it is back.
const WAITING_MAX: usize = 256;

/// While the database does not answer it is asked less and less often.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What is new for a member.
#[derive(Clone, Debug)]
pub(super) struct News {
    /// The oldest change first, with its transaction. None: more than [`TOLD_MAX`].
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
    /// Up to where all of them have been told. None while nobody listens.
    seen: Option<Arc<Snapshot>>,
}

impl Listening {
    /// Without waiting for anybody: a place that is full is cut off.
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

    /// From now on this member's news come here. None: they listen at `most` places already.
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

    /// Until nobody listens any more.
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

    /// Whether somebody still listens. Who begins to meanwhile waits, so that nobody falls between two looks.
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

/// What became visible to these members since then, and the snapshot that was looked at. Without `since` nothing is new.
pub(super) async fn news(
    db: &Db,
    since: Option<&Snapshot>,
    members: Vec<Uuid>,
) -> Result<(Arc<Snapshot>, HashMap<Uuid, News>)> {
    let since = since.map(Snapshot::text);
    let rows = db.run(Notifications::NAME, None, Uuid::now_v7(), move |cx| {
        let (since, members) = (since.clone(), members.clone());
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
        // It still gets what waits, and then the end.
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
