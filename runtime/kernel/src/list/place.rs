//! Filters by place: around a point, or inside a box.

use super::query::{Condition, Near, Places, Reader};
use crate::resource::Filter;
use std::borrow::Cow;

const RADIUS_MAX: u32 = 100_000;
const RADIUS: u32 = 5_000;

pub(super) fn near(
    reader: &mut Reader,
    filter: &Filter,
    text: &str,
    pairs: &[(Cow<str>, Cow<str>)],
) -> Option<Condition> {
    let radius = pairs.iter().find(|(name, _)| name == "radius_m");
    let radius_m = match radius.map(|(_, text)| {
        text.parse()
            .ok()
            .filter(|radius| (1..=RADIUS_MAX).contains(radius))
    }) {
        None => Some(RADIUS),
        Some(Some(radius)) => Some(radius),
        Some(None) => {
            reader.error(
                "radius_m",
                "range",
                format!("Use a whole number from 1 to {RADIUS_MAX}."),
            );
            None
        }
    };
    let [lat, lng] = match degrees(text, [90.0, 180.0]) {
        Ok(numbers) => numbers,
        Err(Fault::Range(0)) => {
            reader.error(
                "near",
                "range",
                "Latitude comes first and is from -90 to 90.",
            );
            return None;
        }
        Err(Fault::Range(_)) => {
            reader.error(
                "near",
                "range",
                "Longitude comes second and is from -180 to 180.",
            );
            return None;
        }
        Err(Fault::Format) => {
            reader.error(
                "near",
                "format",
                "Use latitude and longitude such as 47.3769,8.5417.",
            );
            return None;
        }
    };
    Some(Condition::Near(Near {
        places: Places::of(filter),
        lat,
        lng,
        radius_m: radius_m?,
    }))
}

pub(super) fn bbox(reader: &mut Reader, filter: &Filter, text: &str) -> Option<Condition> {
    let (code, detail) = match degrees(text, [180.0, 90.0, 180.0, 90.0]) {
        Ok([west, south, east, north]) if south <= north => {
            return Some(Condition::Within {
                places: Places::of(filter),
                west,
                south,
                east,
                north,
            });
        }
        Ok(_) => (
            "format",
            "South, the second number, must not be more than north, the fourth.",
        ),
        Err(Fault::Range(0 | 2)) => (
            "range",
            "West and east, the first and third number, are from -180 to 180.",
        ),
        Err(Fault::Range(_)) => (
            "range",
            "South and north, the second and fourth number, are from -90 to 90.",
        ),
        Err(Fault::Format) => (
            "format",
            "Use west, south, east, north in degrees such as 8.44,47.32,8.62,47.43.",
        ),
    };
    reader.error("bbox", code, detail);
    None
}

enum Fault {
    Format,
    /// The number at this place is too large or too small.
    Range(usize),
}

/// `N` numbers, each at least minus and at most plus its limit. Maps copy coordinates with blanks after the commas.
fn degrees<const N: usize>(text: &str, bounds: [f64; N]) -> Result<[f64; N], Fault> {
    let mut numbers = [0.0; N];
    let mut parts = text.split(',').map(str::trim);
    for number in &mut numbers {
        let part = parts.next().ok_or(Fault::Format)?;
        let plain = part
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
        let parsed = part.parse().ok().filter(|_| plain);
        *number = parsed.ok_or(Fault::Format)?;
    }
    if parts.next().is_some() {
        return Err(Fault::Format);
    }
    let outside = |(number, bound): (&f64, &f64)| number.abs() > *bound;
    match numbers.iter().zip(&bounds).position(outside) {
        Some(at) => Err(Fault::Range(at)),
        None => Ok(numbers),
    }
}
