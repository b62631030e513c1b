//! A place on earth: `geography(Point,4326)` in the database, `{"lat":…,"lng":…}` outside.

use serde::{Deserialize, Serialize};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lng: f64,
}

const SRID_FLAG: u32 = 0x2000_0000;
const TYPE_POINT: u32 = 1;

impl Point {
    /// Well-known text with the reference system, which the statement casts `::text::geography`.
    pub fn to_ewkt(self) -> String {
        format!("SRID=4326;POINT({} {})", self.lng, self.lat)
    }

    /// Extended well-known binary: byte order, type with flags, perhaps the reference system, x, y.
    pub fn from_ewkb(bytes: &[u8]) -> Option<Point> {
        let (little, rest) = bytes.split_first()?;
        let little = *little == 1;
        let (kind, rest) = rest.split_first_chunk::<4>()?;
        let kind = if little {
            u32::from_le_bytes(*kind)
        } else {
            u32::from_be_bytes(*kind)
        };
        if kind & !SRID_FLAG != TYPE_POINT {
            return None;
        }
        let rest = if kind & SRID_FLAG == 0 {
            rest
        } else {
            rest.get(4..)?
        };
        let (x, y) = (rest.first_chunk::<8>()?, rest.get(8..)?.first_chunk::<8>()?);
        let float = |b: &[u8; 8]| {
            if little {
                f64::from_le_bytes(*b)
            } else {
                f64::from_be_bytes(*b)
            }
        };
        Some(Point {
            lng: float(x),
            lat: float(y),
        })
    }
}

impl Type<Postgres> for Point {
    /// As an argument; the statement casts it.
    fn type_info() -> PgTypeInfo {
        <str as Type<Postgres>>::type_info()
    }
    fn compatible(ty: &PgTypeInfo) -> bool {
        *ty == PgTypeInfo::with_name("geography") || *ty == PgTypeInfo::with_name("geometry")
    }
}

impl Encode<'_, Postgres> for Point {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(self.to_ewkt().as_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Point {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let point = match value.format() {
            PgValueFormat::Binary => Point::from_ewkb(value.as_bytes()?),
            PgValueFormat::Text => {
                unhex(value.as_str()?).and_then(|bytes| Point::from_ewkb(&bytes))
            }
        };
        point.ok_or_else(|| "not a point".into())
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_postgis_writes() {
        // select 'SRID=4326;POINT(13.4 52.5)'::geography
        let hex = "0101000020E6100000CDCCCCCCCCCC2A400000000000404A40";
        let point = Point::from_ewkb(&unhex(hex).unwrap()).unwrap();
        assert_eq!(
            point,
            Point {
                lat: 52.5,
                lng: 13.4
            }
        );
        assert_eq!(point.to_ewkt(), "SRID=4326;POINT(13.4 52.5)");
        assert_eq!(Point::from_ewkb(&[1, 2, 3]), None);
        // a line string
        assert_eq!(Point::from_ewkb(&unhex("0102000000").unwrap()), None);
    }
}
