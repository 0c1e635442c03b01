//! Everything that is stored, as text: for tests that look for what must not be there.

use std::fmt::Write;

use anyhow::{Result, bail};
use redis::AsyncCommands;
use storage::{Postgres, PostgresSettings, Redis, RedisSettings};

/// Every row of every table of every schema. Bytes are shown as hex digits.
pub(crate) async fn tables(url: &str) -> Result<String> {
    const TABLES: &str = "
        SELECT format('%I.%I', schemaname, tablename)
          FROM pg_tables
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
         ORDER BY 1";
    let client = Postgres::connect(&PostgresSettings::at(url).in_schema("public")).await?.client().await?;
    let mut text = String::new();
    for table in client.query(TABLES, &[]).await? {
        let table: String = table.try_get(0)?;
        writeln!(text, "-- {table}")?;
        // The name comes from the catalogue, quoted by the server; a name cannot be a parameter.
        for row in client.query(&format!("SELECT t::text FROM {table} t"), &[]).await? {
            let row: String = row.try_get(0)?;
            writeln!(text, "{row}")?;
        }
    }
    Ok(text)
}

/// Every key with what it holds. Bytes that are no text are shown by their escapes.
pub(crate) async fn keys(url: &str) -> Result<String> {
    let mut connection = Redis::connect(&RedisSettings::at(url)).await?.connection();
    let mut text = String::new();
    let names: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await?;
    for name in names {
        let kind: String = redis::cmd("TYPE").arg(&name).query_async(&mut connection).await?;
        let values: Vec<Vec<u8>> = match kind.as_str() {
            "string" => vec![connection.get(&name).await?],
            "hash" => redis::cmd("HGETALL").arg(&name).query_async(&mut connection).await?,
            "list" => connection.lrange(&name, 0, -1).await?,
            "set" => connection.smembers(&name).await?,
            "zset" => connection.zrange(&name, 0, -1).await?,
            other => bail!("Redis has a {other}, which this does not read"),
        };
        writeln!(
            text,
            "{} {}",
            name.escape_ascii(),
            values.iter().map(|value| value.escape_ascii().to_string()).collect::<Vec<_>>().join(" ")
        )?;
    }
    Ok(text)
}
