"""Reads a calendar (RFC 5545) and tells as JSON what is in it. Whatever is wrong with it ends this with an error."""

import json
import re
import sys

import icalendar

data = sys.stdin.buffer.read()
assert data.endswith(b"END:VCALENDAR\r\n"), data[-40:]
for line in data[:-2].split(b"\r\n"):
    assert b"\r" not in line and b"\n" not in line, line
    assert len(line) <= 75, (len(line), line)
    # Cut between characters.
    line.decode()

calendar = icalendar.Calendar.from_ical(data)
assert not calendar.errors, calendar.errors
# Sub-components are what a text that gets out of its line would make.
# A calendar without events has a time zone.
names = [part.name for part in calendar.subcomponents]
assert names == ["VTIMEZONE"] or (names and set(names) == {"VEVENT"}), names


def unescaped(text):
    """The library leaves names that it does not know as they are; without a type they are text (RFC 5545, 3.8.8.2)."""
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], text)


def told(event):
    assert not event.errors, event.errors
    assert not event.subcomponents
    times = {name: event.decoded(name) for name in ("dtstart", "dtend", "dtstamp", "last-modified")}
    for name, time in times.items():
        # In UTC itself, not in a zone that nothing explains.
        assert "TZID" not in event[name].params and time.utcoffset().total_seconds() == 0, name
    text = lambda name: str(event[name]) if name in event else None
    geo = event.get("geo")
    organizer = event.get("organizer")
    return {
        **{name: time.strftime("%Y-%m-%dT%H:%M:%SZ") for name, time in times.items()},
        **{name: text(name) for name in ("uid", "summary", "description", "location", "status", "url")},
        "sequence": int(event["sequence"]),
        "categories": [str(one) for one in event.categories],
        "geo": [geo.latitude, geo.longitude] if geo else None,
        "organizer": [str(organizer), str(organizer.params["CN"])] if organizer else None,
    }


json.dump(
    {"name": unescaped(str(calendar["x-wr-calname"])), "version": str(calendar["version"]), "events": [told(event) for event in calendar.walk("VEVENT")]},
    sys.stdout,
)
