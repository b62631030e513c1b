//! The questions of `bench discovery`, and how fast they should be answered.

use crate::world::Aim;

/// A question: its description, its path, and the aim for the p95. In the path, `WEST,SOUTH,EAST,NORTH` stands for a
/// box of `degrees` somewhere, `NORTHERN` for one in the area with the events, `LAT,LNG` for a point, and CITY for one
/// of the cities.
pub struct Question {
    pub what: &'static str,
    pub path: &'static str,
    pub degrees: f64,
    pub aim: Aim,
    /// The minimum number of rows in an answer, which shows that the question was answered.
    pub rows: usize,
}

const fn question(
    what: &'static str,
    path: &'static str,
    degrees: f64,
    rows: usize,
    aim: Aim,
) -> Question {
    Question {
        what,
        path,
        degrees,
        aim,
        rows,
    }
}

/// Questions about venues. Of a million venues, the boxes contain two hundred or twenty thousand.
pub const PLACES: [Question; 6] = [
    question(
        "SE1: the 20 nearest of the venues within 5 km",
        "/venues?near=LAT,LNG&radius_m=5000&limit=20",
        0.0,
        20,
        Aim::AtMost(10.0),
    ),
    question(
        "SE1: the 20 nearest within 100 km",
        "/venues?near=LAT,LNG&radius_m=100000&limit=20",
        0.0,
        20,
        Aim::AtMost(10.0),
    ),
    question(
        "SE2: a page of 100 from a box that holds 200",
        "/venues?bbox=WEST,SOUTH,EAST,NORTH&limit=100",
        0.0775,
        100,
        Aim::AtMost(10.0),
    ),
    question(
        "SE2: map of a box that holds 80, each by itself",
        "/map?types=venue&bbox=WEST,SOUTH,EAST,NORTH",
        0.049,
        20,
        Aim::AtMost(10.0),
    ),
    question(
        "SE2: map of a box that holds 200, in clusters",
        "/map?types=venue&bbox=WEST,SOUTH,EAST,NORTH",
        0.0775,
        1,
        Aim::AtMost(10.0),
    ),
    question(
        "SE2: map of a box that holds 20,000, in clusters",
        "/map?types=venue&bbox=WEST,SOUTH,EAST,NORTH",
        0.775,
        1,
        Aim::AtMost(150.0),
    ),
];

/// Questions about events, which are between 8 and 8.8 degrees east, 47 and 47.8 north.
pub const EVENTS: [Question; 13] = [
    question(
        "SE3: events of a city with a word of every second",
        "/events?q=concert&city_id=CITY",
        0.0,
        20,
        Aim::AtMost(9.8),
    ),
    question(
        "SE3: events of a city with a word of every hundredth",
        "/events?q=marimba&city_id=CITY",
        0.0,
        1,
        Aim::AtMost(9.8),
    ),
    question(
        "SE3: `/search` for a word of every second event",
        "/search?q=concert",
        0.0,
        5,
        Aim::None,
    ),
    question(
        "SE3: `/search` for a word of every hundredth",
        "/search?q=marimba",
        0.0,
        5,
        Aim::None,
    ),
    question(
        "SE3: `/search` for half a word, in a city",
        "/search?q=conc&city_id=CITY",
        0.0,
        5,
        Aim::None,
    ),
    question(
        "SE3: `/search` for no such word",
        "/search?q=nowheretobefound",
        0.0,
        0,
        Aim::None,
    ),
    question(
        "SE4: upcoming, city, dates, category",
        "/events/upcoming?city_id=CITY&category=concert&FROM",
        0.0,
        20,
        Aim::AtMost(100.0),
    ),
    question(
        "SE4: upcoming, city, dates, category, price, 10 open seats",
        "/events/upcoming?city_id=CITY&category=concert&max_price_cents=2500&currency=AUD&open_seats=10&FROM",
        0.0,
        20,
        Aim::AtMost(100.0),
    ),
    question(
        "SE4: upcoming, dates, price, 10 open seats, everywhere",
        "/events/upcoming?max_price_cents=500&currency=AUD&open_seats=10&FROM",
        0.0,
        20,
        Aim::AtMost(100.0),
    ),
    question(
        "SE4: upcoming, all of it, in a box and with a word",
        "/events/upcoming?city_id=CITY&category=concert&max_price_cents=2500&currency=AUD&open_seats=10&bbox=8,47,8.8,47.8&q=concert",
        0.0,
        0,
        Aim::AtMost(100.0),
    ),
    question(
        "SE4: upcoming, dates, in a box that holds 800 events",
        "/events/upcoming?bbox=NORTHERN&FROM",
        0.032,
        1,
        Aim::AtMost(100.0),
    ),
    question(
        "SE4: upcoming, dates, in a box that holds 20,000",
        "/events/upcoming?bbox=NORTHERN&FROM",
        0.16,
        20,
        Aim::AtMost(100.0),
    ),
    question(
        "SE4: upcoming, category, price, 10 open seats, in a box that holds all",
        "/events/upcoming?bbox=-180,-90,180,90&category=concert&max_price_cents=500&currency=AUD&open_seats=10",
        0.0,
        20,
        Aim::AtMost(100.0),
    ),
];
