//! Countries and cities, from `data/reference`.

use sqlx::{Connection, PgConnection};

/// The number of rows that were added.
#[derive(Debug, PartialEq, Eq)]
pub struct Added {
    pub countries: u64,
    pub cities: u64,
}

pub async fn load(db: &mut PgConnection) -> anyhow::Result<Added> {
    let mut tx = db.begin().await?;
    sqlx::raw_sql(include_str!("reference/tables.sql"))
        .execute(&mut *tx)
        .await?;
    copy(
        &mut tx,
        "reference_country",
        include_bytes!("../../../../data/reference/countries.csv"),
    )
    .await?;
    copy(
        &mut tx,
        "reference_city",
        include_bytes!("../../../../data/reference/cities.csv"),
    )
    .await?;
    let countries = sqlx::query(include_str!("reference/countries.sql"))
        .execute(&mut *tx)
        .await?
        .rows_affected();
    let cities = sqlx::query(include_str!("reference/cities.sql"))
        .execute(&mut *tx)
        .await?
        .rows_affected();
    tx.commit().await?;
    Ok(Added { countries, cities })
}

async fn copy(
    db: &mut PgConnection,
    table: &'static str,
    csv: &'static [u8],
) -> anyhow::Result<()> {
    let mut sink = db
        .copy_in_raw(&format!(
            "copy pg_temp.{table} from stdin (format csv, header)"
        ))
        .await?;
    sink.send(csv).await?;
    sink.finish().await?;
    Ok(())
}
