//! What may have been spent, in PostgreSQL: it outlives Redis. Written before Redis is charged.

use std::collections::HashSet;

use storage::{GenericClient, Postgres, Transaction};
use tokio_postgres::{
    Row,
    types::{FromSql, ToSql},
};
use uuid::Uuid;

use crate::{error::Error, journal::Allowance};

/// The rows. Clones share a pool.
#[derive(Clone)]
pub(crate) struct Allowances(Postgres);

/// The epoch of an app as PostgreSQL has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    /// 0 where none was ever opened.
    pub(crate) epoch: i64,
    /// What was spent before is in no row.
    pub(crate) exact_from_ms: i64,
}

/// What may have been charged to one bucket in one stretch of time, by all replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) key: String,
    /// The last moment at which it can have been charged.
    pub(crate) at_ms: i64,
    pub(crate) points: i64,
    pub(crate) cell_ms: i64,
    pub(crate) cells: i64,
}

/// What became of rows that were to be written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) stand: Vec<Allowance>,
    /// Of an epoch that is over: whoever opened the next one has counted the row as it was.
    pub(crate) over: Vec<Allowance>,
    /// Whether others were left out, because somebody agrees on their app's epoch at this moment.
    pub(crate) later: bool,
}

/// As many rows as one statement sweeps.
const SWEPT_AT_ONCE: i64 = 10_000;

impl Allowances {
    pub(crate) fn new(postgres: Postgres) -> Self {
        Self(postgres)
    }

    /// A connection, for [`lock`] and what follows.
    pub(crate) async fn client(&self) -> Result<storage::Client, Error> {
        self.0.client().await.map_err(Error::Postgres)
    }

    /// Writes rows of the running epochs. Who agrees on an app's epoch holds its lock while Redis is asked and counters are
    /// rebuilt; rows of other apps do not wait for that.
    ///
    /// Only the row of a stretch that is over is ever lowered: a statement that was given up may still be carried out, after
    /// a later one.
    pub(crate) async fn write(&self, replica: Uuid, rows: Vec<Allowance>, now_ms: i64) -> Result<Written, Error> {
        const SQL: &str = "
            WITH free AS (
                SELECT app, epoch
                  FROM epochs
                 WHERE app = ANY ($2)
                   FOR SHARE SKIP LOCKED
            ), written AS (
                INSERT INTO allowances (app, bucket, ends_ms, replica, epoch, points, until_ms, cell_ms, cells)
                SELECT r.app, r.bucket, r.ends_ms, $1, r.epoch, r.points, r.until_ms, r.cell_ms, r.cells
                  FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                              $8::bigint[], $9::bigint[])
                    AS r (app, bucket, ends_ms, epoch, points, until_ms, cell_ms, cells)
                  JOIN free USING (app, epoch)
                ON CONFLICT (app, bucket, ends_ms, replica, epoch)
                DO UPDATE SET points = CASE WHEN EXCLUDED.ends_ms <= $10
                                            THEN EXCLUDED.points
                                            ELSE greatest(allowances.points, EXCLUDED.points)
                                       END
                RETURNING bucket, ends_ms
            )
            SELECT bucket, ends_ms, NULL::bigint AS locked
              FROM written
            UNION ALL
            SELECT NULL, NULL, app
              FROM epochs
             WHERE app = ANY ($2)
               AND app NOT IN (SELECT app FROM free)";
        fn column<T>(rows: &[Allowance], of: impl Fn(&Allowance) -> T) -> Vec<T> {
            rows.iter().map(of).collect()
        }
        let client = self.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let parameters: [&(dyn ToSql + Sync); 10] = [
            &replica,
            &column(&rows, |row| number(row.app)),
            &column(&rows, |row| row.key.clone()),
            &column(&rows, |row| row.ends_ms),
            &column(&rows, |row| row.epoch),
            &column(&rows, |row| number(row.points)),
            &column(&rows, |row| row.until_ms),
            &column(&rows, |row| row.cell_ms),
            &column(&rows, |row| row.cells),
            &now_ms,
        ];
        let written = client.query(&statement, &parameters).await?;
        let (mut stand, mut locked) = (HashSet::with_capacity(written.len()), HashSet::new());
        for row in written {
            match get::<Option<i64>>(&row, 2)? {
                Some(app) => locked.insert(app),
                None => stand.insert((get::<String>(&row, 0)?, get::<i64>(&row, 1)?)),
            };
        }
        let mut answer = Written { later: !locked.is_empty(), ..Written::default() };
        for row in rows {
            if stand.contains(&(row.key.clone(), row.ends_ms)) {
                answer.stand.push(row);
            } else if !locked.contains(&number(row.app)) {
                answer.over.push(row);
            }
        }
        Ok(answer)
    }

    /// The time at PostgreSQL, in ms since 1970.
    pub(crate) async fn time_ms(&self) -> Result<i64, Error> {
        const SQL: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        get(&self.client().await?.query_one(SQL, &[]).await?, 0)
    }

    /// Removes what counts no more; answers how many rows.
    pub(crate) async fn sweep(&self, now_ms: i64) -> Result<u64, Error> {
        const SQL: &str = "
            DELETE FROM allowances
             WHERE ctid = ANY (ARRAY(SELECT ctid FROM allowances WHERE until_ms <= $1 LIMIT $2))";
        let (client, mut swept) = (self.client().await?, 0);
        loop {
            let part = client.execute(SQL, &[&now_ms, &SWEPT_AT_ONCE]).await?;
            swept += part;
            if part < SWEPT_AT_ONCE.unsigned_abs() {
                return Ok(swept);
            }
        }
    }
}

