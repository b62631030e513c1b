//! RM: whatever happens to events, tickets, preferences, clocks and workers, in any order, exactly those are reminded
//! whom a model names.
//!
//! The model consists of simple rules over numbers. The same steps are applied to an event in a database, where the
//! module plans and sends. After every step both must have planned and sent the same. Time passes by moving everything
//! in the database into the past, in whole hours, half an hour away from any time that the clock decides about.

use super::stage::Guests;
use crate::support::Member;
use fastrand::Rng;
use kernel::messages::Channel;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use std::{collections::BTreeSet, time::Duration};
use uuid::Uuid;

const MEMBERS: usize = 3;
const STEPS: usize = 20;

/// Minutes before the event at which guests are reminded at the earliest and at the latest.
const DUE: i64 = 24 * 60;
const LEAST: i64 = 120;

/// A member, and the revision of the event's times that the reminder is for.
type Reminder = (usize, i32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Buy(usize),
    GiveBack(usize),
    HandOn(usize, usize),
    /// Moves the event to this many and a half hours from now.
    Move(i64),
    /// Moves the event to its original time.
    MoveBack,
    /// Changes the time zone.
    Zone,
    /// Cancels the event, or publishes it again.
    Show(bool),
    /// Sets a member's preference for mails with reminders.
    Want(usize, bool),
    /// Hours in which no worker runs; negative if clocks are set back.
    Pass(i64),
    /// Deletes the record that the guests were reminded.
    Forget,
    /// Runs this many workers at once that look for due reminders.
    Look(usize),
    Send,
}

impl Step {
    fn any(random: &mut Rng) -> Self {
        let member = random.usize(..MEMBERS);
        match random.u32(..31) {
            0..3 => Self::Buy(member),
            3..6 => Self::GiveBack(member),
            6 => Self::HandOn(member, (member + 1) % MEMBERS),
            7..9 => Self::Move([1, 3, 8, 12, 22, 23, 25, 40][random.usize(..8)]),
            9 => Self::MoveBack,
            10 => Self::Zone,
            11 => Self::Show(random.u32(..3) > 0),
            12..14 => Self::Want(member, random.bool()),
            14..17 => Self::Pass([1, 2, 6, 12, 20][random.usize(..5)]),
            17 => Self::Pass(-random.i64(1..12)),
            18..20 => Self::Forget,
            20..26 => Self::Look(random.usize(1..3)),
            _ => Self::Send,
        }
    }
}

/// The variant of the model; all but one are wrong, for the control.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Model {
    Right,
    /// Reminds members who get a ticket after the others have been reminded.
    RemindsLate,
}

/// The state of the model, whose methods are the rules.
struct World {
    model: Model,
    begins: i64,
    first: i64,
    is_shown: bool,
    revision: i32,
    reminded: i32,
    tickets: [u32; MEMBERS],
    wants: [bool; MEMBERS],
    waiting: Vec<Reminder>,
    planned: BTreeSet<Reminder>,
    sent: BTreeSet<Reminder>,
}

impl World {
    fn new(model: Model, begins: i64) -> Self {
        Self {
            model,
            begins,
            first: begins,
            is_shown: true,
            revision: 1,
            reminded: 0,
            tickets: [0; MEMBERS],
            wants: [true; MEMBERS],
            waiting: Vec::new(),
            planned: BTreeSet::new(),
            sent: BTreeSet::new(),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Buy(member) => self.tickets[member] += 1,
            Step::GiveBack(member) => self.tickets[member] = self.tickets[member].saturating_sub(1),
            Step::HandOn(from, to) if self.tickets[from] > 0 => {
                self.tickets[from] -= 1;
                self.tickets[to] += 1;
            }
            Step::HandOn(..) => {}
            Step::Move(hours) => self.set_to(hours * 60 + 30),
            Step::MoveBack => self.set_to(self.first),
            Step::Zone => self.set_to(self.begins),
            Step::Show(shown) => {
                self.is_shown = shown;
                if !shown {
                    self.waiting.clear();
                }
            }
            Step::Want(member, wants) => self.wants[member] = wants,
            Step::Pass(hours) => {
                self.begins -= hours * 60;
                self.first -= hours * 60;
            }
            Step::Forget => self.reminded = 0,
            Step::Look(_) => self.look(),
            Step::Send => self.send(),
        }
    }

