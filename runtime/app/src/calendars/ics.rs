//! Writes calendars as text (RFC 5545). This module may not know the database or a clock, so that the same events
//! always result in the same bytes.
//!
//! Times are in UTC, since a time in a named zone would require the zone's rules in the file.

use chrono::{DateTime, Utc};
use icalendar::{Calendar, Component, Event, EventLike, EventStatus, Parameter, Property};
use url::Url;
use uuid::Uuid;

/// The maximum number of bytes in a line, without its end.
const LINE_MAX: usize = 75;
/// The interval in which programs are asked to refresh the calendar.
const REFRESH: &str = "PT1H";

const END: &str = "END:VCALENDAR";
/// A calendar must have a component (RFC 5545, 3.6). One without events has the time zone of its times, which shows
/// nothing.
const ZONE: &str = "BEGIN:VTIMEZONE\r\nTZID:UTC\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0000\r\n\
                    TZOFFSETTO:+0000\r\nTZNAME:UTC\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n";

/// An event as returned by `app.calendar_entries`.
pub struct Entry {
    pub id: Uuid,
    pub title: String,
    pub description: Option<String>,
    pub category: String,
    pub state: String,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// The revision of the event's schedule: how often its time was changed.
    pub revision: i32,
    pub venue: Option<String>,
    pub address: Option<String>,
    pub city: Option<String>,
    pub latitude: Option<f64>,
    pub longitude: Option<f64>,
    pub host_type: String,
    pub host_id: Uuid,
    /// The host's name. None: the reader may not read it.
    pub host: Option<String>,
}

/// The values that are the same for all events.
pub struct Writing<'a> {
    /// The base URL of the pages that show events.
    pub pages: &'a Url,
}

pub fn write(name: &str, entries: &[Entry], writing: &Writing) -> String {
    let mut calendar = Calendar::empty();
    for (key, value) in [
        ("VERSION", "2.0"),
        ("PRODID", "-//CulturePass//Calendars//EN"),
        ("CALSCALE", "GREGORIAN"),
        ("METHOD", "PUBLISH"),
        ("X-PUBLISHED-TTL", REFRESH),
    ] {
        calendar.append_property((key, value));
    }
    let refresh = Property::new("REFRESH-INTERVAL", REFRESH)
        .add_parameter("VALUE", "DURATION")
        .done();
    calendar.append_property(refresh);
    calendar.append_property(Property::new("X-WR-CALNAME", clean(name)));
    for entry in entries {
        calendar.push(event(entry, writing));
    }
    let text = calendar.to_string();
    match entries.is_empty() {
        true => fold(&text.replace(END, &format!("{ZONE}{END}"))),
        false => fold(&text),
    }
}

fn event(entry: &Entry, writing: &Writing) -> Event {
    let page = |path: &str, id: Uuid| {
        let base = writing.pages.as_str().trim_end_matches('/');
        format!("{base}/{path}/{id}")
    };
    let mut event = Event::new();
    event
        .uid(&entry.id.to_string())
        .sequence(sequence(entry))
        .timestamp(entry.updated_at)
        .last_modified(entry.updated_at)
        .created(entry.created_at)
        .summary(&clean(&entry.title))
        .url(&page("events", entry.id));
    event
        .starts(entry.starts_at)
        .ends(entry.ends_at)
        .categories([entry.category.to_uppercase()])
        .status(match entry.state.as_str() {
            "cancelled" => EventStatus::Cancelled,
            _ => EventStatus::Confirmed,
        });
    if let Some(description) = &entry.description {
        event.description(&clean(description));
    }
    let place = [&entry.venue, &entry.address, &entry.city];
    let place: Vec<&str> = place.into_iter().flatten().map(String::as_str).collect();
    // The location is only set if there is a venue, since a city alone is too vague.
    if entry.venue.is_some() {
        event.location(&clean(&place.join(", ")));
    }
    if let (Some(latitude), Some(longitude)) = (entry.latitude, entry.longitude) {
        event.add_property("GEO", format!("{latitude:.6};{longitude:.6}"));
    }
    if let Some(host) = &entry.host {
        let path = super::OWNERS
            .iter()
            .find(|(_, kind)| *kind == entry.host_type);
        let address = page(path.map_or("hosts", |(path, _)| path), entry.host_id);
        // The organizer is the URL of the host's page, so that no mail address is revealed.
        let organizer = Property::new("ORGANIZER", address)
            .append_parameter(Parameter::new("CN", &quotable(host)))
            .done();
        event.append_property(organizer);
    }
    event.done()
}

/// The sequence number: it increases with each change of the time, and a last time with the cancellation (RFC 5546,
/// 2.1.4).
fn sequence(entry: &Entry) -> u32 {
    entry.revision.unsigned_abs() + u32::from(entry.state == "cancelled")
}

/// Removes control characters other than tabs and line ends, and makes line ends uniform.
fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars()
        .filter(|character| *character == '\n' || *character == '\t' || !character.is_control())
        .collect()
}

