//! Values that are more than a scalar of Rust, and how columns become JSON. Knows no entity.

mod cell;
mod json;
mod point;
mod time;

pub use cell::{Cell, Column, column, encode_row, write_text};
pub use json::{Json, object_from_sql, object_to_sql, write_object};
pub use point::Point;
pub use time::{parse_date, parse_time, write_time};

/// Minor units per major unit of an ISO 4217 currency: `¥` has none, most have 100, a few 1000.
pub fn minor_units(currency: &str) -> i64 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 1,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 1000,
        _ => 100,
    }
}

/// `1250`, `EUR` → `12.50 EUR`, for people.
pub fn money_text(amount: i64, currency: &str) -> String {
    let unit = minor_units(currency);
    let (sign, amount) = (if amount < 0 { "-" } else { "" }, amount.unsigned_abs());
    let (major, minor) = (amount / unit as u64, amount % unit as u64);
    match unit {
        1 => format!("{sign}{major} {currency}"),
        100 => format!("{sign}{major}.{minor:02} {currency}"),
        _ => format!("{sign}{major}.{minor:03} {currency}"),
    }
}

#[cfg(test)]
mod tests {
    use super::money_text;

    #[test]
    fn money_in_words() {
        assert_eq!(money_text(1250, "EUR"), "12.50 EUR");
        assert_eq!(money_text(-5, "EUR"), "-0.05 EUR");
        assert_eq!(money_text(1250, "JPY"), "1250 JPY");
        assert_eq!(money_text(1250, "KWD"), "1.250 KWD");
        assert_eq!(money_text(i64::MIN, "EUR"), "-92233720368547758.08 EUR");
    }
}
