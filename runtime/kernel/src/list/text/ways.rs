//! Lists of which most callers may read few rows, which [name](Ways) them: each way is asked for by itself, because
//! PostgreSQL can't answer a policy that has several from indexes and would read the whole table.

use super::{After, Builder, COUNT_MAX, Parent, Wanted};
use crate::{
    list::query::{Condition, Direction, Order, Query},
    resource::{Resource, Ways},
};
use sqlx::error::BoxDynError;
use std::fmt::Write;

/// The ways by which this list should be read. `None`: the filters lead to the rows by themselves, or need other tables.
pub fn of(resource: &Resource, query: &Query) -> Option<&'static Ways> {
    let ways = resource.sql.ways?;
    let own = |sql: &str| sql.starts_with("t.");
    let is_fit = |condition: &Condition| match condition {
        Condition::Compare { sql, op, .. } => own(sql) && (*sql != "t.id" || *op != "="),
        Condition::In { sql, .. } => own(sql) && *sql != "t.id",
        Condition::Not { sql, .. } | Condition::Null { sql, .. } | Condition::On { sql, .. } => {
            own(sql)
        }
        Condition::Search { .. } | Condition::Near(_) | Condition::Within { .. } => false,
    };
    let sorted = match query.order {
        Order::Id(_) => true,
        Order::By(sort, _) => own(sort.sql) && own(sort.id()),
        Order::Distance(_) => false,
    };
    (sorted && query.conditions.iter().all(is_fit)).then_some(ways)
}

impl Builder {
    /// ` join (<the ids of the page>) as w on w.id = t.id`
    pub(super) fn page_by_ways(
        &mut self,
        ways: &Ways,
        resource: &'static Resource,
        query: &Query,
        parent: Parent,
        after: Option<&After>,
    ) -> Result<(), BoxDynError> {
        let rest = self.aside(|builder| builder.page_of_rows(resource, query, parent, after))?;
        self.push(" join (");
        let key = match query.order {
            Order::By(sort, _) => Some(sort.sql),
            _ => None,
        };
        self.ids(ways, resource, key, &rest, "");
        let direction = match query.order.direction() {
            Direction::Ascending => "",
            Direction::Descending => " desc",
        };
        self.push(" order by ");
        if key.is_some() {
            self.push("w.key");
            self.push(direction);
            self.push(", ");
        }
        self.push("w.id");
        self.push(direction);
        let _ = write!(self.text, " limit {}) as w on w.id = t.id", query.limit + 1);
        Ok(())
    }

    /// `select count(*) from (<ids>) as counted`
    pub(super) fn count_by_ways(
        &mut self,
        ways: &Ways,
        resource: &'static Resource,
        query: &Query,
        parent: Parent,
    ) -> Result<(), BoxDynError> {
        let rest = self.aside(|builder| {
            builder.live(resource, query);
            builder.parent(parent)?;
            let wanted = Wanted::count(resource, query, parent);
            builder.conditions(&query.conditions, &wanted)?;
            let _ = write!(builder.text, " limit {}", COUNT_MAX + 1);
            Ok(())
        })?;
        self.push("select count(*) from (");
        let limit = format!(" limit {}", COUNT_MAX + 1);
        self.ids(ways, resource, None, &rest, &limit);
        let _ = write!(self.text, "{limit}) as counted");
        Ok(())
    }

    /// What `write` adds after a first condition, without adding it: it is used several times with the same parameters.
    fn aside(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), BoxDynError>,
    ) -> Result<String, BoxDynError> {
        let text = std::mem::take(&mut self.text);
        let has_where = std::mem::replace(&mut self.has_where, true);
        let written = write(self);
        self.has_where = has_where;
        let rest = std::mem::replace(&mut self.text, text);
        written.map(|()| rest)
    }

    /// The ids that each way leads to, once each. `rest` and its limit hold for each id of a set, and `limit` for all of
    /// them together: a count needs no order.
    fn ids(
        &mut self,
        ways: &Ways,
        resource: &'static Resource,
        key: Option<&str>,
        rest: &str,
        limit: &str,
    ) {
        let from = |text: &mut String| {
            text.push_str("select t.id");
            if let Some(key) = key {
                let _ = write!(text, ", {key} as key");
            }
            let _ = write!(text, " from app.{} as t where ", resource.plural);
        };
        let text = &mut self.text;
        let _ = write!(
            text,
            "with caller as materialized (select {} as walks) select w.id from ((",
            ways.walks
        );
        from(text);
        let _ = write!(text, "(select c.walks from caller as c){rest})");
        for (column, set) in ways.by {
            let ids = set.and_then(|set| ways.sets.get(set));
            match ids {
                None => {
                    text.push_str(" union (");
                    from(text);
                    let _ = write!(
                        text,
                        "not (select c.walks from caller as c) and {column} = (select sec.uid()){rest})"
                    );
                }
                Some(ids) => {
                    let _ = write!(
                        text,
                        " union (select o.* from (select distinct s.id from ({ids}) as s(id)) as m(id) cross join lateral ("
                    );
                    from(text);
                    let _ = write!(
                        text,
                        "{column} = m.id{rest}) as o where not (select c.walks from caller as c){limit})"
                    );
                }
            }
        }
        text.push_str(") as w");
    }
}

