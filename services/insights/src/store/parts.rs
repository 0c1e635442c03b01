//! The slices of reports: each change is fenced by the operation's lease, so that a worker that lost it writes nothing.

use jiff::Timestamp;
use prost::Message;
use storage::{GenericClient, operations::Claimed};
use tokio_postgres::Row;
use uuid::Uuid;
use vocabulary::{
    Day, DayRange,
    ids::{ReportRunId, TenantId},
};

use super::{
    Store, facts,
    read::{decode, get},
};
use crate::{Error, reconcile::Sums, report::Part, run::Run};

impl Store {
    /// A report's slices, oldest first.
    pub(crate) async fn parts(&self, tenant: &TenantId, report: Uuid) -> Result<Vec<Part>, Error> {
        const SQL: &str = "
            SELECT *
              FROM report_parts
             WHERE tenant_id = $1 AND report_id = $2
             ORDER BY since";
        let client = self.postgres.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let rows = client.query(&statement, &[&tenant.as_str(), &report]).await?;
        rows.iter().map(part).collect()
    }

    /// Keeps where a slice stands.
    pub(crate) async fn save_part(&self, claimed: &Claimed, part: &Part) -> Result<(), Error> {
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        self.operations.hold(&transaction, claimed).await?;
        update(&transaction, &claimed.tenant, claimed.id, part).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Keeps a page of rows and the state after it, together: after a kill the next worker goes on behind the last page
    /// that is here. `part` already counts the page; `first` is the place of its first row in the slice.
    pub(crate) async fn keep_page(
        &self,
        claimed: &Claimed,
        part: &Part,
        first: i64,
        rows: &[facts::Fact],
        now: Timestamp,
    ) -> Result<(), Error> {
        const SEEN: &str = "
            UPDATE reports
               SET data_at = $3
             WHERE tenant_id = $1 AND id = $2";
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        self.operations.hold(&transaction, claimed).await?;
        facts::insert(&transaction, &claimed.tenant, claimed.id, facts::base(part.days.since()) + first, rows).await?;
        update(&transaction, &claimed.tenant, claimed.id, part).await?;
        let statement = transaction.prepare_cached(SEEN).await?;
        transaction.execute(&statement, &[&claimed.tenant, &claimed.id, &now]).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Puts `new` in the place of `old` and forgets the rows of `old`: the same slice to begin again, or its halves.
    pub(crate) async fn replace_part(&self, claimed: &Claimed, old: &Part, new: &[Part]) -> Result<(), Error> {
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        self.operations.hold(&transaction, claimed).await?;
        delete(&transaction, &claimed.tenant, claimed.id, old.days.since()).await?;
        insert(&transaction, &claimed.tenant, claimed.id, new).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Begins slices again whose sums differ, and counts the rereading.
    pub(crate) async fn read_again(&self, claimed: &Claimed, parts: &[Part]) -> Result<(), Error> {
        const SQL: &str = "
            UPDATE reports
               SET rereads = rereads + 1
             WHERE tenant_id = $1 AND id = $2";
        let mut client = self.postgres.client().await?;
        let transaction = client.transaction().await?;
        self.operations.hold(&transaction, claimed).await?;
        for part in parts {
            delete(&transaction, &claimed.tenant, claimed.id, part.days.since()).await?;
        }
        let anew: Vec<Part> = parts.iter().map(|part| Part::new(part.days)).collect();
        insert(&transaction, &claimed.tenant, claimed.id, &anew).await?;
        let statement = transaction.prepare_cached(SQL).await?;
        transaction.execute(&statement, &[&claimed.tenant, &claimed.id]).await?;
        transaction.commit().await?;
        Ok(())
    }
}

pub(super) async fn insert(
    client: &impl GenericClient,
    tenant: &str,
    report: Uuid,
    parts: &[Part],
) -> Result<(), Error> {
    const SQL: &str = "
        INSERT INTO report_parts (tenant_id, report_id, since, until, tries)
        SELECT $1, $2, since, until, tries
          FROM UNNEST($3::date[], $4::date[], $5::integer[]) AS part (since, until, tries)";
    let since: Vec<Day> = parts.iter().map(|part| part.days.since()).collect();
    let until: Vec<Day> = parts.iter().map(|part| part.days.until()).collect();
    let tries: Vec<i32> = parts.iter().map(|part| tries_column(part.tries)).collect();
    let statement = client.prepare_cached(SQL).await?;
    client.execute(&statement, &[&tenant, &report, &since, &until, &tries]).await?;
    Ok(())
}

async fn delete(client: &impl GenericClient, tenant: &str, report: Uuid, since: Day) -> Result<(), Error> {
    const SQL: &str = "
        DELETE FROM report_parts
         WHERE tenant_id = $1 AND report_id = $2 AND since = $3";
    facts::forget(client, tenant, report, since).await?;
    let statement = client.prepare_cached(SQL).await?;
    client.execute(&statement, &[&tenant, &report, &since]).await?;
    Ok(())
}

async fn update(client: &impl GenericClient, tenant: &str, report: Uuid, part: &Part) -> Result<(), Error> {
    const SQL: &str = "
        UPDATE report_parts
           SET run = $4,
               report_run_id = $5,
               begun_at = $6,
               percent = $7,
               cursor = $8,
               tries = $9,
               row_count = $10,
               impressions = $11,
               clicks = $12,
               spend_minor = $13,
               error = $14
         WHERE tenant_id = $1 AND report_id = $2 AND since = $3";
    let (word, job, begun, percent, cursor) = run_columns(&part.run);
    let job = job.map(|job| i64::try_from(job.get())).transpose().map_err(|_| Error::Corrupt("report run"))?;
    let error = part.error.as_ref().map(Message::encode_to_vec);
    let statement = client.prepare_cached(SQL).await?;
    client
        .execute(
            &statement,
            &[
                &tenant,
                &report,
                &part.days.since(),
                &word,
                &job,
                &begun,
                &percent,
                &cursor,
                &tries_column(part.tries),
                &part.row_count,
                &part.sums.impressions,
                &part.sums.clicks,
                &part.sums.spend_minor,
                &error,
            ],
        )
        .await?;
    Ok(())
}

fn tries_column(tries: u32) -> i32 {
    i32::try_from(tries).unwrap_or(i32::MAX)
}

type RunColumns<'a> = (&'static str, Option<ReportRunId>, Option<Timestamp>, i32, Option<&'a str>);

fn run_columns(run: &Run) -> RunColumns<'_> {
    match run {
        Run::Pending => ("pending", None, None, 0, None),
        Run::Polling { job, since, percent } => ("polling", Some(*job), Some(*since), i32::from(*percent), None),
        Run::Reading { job, after } => ("reading", *job, None, 100, after.as_deref()),
        Run::Done => ("done", None, None, 100, None),
        Run::Failed => ("failed", None, None, 0, None),
    }
}

fn part(row: &Row) -> Result<Part, Error> {
    const CORRUPT: Error = Error::Corrupt("slice of a report");
    let tries: i32 = get(row, "tries")?;
    let error: Option<Vec<u8>> = get(row, "error")?;
    Ok(Part {
        days: DayRange::new(get(row, "since")?, get(row, "until")?).map_err(|_| CORRUPT)?,
        run: run(row)?,
        tries: u32::try_from(tries).map_err(|_| CORRUPT)?,
        row_count: get(row, "row_count")?,
        sums: Sums {
            impressions: get(row, "impressions")?,
            clicks: get(row, "clicks")?,
            spend_minor: get(row, "spend_minor")?,
        },
        error: error.as_deref().map(decode).transpose()?,
    })
}

fn run(row: &Row) -> Result<Run, Error> {
    const CORRUPT: Error = Error::Corrupt("state of a slice");
    let job: Option<i64> = get(row, "report_run_id")?;
    let job = job.map(u64::try_from).transpose().map_err(|_| CORRUPT)?.map(ReportRunId::new);
    Ok(match get::<&str>(row, "run")? {
        "pending" => Run::Pending,
        "polling" => Run::Polling {
            job: job.ok_or(CORRUPT)?,
            since: get::<Option<Timestamp>>(row, "begun_at")?.ok_or(CORRUPT)?,
            percent: u8::try_from(get::<i32>(row, "percent")?).map_err(|_| CORRUPT)?,
        },
        "reading" => Run::Reading { job, after: get(row, "cursor")? },
        "done" => Run::Done,
        "failed" => Run::Failed,
        _ => return Err(CORRUPT),
    })
}
