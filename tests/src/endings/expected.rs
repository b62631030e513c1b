//! What is expected of operations whose subject has ended, where that is something else than a refusal.

use super::ways::How;
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Refused,
    /// It may succeed.
    Done,
}

/// An exception: operations, labels of rows, ways of ending (as they are displayed). `*` stands for all, among rows for
/// all but roles and memberships: without them nobody acts in the name of others.
struct May {
    operations: &'static [&'static str],
    rows: &'static [&'static str],
    ways: &'static [&'static str],
    because: &'static str,
}

const MAY: &[May] = &[
    May {
        operations: &[
            "unlikeEvent",
            "unfollowUser",
            "unfollowCommunity",
            "unfollowOrganization",
            "unfollowBusiness",
            "unfollowVenue",
            "unfollowInstitution",
        ],
        rows: &["*"],
        ways: &["*"],
        because: "it takes back, and says 204 where nothing is left to take back",
    },
    May {
        operations: &["refundQuoteFee"],
        rows: &["*"],
        ways: &["*"],
        because: "it takes back",
    },
    May {
        operations: &["cancelSubscription"],
        rows: &["business", "plan"],
        ways: &["*"],
        because: "it takes back",
    },
    May {
        operations: &["changeSubscriptionPlan"],
        rows: &["plan"],
        ways: &["archived"],
        because: "another plan is chosen instead of one that is not sold any more",
    },
    May {
        operations: &["payOrder"],
        rows: &["event"],
        ways: &["completed", "ends_at past"],
        because: "the order was placed in time, and expires soon",
    },
    May {
        operations: &["payPromotion"],
        rows: &["event"],
        ways: &["draft"],
        because: "it is booked before the event is published",
    },
    May {
        operations: &["payQuoteFee"],
        rows: &["business", "lead", "request", "organization"],
        ways: &["*"],
        because: "the fee is owed since the quote was accepted",
    },
    May {
        operations: &["payQuoteFee"],
        rows: &["quote"],
        ways: &["valid_until past"],
        because: "the quote was accepted in time",
    },
    May {
        operations: &["keepSubscription"],
        rows: &["plan"],
        ways: &["archived"],
        because: "a plan that is not sold any more goes on for those who have it",
    },
    May {
        operations: &["changeSubscriptionCard"],
        rows: &["business", "plan", "city"],
        ways: &["*"],
        because: "what was begun is paid for",
    },
    May {
        operations: &[
            "cancelSubscription",
            "changeSubscriptionCard",
            "keepSubscription",
        ],
        rows: &["subscription"],
        ways: &["unpaid"],
        because: "it can still be paid, or ended, or not ended after all",
    },
    May {
        operations: &["cancelSubscription"],
        rows: &["role of the provider"],
        ways: &["archived", "declined"],
        because: "the member whose card pays may end it without a role",
    },
    May {
        operations: &["refundOrder", "cancelOrder"],
        rows: &["event", "organization", "city", "buyer"],
        ways: &["*"],
        because: "it takes back",
    },
    May {
        operations: &["declineTicket", "withdrawTicket"],
        rows: &[
            "event",
            "organization",
            "city",
            "free",
            "friend",
            "offered ticket",
            "order",
        ],
        ways: &["*"],
        because: "an offer may be given up whatever has become of the ticket",
    },
    May {
        operations: &["cancelOrder"],
        rows: &["unpaid order"],
        ways: &["expires_at past"],
        because: "it may be given up before the job ends it",
    },
    May {
        operations: &["declineTicket", "withdrawTicket"],
        rows: &["offer"],
        ways: &["expires_at past"],
        because: "it may be given up before the job ends it",
    },
    May {
        operations: &["completePicture"],
        rows: &["sent"],
        ways: &["expires_at past"],
        because: "the file has come in time",
    },
    May {
        operations: &["readNotification", "unreadNotification"],
        rows: &["event", "organization", "city"],
        ways: &["*"],
        because: "a mark of the reader's own",
    },
    May {
        operations: &["pricePromotion"],
        rows: &["event", "organization", "city"],
        ways: &["*"],
        because: "it computes a price; whether it can be booked is looked at then",
    },
    May {
        operations: &["priceCommissionProposal"],
        rows: &["proposal", "city"],
        ways: &["*"],
        because: "it computes and stores nothing",
    },
    May {
        operations: &["copyEvent"],
        rows: &["event"],
        ways: &["cancelled", "completed", "draft", "ends_at past"],
        because: "the copy is a new draft",
    },
    May {
        operations: &["copyEvent"],
        rows: &["organization"],
        ways: &["rejected"],
        because: "a host prepares drafts before it is submitted again",
    },
    May {
        operations: &["announcePicture", "completePicture"],
        rows: &["event"],
        ways: &["cancelled", "completed", "draft", "ends_at past"],
        because: "whoever may change an object may change its picture",
    },
    May {
        operations: &["announcePicture", "completePicture"],
        rows: &["organization"],
        ways: &["rejected", "suspended"],
        because: "whoever may change an object may change its picture",
    },
    May {
        operations: &["likeEvent", "viewEvent", "shareEvent"],
        rows: &["event", "gathering"],
        ways: &["cancelled", "completed", "ends_at past"],
        because: "it is still shown",
    },
    May {
        operations: &["scanTicket", "scanTickets"],
        rows: &["event"],
        ways: &["completed", "ends_at past"],
        because: "scans are uploaded late, and events take longer",
    },
    May {
        operations: &["scanTicket", "scanTickets"],
        rows: &["organization"],
        ways: &["suspended", "rejected"],
        because: "the tickets are paid, and the event takes place",
    },
    May {
        operations: &["offerTicket", "acceptTicket"],
        rows: &["organization"],
        ways: &["suspended", "rejected"],
        because: "the tickets are paid, and the event takes place",
    },
    May {
        operations: &["offerTicket", "acceptTicket"],
        rows: &["free"],
        ways: &["suspended", "archived", "sales_end past"],
        because: "no more are sold; those that were stay valid",
    },
    May {
        operations: &["refundOrder", "offerTicket", "acceptTicket"],
        rows: &["order"],
        ways: &["expires_at past"],
        because: "an order that is paid does not expire",
    },
    May {
        operations: &["sellAtDoor"],
        rows: &["event", "free", "seat"],
        ways: &["ends_at past", "sales_end past"],
        because: "the door sells as long as the event takes place, and that may take longer",
    },
    May {
        operations: &["confirmFraud", "dismissFraud"],
        rows: &["organization"],
        ways: &["suspended", "rejected"],
        because: "administrators of the platform decide on flags whatever has become of the object",
    },
    May {
        operations: &["giveCredits"],
        rows: &["stranger"],
        ways: &["suspended"],
        because: "an amends for an account that may come back",
    },
    May {
        operations: &["retryTransfer"],
        rows: &["event", "organization", "city", "credited order", "buyer"],
        ways: &["*"],
        because: "it sends what was earned before",
    },
    May {
        operations: &[
            "priceOrder",
            "createOrder",
            "offerTicket",
            "acceptTicket",
            "scanTicket",
            "scanTickets",
            "sellAtDoor",
            "likeEvent",
            "viewEvent",
            "shareEvent",
            "followCommunity",
            "followOrganization",
            "followBusiness",
            "followVenue",
            "followInstitution",
            "announcePicture",
            "completePicture",
            "onboardBusiness",
            "onboardOrganization",
            "payOrder",
            "payPromotion",
            "payQuoteFee",
            "cancelSubscription",
            "changeSubscriptionPlan",
            "keepSubscription",
            "subscribeBusiness",
            "confirmFraud",
            "dismissFraud",
        ],
        rows: &["city"],
        ways: &["suspended"],
        because: "a suspended city hides and stops nothing of its hosts",
    },
];

