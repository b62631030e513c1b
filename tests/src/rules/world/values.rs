//! Random values of every type, as SQL literals.

use super::{Filler, quote};
use codegen::model::{Field, Literal, Ty};
use fastrand::Rng;

impl Filler<'_> {
    pub(super) fn value(&mut self, field: &Field) -> Option<String> {
        self.serials[self.at] += 1;
        let n = self.serials[self.at];
        let rng = &mut self.rng;
        let number = |rng: &mut Rng, min: Option<i64>, max: Option<i64>| {
            let low = min.unwrap_or(0);
            let high = max.unwrap_or(low + 100).min(low + 100);
            rng.i64(low..=high).to_string()
        };
        Some(match &field.ty {
            Ty::Text { min, max } => {
                let mut text = format!("w{n} {}", rng.u32(..));
                while text.chars().count() < *min as usize {
                    text.push('x');
                }
                quote(&text.chars().take(*max as usize).collect::<String>())
            }
            Ty::Int { min, max } | Ty::Bigint { min, max } => number(rng, *min, *max),
            // Sums must be consistent, so most amounts are zero.
            Ty::Money { min, max } if rng.u8(0..8) == 0 => number(rng, *min, *max),
            Ty::Money { min, .. } => min.unwrap_or(0).to_string(),
            Ty::Decimal { .. } => rng.u8(0..9).to_string(),
            Ty::Bool => rng.bool().to_string(),
            Ty::Time => {
                // Later fields get later times, as most checks require.
                self.hours += rng.i32(1..200);
                format!("now() + {} * interval '1 hour'", self.hours)
            }
            Ty::Date => format!("current_date + {}", rng.i32(-40..40)),
            Ty::Uuid => "gen_random_uuid()".to_owned(),
            Ty::Json => "'{}'".to_owned(),
            Ty::Url => quote(&format!("https://example.org/{n}")),
            Ty::Email => quote(&format!("p{n}@example.org")),
            Ty::Phone => quote(&format!("+61{}", 400_000_000 + n)),
            Ty::Slug { .. } => quote(&format!("s-{n}")),
            Ty::Currency => quote(rng.choice(["AUD", "EUR"])?),
            Ty::Country => quote(country(n)),
            Ty::Social { network } => quote(codegen::emit::openapi::example::social(network)),
            Ty::LocalTime => quote("08:30"),
            Ty::Code { .. } => quote(&format!("CODE{n}")),
            Ty::Handle { .. } => quote(&format!("p{n}")),
            Ty::Locale => quote("en"),
            Ty::Timezone => quote("UTC"),
            Ty::Enum { values } | Ty::States { values } => quote(rng.choice(values)?),
            Ty::Point => format!(
                "'SRID=4326;POINT({} {})'::public.geography",
                rng.i32(-170..170),
                rng.i32(-80..80)
            ),
            Ty::Object { object } => {
                let required = self.model.objects[*object]
                    .fields
                    .iter()
                    .filter(|f| !f.optional);
                let pairs: Vec<String> = required
                    .map(|f| format!("\"{}\": {}", f.name, object_text(f)))
                    .collect();
                quote(&format!("{{{}}}", pairs.join(", ")))
            }
            Ty::TextList { .. } => "array['one', 'two']".to_owned(),
        })
    }
}

fn object_text(field: &Field) -> &'static str {
    match (&field.ty, &field.default) {
        (Ty::LocalTime, _) => "\"22:00\"",
        (Ty::Bool, _) => "true",
        (Ty::Int { .. }, _) => "1",
        (_, Some(Literal::Text(_))) => "\"x\"",
        _ => "\"x\"",
    }
}

/// A country for a number, distinct for as many numbers as there are countries.
fn country(n: u64) -> &'static str {
    let countries: Vec<&str> = kernel::input::COUNTRIES.split(' ').collect();
    countries[n as usize % countries.len()]
}