#[cfg(test)]
mod tests {
    use super::super::{count, page};
    use super::*;
    use crate::{
        resource::{Filter, Kind, Lifecycle, Rules, Sort, Sql},
        rule::Rule,
    };

    static RULE: Rule = Rule::SignedIn;

    static ORDER: Resource = Resource {
        name: "order",
        plural: "orders",
        path: "orders",
        lifecycle: Lifecycle::Mutable,
        guarded: false,
        created_unseen: false,
        hides: false,
        acts: false,
        page: 20,
        sql: Sql {
            list: "select t.id from app.orders as t",
            ways: Some(&Ways {
                walks: "(select sec.is_admin())",
                sets: &["select sec.mine_event()"],
                by: &[("t.user_id", None), ("t.event_id", Some(0))],
            }),
            ..Sql::NONE
        },
        rules: Rules {
            read: &RULE,
            create: &RULE,
            update: &RULE,
            delete: &RULE,
            restore: &RULE,
            suspend: &RULE,
        },
        filters: &[
            Filter::new("state", "t.state", Kind::Enum(&["paid", "pending"])),
            Filter::new("q", "app.orders_search", Kind::Search),
        ],
        within: &[],
        public_to_all: true,
        sorts: &[Sort::new("amount", "t.amount", Kind::Bigint)],
        expands: &[],
        children: &[],
        together: &[],
        transitions: &[],
        constraints: &[],
        encode: |_, _| Ok(()),
        create: None,
        update: None,
        fixed: &[],
        moving: &[],
        hooks: &[],
    };

    fn text(query: &str) -> String {
        let query = Query::read(&ORDER, query).expect("a query");
        let question = page(&ORDER, &query, None, None).expect("a text");
        question.text.into_owned()
    }

    #[test]
    fn each_way_ends_with_the_page() {
        assert_eq!(
            text("state=paid&limit=2"),
            "select t.id from app.orders as t join (\
             with caller as materialized (select (select sec.is_admin()) as walks) select w.id from (\
             (select t.id from app.orders as t where (select c.walks from caller as c) and t.state = $1 order by t.id desc limit 3) \
             union (select t.id from app.orders as t where not (select c.walks from caller as c) and t.user_id = (select sec.uid()) \
             and t.state = $1 order by t.id desc limit 3) \
             union (select o.* from (select distinct s.id from (select sec.mine_event()) as s(id)) as m(id) cross join lateral (\
             select t.id from app.orders as t where t.event_id = m.id and t.state = $1 order by t.id desc limit 3) as o \
             where not (select c.walks from caller as c))) as w order by w.id desc limit 3) as w on w.id = t.id order by t.id desc"
        );
    }

    #[test]
    fn pages_of_ways_are_merged_in_the_order_of_the_list() {
        let text = text("sort=-amount&limit=2");
        let key = "select t.id, t.amount as key from app.orders as t";
        assert_eq!(text.matches(key).count(), 3, "{text}");
        assert!(
            text.contains(" order by w.key desc, w.id desc limit 3) as w"),
            "{text}"
        );
    }

    #[test]
    fn a_count_stops_in_each_way() {
        let query = Query::read(&ORDER, "state=paid").expect("a query");
        let text = count(&ORDER, &query, None).expect("a text").text;
        assert!(text.starts_with("select count(*) from (with caller"));
        assert_eq!(text.matches(" limit 10001").count(), 5, "{text}");
    }

    #[test]
    fn ids_are_looked_up_as_before() {
        let id = uuid::Uuid::nil();
        assert!(!text(&format!("id={id}")).contains("caller"));
        assert!(!text(&format!("id.in={id}")).contains("caller"));
        assert!(text(&format!("id.ne={id}")).contains("caller"));
    }
}