    /// Another time is another revision, and waiting reminders are dropped.
    fn set_to(&mut self, begins: i64) {
        self.begins = begins;
        self.revision += 1;
        self.waiting.clear();
    }

    fn look(&mut self) {
        let is_due = self.begins <= DUE && self.begins > LEAST;
        let is_reminded = self.reminded == self.revision && self.model == Model::Right;
        if !self.is_shown || !is_due || is_reminded {
            return;
        }
        self.reminded = self.revision;
        for member in (0..MEMBERS).filter(|member| self.tickets[*member] > 0) {
            let reminder = (member, self.revision);
            // Nobody is reminded twice of the same time.
            if self.planned.insert(reminder) && self.wants[member] {
                self.waiting.push(reminder);
            }
        }
    }

    fn send(&mut self) {
        let takes_place = self.is_shown && self.begins > 0;
        for (member, revision) in std::mem::take(&mut self.waiting) {
            let goes = self.tickets[member] > 0 && self.wants[member];
            if takes_place && goes && revision == self.revision {
                self.sent.insert((member, revision));
            }
        }
    }
}

/// The corresponding event in the database.
struct Real<'a> {
    guests: &'a Guests,
    members: &'a [Member],
    conn: &'a mut PgConnection,
    event: Uuid,
    title: String,
}