/// Locks an app's epoch: until the transaction ends no allowance of it is written.
pub(crate) async fn lock(transaction: &Transaction<'_>, app: u64) -> Result<Opened, Error> {
    const NEW: &str = "
        INSERT INTO epochs (app, epoch, exact_from_ms, reason)
        VALUES ($1, 0, 0, '')
        ON CONFLICT DO NOTHING";
    const LOCK: &str = "SELECT epoch, exact_from_ms FROM epochs WHERE app = $1 FOR UPDATE";
    transaction.execute(NEW, &[&number(app)]).await?;
    let row = transaction.query_one(LOCK, &[&number(app)]).await?;
    Ok(Opened { epoch: get(&row, 0)?, exact_from_ms: get(&row, 1)? })
}

/// What may have been spent of an app's buckets and still counts.
pub(crate) async fn spent(client: &impl GenericClient, app: u64, now_ms: i64) -> Result<Vec<Spent>, Error> {
    const SQL: &str = "
        SELECT bucket, ends_ms, sum(points)::bigint, max(cell_ms), max(cells)
          FROM allowances
         WHERE app = $1
           AND until_ms > $2
           AND points > 0
         GROUP BY bucket, ends_ms
         ORDER BY bucket, ends_ms";
    client.query(SQL, &[&number(app), &now_ms]).await?.iter().map(spent_row).collect()
}

fn spent_row(row: &Row) -> Result<Spent, Error> {
    Ok(Spent {
        key: get(row, 0)?,
        at_ms: get(row, 1)?,
        points: get(row, 2)?,
        cell_ms: get(row, 3)?,
        cells: get(row, 4)?,
    })
}

/// Writes what a replica may spend of an epoch that it ends.
pub(crate) async fn fence(
    transaction: &Transaction<'_>,
    app: u64,
    epoch: i64,
    replica: Uuid,
    open: &[Allowance],
) -> Result<(), Error> {
    const SQL: &str = "
        INSERT INTO fences (app, epoch, replica, bucket, points, cell_ms, cells)
        SELECT $1, $2, $3, r.bucket, r.points, r.cell_ms, r.cells
          FROM unnest($4::text[], $5::bigint[], $6::bigint[], $7::bigint[]) AS r (bucket, points, cell_ms, cells)
        ON CONFLICT (app, epoch, replica, bucket)
        DO UPDATE SET points = greatest(fences.points, EXCLUDED.points)";
    let keys: Vec<&str> = open.iter().map(|row| row.key.as_str()).collect();
    let points: Vec<i64> = open.iter().map(|row| number(row.points)).collect();
    let (cell_ms, cells): (Vec<i64>, Vec<i64>) = open.iter().map(|row| (row.cell_ms, row.cells)).unzip();
    transaction.execute(SQL, &[&number(app), &epoch, &replica, &keys, &points, &cell_ms, &cells]).await?;
    Ok(())
}

/// What may have been spent of an ended epoch without Redis, by bucket.
pub(crate) async fn fenced(client: &impl GenericClient, app: u64, epoch: i64) -> Result<Vec<Spent>, Error> {
    const SQL: &str = "
        SELECT bucket, 0::bigint, sum(points)::bigint, max(cell_ms), max(cells)
          FROM fences
         WHERE app = $1
           AND epoch = $2
         GROUP BY bucket
         ORDER BY bucket";
    client.query(SQL, &[&number(app), &epoch]).await?.iter().map(spent_row).collect()
}

/// Whatever was spent without Redis is in its counters from now on.
pub(crate) async fn forget_fences(transaction: &Transaction<'_>, app: u64) -> Result<(), Error> {
    transaction.execute("DELETE FROM fences WHERE app = $1", &[&number(app)]).await?;
    Ok(())
}

/// The epoch that holds from now on.
pub(crate) async fn put(transaction: &Transaction<'_>, app: u64, opened: Opened, reason: &str) -> Result<(), Error> {
    const SQL: &str = "
        UPDATE epochs
           SET epoch = $2, exact_from_ms = $3, reason = $4, opened = now()
         WHERE app = $1";
    let Opened { epoch, exact_from_ms } = opened;
    let parameters: [&(dyn ToSql + Sync); 4] = [&number(app), &epoch, &exact_from_ms, &reason];
    transaction.execute(SQL, &parameters).await?;
    Ok(())
}

/// Meta's ids and our points are far below the end of the range.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn get<'a, T: FromSql<'a>>(row: &'a Row, place: usize) -> Result<T, Error> {
    Ok(row.try_get(place)?)
}