pub fn of(operation: &str, row: &str, how: &How) -> Expected {
    let how = how.to_string();
    match MAY.iter().any(|may| may.fits(operation, row, &how)) {
        true => Expected::Done,
        false => Expected::Refused,
    }
}

impl May {
    fn fits(&self, operation: &str, row: &str, how: &str) -> bool {
        let has =
            |list: &[&str], one: &str| list.iter().any(|known| *known == "*" || *known == one);
        let is_role = row.starts_with("role ") || row == "membership";
        let has_row = self.rows.contains(&row) || !is_role && self.rows.contains(&"*");
        has(self.operations, operation) && has_row && has(self.ways, how)
    }
}

/// Exceptions that nothing needs: for some of their operations, rows or ways nothing has succeeded.
pub fn unused(done: &BTreeSet<(String, String, String)>) -> Vec<String> {
    let mut unused = Vec::new();
    for may in MAY {
        let fits =
            |(operation, row, how): &&(String, String, String)| may.fits(operation, row, how);
        let fitting: Vec<_> = done.iter().filter(fits).collect();
        let parts = [
            (
                may.operations,
                fitting
                    .iter()
                    .map(|one| one.0.as_str())
                    .collect::<BTreeSet<_>>(),
            ),
            (may.rows, fitting.iter().map(|one| one.1.as_str()).collect()),
            (may.ways, fitting.iter().map(|one| one.2.as_str()).collect()),
        ];
        for (list, needed) in parts {
            let idle = list
                .iter()
                .filter(|one| **one != "*" && !needed.contains(**one));
            unused.extend(
                idle.map(|one| format!("the exception of {one} ({}) is not needed", may.because)),
            );
        }
    }
    unused
}