impl Real<'_> {
    async fn run(&mut self, text: &str) {
        let text = text.replace("{event}", &self.event.to_string());
        sqlx::raw_sql(AssertSqlSafe(text.clone()))
            .execute(&mut *self.conn)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
    }

    /// Runs a statement without triggers: these tickets have no order, and no clock is changed.
    async fn put(&mut self, text: &str) {
        let past = "set session_replication_role = replica;";
        self.run(&format!(
            "{past} {text}; set session_replication_role = origin"
        ))
        .await;
    }

    async fn take(&mut self, step: Step, world: &World) {
        let ids: Vec<Uuid> = self.members.iter().map(|member| member.id).collect();
        let one = "select id from app.tickets where event_id = '{event}' and state = 'valid' and holder_id";
        match step {
            Step::Buy(member) => self.put(&format!(
                "insert into app.tickets (order_id, ticket_type_id, event_id, holder_id, buyer_id, code, position, currency)
                 values (sec.uuid_v7(), sec.uuid_v7(), '{{event}}', '{0}', '{0}', gen_random_uuid()::text, 1, 'AUD')",
                ids[member]
            )).await,
            Step::GiveBack(member) => self.put(&format!(
                "update app.tickets set state = 'refunded' where id = ({one} = '{}' limit 1)", ids[member]
            )).await,
            Step::HandOn(from, to) => self.put(&format!(
                "update app.tickets set holder_id = '{}' where id = ({one} = '{}' limit 1)", ids[to], ids[from]
            )).await,
            // The model has been moved already.
            Step::Move(_) | Step::MoveBack => self.run(&format!(
                "update app.events set starts_at = now() + interval '{0} minutes', ends_at = now() + interval '{0} minutes' + interval '1 hour' where id = '{{event}}'",
                world.begins
            )).await,
            Step::Zone => self.run(
                "update app.events set timezone = case timezone when 'Asia/Tokyo' then 'Australia/Melbourne' else 'Asia/Tokyo' end where id = '{event}'"
            ).await,
            Step::Show(shown) => self.run(&format!(
                "update app.events set state = '{}' where id = '{{event}}'", if shown { "published" } else { "draft" }
            )).await,
            Step::Want(member, wants) => self.run(&format!(
                "delete from app.notification_preferences where user_id = '{0}';
                 insert into app.notification_preferences (user_id, channel, type, enabled) values ('{0}', 'email', 'event_reminder', {wants})",
                ids[member]
            )).await,
            Step::Pass(hours) => self.put(&format!(
                "update app.events set starts_at = starts_at - interval '{hours} hours', ends_at = ends_at - interval '{hours} hours' where id = '{{event}}';
                 update app.notification_deliveries d set expires_at = d.expires_at - interval '{hours} hours'
                 from app.notifications n where n.id = d.notification_id and n.event_id = '{{event}}'"
            )).await,
            Step::Forget => self.run("update app.event_schedules set reminded_revision = 0 where event_id = '{event}'").await,
            Step::Look(workers) => self.look(workers).await,
            Step::Send => self.send().await,
        }
    }

    async fn look(&mut self, workers: usize) {
        let module = self.guests.module();
        let looks = (0..workers).map(|_| module.remind());
        for look in futures_util::future::join_all(looks).await {
            look.expect("a look");
        }
    }

    /// Sends everything, like the stage's worker, until neither has anything left.
    async fn send(&mut self) {
        self.run("delete from app.delivery_pauses").await;
        let left = "select count(*) from app.notification_deliveries
            where channel = 'email' and (state = 'sending' or state = 'pending' and next_attempt_at <= now())";
        for _ in 0..1000 {
            let sent = self.guests.module().dispatch(Channel::Email).await;
            sent.expect("sent");
            if self.guests.count(left).await == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.hold().await;
    }

    /// Pauses sending until the next call of `send`.
    async fn hold(&mut self) {
        self.run(
            "insert into app.delivery_pauses (channel, until, reason) values ('email', now() + interval '1 hour', 'a test')
             on conflict do nothing",
        )
        .await;
    }

    /// The planned and the sent reminders, each as often as it occurs.
    async fn done(&mut self) -> (Vec<Reminder>, Vec<Reminder>) {
        let rows = sqlx::query(
            "select n.user_id, split_part(n.dedupe_key, ':', 3)::int as revision, d.state = 'sent' as sent
             from app.notifications n
             left join app.notification_deliveries d on d.notification_id = n.id and d.channel = 'email'
             where n.event_id = $1 and n.type = 'event_reminder'",
        )
        .bind(self.event)
        .fetch_all(&mut *self.conn)
        .await
        .expect("reminders");
        let (mut planned, mut sent) = (Vec::new(), Vec::new());
        for row in rows {
            let user: Uuid = row.get("user_id");
            let member = self.members.iter().position(|one| one.id == user);
            let reminder = (member.expect("a guest"), row.get("revision"));
            planned.push(reminder);
            if row.get::<Option<bool>, _>("sent") == Some(true) {
                sent.push(reminder);
            }
        }
        planned.sort_unstable();
        sent.sort_unstable();
        (planned, sent)
    }

    /// The number of mails about this event that a service has received.
    fn mails(&self) -> usize {
        let subject = format!("{} is coming up", self.title);
        let mailer = &self.guests.server.mailer;
        let mails = (0..MEMBERS).flat_map(|n| mailer.all_to(&format!("planned_{n}@example.org")));
        mails.filter(|mail| mail.subject == subject).count()
    }
}