/// The text for a quoted parameter value, which can't contain quotation marks or line ends.
fn quotable(text: &str) -> String {
    let plain = |character: char| match character {
        '"' => '\'',
        character if character.is_control() => ' ',
        character => character,
    };
    text.chars().map(plain).collect()
}

/// Folds lines anew. The library does not count the leading blank of a line's last part, which can therefore be a byte
/// too long.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len() + text.len() / 40);
    for line in text.replace("\r\n ", "").split_terminator("\r\n") {
        let mut used = 0;
        for character in line.chars() {
            let octets = character.len_utf8();
            if used + octets > LINE_MAX {
                folded.push_str("\r\n ");
                used = 1;
            }
            folded.push(character);
            used += octets;
        }
        folded.push_str("\r\n");
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let at = |text: &str| text.parse().unwrap();
        Entry {
            id: Uuid::from_u128(7),
            title: "Jazz".to_owned(),
            description: None,
            category: "concert".to_owned(),
            state: "published".to_owned(),
            starts_at: at("2027-03-01T19:00:00Z"),
            ends_at: at("2027-03-01T22:00:00Z"),
            created_at: at("2027-01-01T00:00:00Z"),
            updated_at: at("2027-01-02T00:00:00.123456Z"),
            revision: 0,
            venue: None,
            address: None,
            city: None,
            latitude: None,
            longitude: None,
            host_type: "organization".to_owned(),
            host_id: Uuid::from_u128(8),
            host: None,
        }
    }

    fn written(entry: &Entry) -> String {
        let pages = "https://app.test/".parse().unwrap();
        let one = std::slice::from_ref(entry);
        write("Name", one, &Writing { pages: &pages })
    }

    #[test]
    fn se5_a_calendar_is_what_programs_expect() {
        let mut whole = entry();
        whole.venue = Some("Hall".to_owned());
        whole.address = Some("1 Main Rd".to_owned());
        whole.city = Some("Zürich".to_owned());
        (whole.latitude, whole.longitude) = (Some(47.3769), Some(8.5417));
        whole.host = Some("Club, \"The\"".to_owned());
        whole.revision = 2;
        let text = written(&whole);
        for line in [
            "BEGIN:VCALENDAR",
            "UID:00000000-0000-0000-0000-000000000007",
            "SEQUENCE:2",
            "DTSTART:20270301T190000Z",
            "DTEND:20270301T220000Z",
            "DTSTAMP:20270102T000000Z",
            "LAST-MODIFIED:20270102T000000Z",
            "STATUS:CONFIRMED",
            "CATEGORIES:CONCERT",
            "GEO:47.376900;8.541700",
            "LOCATION:Hall\\, 1 Main Rd\\, Zürich",
            "URL:https://app.test/events/00000000-0000-0000-0000-000000000007",
            "END:VCALENDAR",
        ] {
            assert!(text.contains(&format!("{line}\r\n")), "{line}\n{text}");
        }
        let unfolded = text.replace("\r\n ", "");
        assert!(
            unfolded.contains("ORGANIZER;CN=\"Club, 'The'\":https://app.test/organizations/"),
            "{text}"
        );
        assert_eq!(text, written(&whole), "the same bytes");
    }

    #[test]
    fn se5_a_calendar_without_events_has_a_component() {
        let pages = "https://app.test/".parse().unwrap();
        let text = write("Name", &[], &Writing { pages: &pages });
        assert!(
            text.ends_with("END:STANDARD\r\nEND:VTIMEZONE\r\nEND:VCALENDAR\r\n"),
            "{text}"
        );
        assert_eq!(text.matches("BEGIN:").count(), 3, "{text}");
        assert!(!written(&entry()).contains("VTIMEZONE"));
    }

    #[test]
    fn se5_no_text_begins_a_line_of_its_own() {
        let mut evil = entry();
        let text = "a\r\nBEGIN:VALARM\rATTACH:x\nEND:VEVENT;b,c\\n\u{0}\u{85}";
        evil.title = text.to_owned();
        evil.description = Some(text.to_owned());
        evil.host = Some(format!("\"x\":{text}\""));
        evil.venue = Some(text.to_owned());
        let pages = "https://app.test".parse().unwrap();
        let text = write(text, &[evil], &Writing { pages: &pages });
        for line in text.split("\r\n") {
            assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
            assert!(
                !line.starts_with("ATTACH") && line != "BEGIN:VALARM",
                "{line}"
            );
        }
        assert_eq!(text.matches("END:VEVENT\r\n").count(), 1);
    }

    #[test]
    fn se5_lines_have_no_more_than_75_octets() {
        for text in ["x", "ü", "漢", "😀", "a b"] {
            for times in 1..200 {
                let mut long = entry();
                long.title = text.repeat(times);
                let text = written(&long);
                for line in text.split("\r\n") {
                    assert!(line.len() <= LINE_MAX, "{} octets: {line}", line.len());
                }
                let title = format!("SUMMARY:{}", long.title);
                assert!(text.replace("\r\n ", "").contains(&title), "{title}");
            }
        }
    }
}
