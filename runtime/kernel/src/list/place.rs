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
    let Some([lat, lng]) = degrees(text, [90.0, 180.0]) else {
        reader.error(
            "near",
            "format",
            "Use latitude and longitude such as 47.3769,8.5417.",
        );
        return None;
    };
    Some(Condition::Near(Near {
        places: Places::of(filter),
        lat,
        lng,
        radius_m: radius_m?,
    }))
}

pub(super) fn bbox(reader: &mut Reader, filter: &Filter, text: &str) -> Option<Condition> {
    match degrees(text, [180.0, 90.0, 180.0, 90.0]) {
        Some([west, south, east, north]) if south <= north => Some(Condition::Within {
            places: Places::of(filter),
            west,
            south,
            east,
            north,
        }),
        _ => {
            reader.error(
                "bbox",
                "format",
                "Use west, south, east, north in degrees such as 8.44,47.32,8.62,47.43.",
            );
            None
        }
    }
}

/// `N` numbers, each at least minus and at most plus its limit.
fn degrees<const N: usize>(text: &str, bounds: [f64; N]) -> Option<[f64; N]> {
    let mut numbers = [0.0; N];
    let mut parts = text.split(',');
    for (number, bound) in numbers.iter_mut().zip(bounds) {
        let part = parts.next()?;
        let plain = part
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
        *number = part
            .parse()
            .ok()
            .filter(|number: &f64| plain && number.abs() <= bound)?;
    }
    parts.next().is_none().then_some(numbers)
}