/// Runs random steps on one event. `Err`: the steps up to the first difference between model and module.
async fn history(
    guests: &Guests,
    members: &[Member],
    model: Model,
    random: &mut Rng,
) -> Result<(), String> {
    let begins = [12, 22, 23, 25][random.usize(..4)] * 60 + 30;
    let mut conn = guests.server.superuser().await;
    let title = format!("Event {}", random.u64(..));
    let event = sqlx::query_scalar(
        "insert into app.events (city_id, host_type, host_id, title, starts_at, ends_at, timezone, state)
         select city_id, host_type, host_id, $2, now() + make_interval(mins => $3), now() + make_interval(mins => $3 + 60),
           timezone, 'published' from app.events where id = $1 returning id",
    )
    .bind(guests.event)
    .bind(&title)
    .bind(i32::try_from(begins).expect("minutes"))
    .fetch_one(&mut conn)
    .await
    .expect("an event");
    let mut real = Real {
        guests,
        members,
        conn: &mut conn,
        event,
        title,
    };
    real.run("delete from app.notification_preferences").await;
    real.hold().await;
    let mut world = World::new(model, begins);
    let mut steps = Vec::new();
    for n in 0..STEPS {
        // Without guests nothing would happen.
        let step = match n {
            0 | 1 => Step::Buy(n),
            _ => Step::any(random),
        };
        steps.push(step);
        world.take(step);
        real.take(step, &world).await;
        let (planned, sent) = real.done().await;
        let own = |set: &BTreeSet<Reminder>| set.iter().copied().collect::<Vec<_>>();
        if (planned.clone(), sent.clone()) != (own(&world.planned), own(&world.sent)) {
            return Err(format!(
                "from {begins} minutes before: {steps:?}\nplanned {planned:?}, expected {:?}\nsent {sent:?}, expected {:?}",
                world.planned, world.sent
            ));
        }
    }
    let mails = real.mails();
    // Ends this event, so that it doesn't affect the next history.
    real.put("update app.events set status = 'suspended' where id = '{event}'")
        .await;
    match mails == world.sent.len() {
        true => Ok(()),
        false => Err(format!(
            "{mails} mails for {:?} after {steps:?}",
            world.sent
        )),
    }
}

/// Members without tickets, on a stage where reminders are the only notifications of an event.
async fn stage() -> (Guests, Vec<Member>) {
    let guests = Guests::new().await;
    guests
        .run("alter table app.events disable trigger events_emit_publish; alter table app.events disable trigger events_emit_update")
        .await;
    let mut members = Vec::new();
    for n in 0..MEMBERS {
        members.push(guests.server.member(&format!("planned_{n}")).await);
    }
    (guests, members)
}

/// `REMINDER_HISTORIES` sets a greater number of histories.
#[tokio::test]
async fn rm_planning_is_what_a_model_says_of_any_history() {
    let given = std::env::var("REMINDER_HISTORIES").ok();
    let count: usize = given.map_or(30, |text| text.parse().expect("a number"));
    let mut random = Rng::with_seed(crate::money::seed());
    let (guests, members) = stage().await;
    for n in 0..count {
        let run = history(&guests, &members, Model::Right, &mut random).await;
        run.unwrap_or_else(|found| panic!("history {n}: {found}"));
    }
}

/// Runs histories until model and module differ. Returns whether they did.
async fn part(guests: &Guests, members: &[Member], model: Model, random: &mut Rng) -> bool {
    for _ in 0..400 {
        if history(guests, members, model, random).await.is_err() {
            return true;
        }
    }
    false
}

/// The controls: a model with another rule, and a database without one of its guards.
#[tokio::test]
async fn rm_planning_notices_another_rule_and_each_guard_that_is_missing() {
    let mut random = Rng::with_seed(crate::money::seed());
    let (guests, members) = stage().await;
    let late = part(&guests, &members, Model::RemindsLate, &mut random).await;
    assert!(late, "late buyers are reminded");
    let holds = guests
        .one("select pg_get_functiondef('app.reminder_holds(uuid, uuid, text)'::regprocedure)")
        .await;
    let key = guests
        .one("select pg_get_indexdef('app.notifications_user_id_dedupe_key_key'::regclass)")
        .await;
    for (guard, away, back) in [
        (
            "what holds when a reminder leaves",
            "create or replace function app.reminder_holds(p_event uuid, p_user uuid, p_key text) returns boolean
               language sql stable set search_path = pg_catalog, pg_temp as 'select true'",
            holds.as_str(),
        ),
        (
            "another time",
            "alter table app.events disable trigger events_reschedule",
            "alter table app.events enable trigger events_reschedule",
        ),
        (
            "the key by which nobody is told twice",
            "drop index app.notifications_user_id_dedupe_key_key",
            key.as_str(),
        ),
    ] {
        guests.run(away).await;
        assert!(
            part(&guests, &members, Model::Right, &mut random).await,
            "{guard}"
        );
        guests.run("delete from app.notification_deliveries; delete from app.notifications; delete from app.event_schedules")
            .await;
        guests.run(back).await;
    }
    let sound = history(&guests, &members, Model::Right, &mut random).await;
    sound.expect("all guards are back");
}
