//! What can be asked of the history.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use vocabulary::ids::TenantId;

use super::{History, Reason, get, millis, number, timestamp};
use crate::error::Error;
use crate::trail::Usage;

/// As many rows as an explanation has of a kind; the rest is summed up.
const EXPLAINED_MAX: i64 = 50;

/// Who looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Viewer {
    /// Sees its own by caller and call, and all others as one sum.
    Tenant(TenantId),
    /// Sees everything.
    Operator,
}

impl Viewer {
    /// The tenant whose rows are shown; empty for all.
    pub(crate) fn tenant(&self) -> &str {
        match self {
            Self::Tenant(tenant) => tenant.as_str(),
            Self::Operator => "",
        }
    }
}

/// What somebody's calls of one kind took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    /// Empty for others' and for the rest.
    pub(crate) tenant: String,
    pub(crate) caller: String,
    pub(crate) purpose: String,
    pub(crate) call: String,
    pub(crate) usage: Usage,
}

/// Calls that were told to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefusedRow {
    pub(crate) last_ms: i64,
    pub(crate) count: i64,
    pub(crate) priority: i32,
    pub(crate) reason: Reason,
    pub(crate) bucket: String,
    pub(crate) delay_ms: i64,
    pub(crate) caller: String,
    pub(crate) call: String,
}

/// When the counters of an app were lost and rebuilt, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Losses {
    pub(crate) app: u64,
    pub(crate) at_ms: i64,
    pub(crate) why: String,
}

/// What gets a row of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Tenant,
    Subject,
    Caller,
    Call,
    Code,
    Priority,
    App,
    UseCase,
}

/// How finely time is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Whole,
    Minute,
    Hour,
    Day,
}

/// A question about use, checked.
#[derive(Debug, Clone)]
pub(crate) struct UsageQuery {
    pub(crate) viewer: Viewer,
    pub(crate) groups: Vec<Group>,
    pub(crate) step: Step,
    pub(crate) from_ms: i64,
    pub(crate) until_ms: i64,
    /// Empty does not narrow; likewise below.
    pub(crate) subject: String,
    pub(crate) caller: String,
    pub(crate) call: String,
    /// 0 does not narrow.
    pub(crate) priority: i32,
}

/// What a row is of. Its order is that of the pages.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Columns {
    pub(crate) at_ms: i64,
    pub(crate) tenant: String,
    pub(crate) app: i64,
    pub(crate) subject: String,
    pub(crate) use_case: String,
    pub(crate) caller: String,
    pub(crate) purpose: String,
    pub(crate) call: String,
    pub(crate) priority: i16,
    pub(crate) code: i64,
}

/// A sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsageRow {
    pub(crate) of: Columns,
    pub(crate) usage: Usage,
}

impl History {
    /// Who spent most on a subject (or, with an app, through it) between two moments. What does not fit, and for a tenant
    /// what is others', is one last row without a caller.
    pub(crate) async fn spent(
        &self,
        viewer: &Viewer,
        (subject, app): (&str, Option<u64>),
        (from_ms, until_ms): (i64, i64),
    ) -> Result<Vec<Spent>, Error> {
        const SQL: &str = "
            WITH spent AS (
                SELECT CASE WHEN $1 IN ('', tenant_id) THEN tenant_id ELSE '' END AS tenant,
                       CASE WHEN $1 IN ('', tenant_id) THEN caller ELSE '' END AS caller,
                       CASE WHEN $1 IN ('', tenant_id) THEN purpose ELSE '' END AS purpose,
                       CASE WHEN $1 IN ('', tenant_id) THEN call ELSE '' END AS call,
                       calls, points, refused, answers, waited_ms, longest_ms
                  FROM usage_minutes
                 WHERE ($2 = '' OR subject = $2)
                   AND ($3::bigint IS NULL OR app = $3)
                   AND minute >= $4
                   AND minute < $5),
            sums AS (
                SELECT tenant, caller, purpose, call, sum(calls)::bigint AS calls, sum(points)::bigint AS points,
                       sum(refused)::bigint AS refused, sum(answers)::bigint AS answers,
                       sum(waited_ms)::bigint AS waited_ms, max(longest_ms) AS longest_ms
                  FROM spent
                 GROUP BY tenant, caller, purpose, call),
            ranked AS (
                SELECT *, row_number() OVER (ORDER BY tenant = '', points DESC, calls DESC, refused DESC, tenant, caller,
                                                      purpose, call) AS place
                  FROM sums)
            SELECT min(tenant) AS tenant, min(caller) AS caller, min(purpose) AS purpose, min(call) AS call,
                   sum(calls)::bigint AS calls, sum(points)::bigint AS points, sum(refused)::bigint AS refused,
                   sum(answers)::bigint AS answers, sum(waited_ms)::bigint AS waited_ms, max(longest_ms) AS longest_ms,
                   count(*) AS together
              FROM ranked
             GROUP BY least(place, $6)
             ORDER BY least(place, $6)";
        let client = self.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let (tenant, app) = (viewer.tenant(), app.map(number));
        let (from, until) = (timestamp(from_ms)?, timestamp(until_ms)?);
        let values: [&(dyn ToSql + Sync); 6] = [&tenant, &subject, &app, &from, &until, &EXPLAINED_MAX];
        client.query(&statement, &values).await?.iter().map(spent_of).collect()
    }

    /// Calls that were told to wait, the newest first: a tenant's own, or all.
    pub(crate) async fn refused(
        &self,
        viewer: &Viewer,
        (subject, app): (&str, Option<u64>),
        (from_ms, until_ms): (i64, i64),
    ) -> Result<Vec<RefusedRow>, Error> {
        const SQL: &str = "
            SELECT last, refused, priority, reason, bucket, delay_ms, caller, call
              FROM refused_minutes
             WHERE $1 IN ('', tenant_id)
               AND ($2 = '' OR subject = $2)
               AND ($3::bigint IS NULL OR app = $3)
               AND minute >= $4
               AND minute < $5
             ORDER BY last DESC, bucket, reason, priority, caller, call
             LIMIT $6";
        let client = self.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let (tenant, app) = (viewer.tenant(), app.map(number));
        let (from, until) = (timestamp(from_ms)?, timestamp(until_ms)?);
        let values: [&(dyn ToSql + Sync); 6] = [&tenant, &subject, &app, &from, &until, &EXPLAINED_MAX];
        client.query(&statement, &values).await?.iter().map(refused_of).collect()
    }

    /// Losses of the counters of these apps since a moment.
    pub(crate) async fn losses(&self, apps: &[u64], from_ms: i64) -> Result<Vec<Losses>, Error> {
        const SQL: &str = "
            SELECT app, opened, reason
              FROM epochs
             WHERE app = ANY ($1)
               AND opened >= $2
               AND reason NOT IN ('', 'a new app', 'counted before there was a journal')
             ORDER BY opened DESC";
        let apps: Vec<i64> = apps.iter().map(|app| number(*app)).collect();
        let client = self.client().await?;
        let rows = client.query(SQL, &[&apps, &timestamp(from_ms)?]).await?;
        let read = |row: &Row| {
            Ok(Losses {
                app: u64::try_from(get::<i64>(row, "app")?).unwrap_or_default(),
                at_ms: millis(get(row, "opened")?),
                why: get(row, "reason")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// The tenants whose calls were about a subject, or went through an app.
    pub(crate) async fn tenants_of(&self, subject: &str, app: Option<u64>, from_ms: i64) -> Result<Vec<String>, Error> {
        const SQL: &str = "
            SELECT DISTINCT tenant_id
              FROM usage_minutes
             WHERE ($1 = '' OR subject = $1)
               AND ($2::bigint IS NULL OR app = $2)
               AND minute >= $3
             ORDER BY tenant_id
             LIMIT 100";
        let client = self.client().await?;
        let rows = client.query(SQL, &[&subject, &app.map(number), &timestamp(from_ms)?]).await?;
        rows.iter().map(|row| get(row, "tenant_id")).collect()
    }

    /// What was asked about since a moment: subjects of a tenant's calls, or of all.
    pub(crate) async fn subjects(&self, viewer: &Viewer, from_ms: i64) -> Result<Vec<String>, Error> {
        const SQL: &str = "
            SELECT DISTINCT subject
              FROM usage_minutes
             WHERE $1 IN ('', tenant_id)
               AND minute >= $2
               AND subject <> ''
             ORDER BY subject
             LIMIT 1000";
        let client = self.client().await?;
        let rows = client.query(SQL, &[&viewer.tenant(), &timestamp(from_ms)?]).await?;
        rows.iter().map(|row| get(row, "subject")).collect()
    }

    /// Sums by what was asked for, after a row, in their order.
    pub(crate) async fn usage(
        &self,
        query: &UsageQuery,
        after: Option<&Columns>,
        size: usize,
    ) -> Result<Vec<UsageRow>, Error> {
        const SQL: &str = "
            WITH cut AS (
                SELECT CASE WHEN $1 = '' THEN $2 ELSE date_trunc($1, minute, 'UTC') END AS at,
                       CASE WHEN $8 THEN tenant_id ELSE '' END AS tenant,
                       CASE WHEN $9 THEN app ELSE 0 END AS app,
                       CASE WHEN $10 THEN subject ELSE '' END AS subject,
                       CASE WHEN $11 THEN use_case ELSE '' END AS use_case,
                       CASE WHEN $12 THEN caller ELSE '' END AS caller,
                       CASE WHEN $12 THEN purpose ELSE '' END AS purpose,
                       CASE WHEN $13 THEN call ELSE '' END AS call,
                       CASE WHEN $14 THEN priority ELSE 0::smallint END AS priority,
                       CASE WHEN $15 THEN code ELSE 0 END AS code,
                       calls, points, refused, answers, waited_ms, longest_ms
                  FROM usage_minutes
                 WHERE $4 IN ('', tenant_id)
                   AND minute >= $2
                   AND minute < $3
                   AND ($5 = '' OR subject = $5)
                   AND ($6 = '' OR caller = $6)
                   AND ($7 = '' OR call = $7)
                   AND ($16 = 0::smallint OR priority = $16))
            SELECT at, tenant, app, subject, use_case, caller, purpose, call, priority, code,
                   sum(calls)::bigint AS calls, sum(points)::bigint AS points, sum(refused)::bigint AS refused,
                   sum(answers)::bigint AS answers, sum(waited_ms)::bigint AS waited_ms, max(longest_ms) AS longest_ms
              FROM cut
             WHERE NOT $17
                OR (at, tenant, app, subject, use_case, caller, purpose, call, priority, code)
                   > ($18, $19, $20::bigint, $21, $22, $23, $24, $25, $26::smallint, $27::bigint)
             GROUP BY at, tenant, app, subject, use_case, caller, purpose, call, priority, code
             ORDER BY at, tenant, app, subject, use_case, caller, purpose, call, priority, code
             LIMIT $28";
        let client = self.client().await?;
        let statement = client.prepare_cached(SQL).await?;
        let has = |group| query.groups.contains(&group);
        let (first, is_next) = (Columns::default(), after.is_some());
        let last = after.unwrap_or(&first);
        let word = match query.step {
            Step::Whole => "",
            Step::Minute => "minute",
            Step::Hour => "hour",
            Step::Day => "day",
        };
        let (from, until) = (timestamp(query.from_ms)?, timestamp(query.until_ms)?);
        let priority = super::small(query.priority);
        let limit = i64::try_from(size).unwrap_or(i64::MAX);
        let values: [&(dyn ToSql + Sync); 28] = [
            &word,
            &from,
            &until,
            &query.viewer.tenant(),
            &query.subject,
            &query.caller,
            &query.call,
            &has(Group::Tenant),
            &has(Group::App),
            &has(Group::Subject),
            &has(Group::UseCase),
            &has(Group::Caller),
            &has(Group::Call),
            &has(Group::Priority),
            &has(Group::Code),
            &priority,
            &is_next,
            &timestamp(last.at_ms)?,
            &last.tenant,
            &last.app,
            &last.subject,
            &last.use_case,
            &last.caller,
            &last.purpose,
            &last.call,
            &last.priority,
            &last.code,
            &limit,
        ];
        client.query(&statement, &values).await?.iter().map(row_of).collect()
    }
}

fn spent_of(row: &Row) -> Result<Spent, Error> {
    if get::<i64>(row, "together")? > 1 {
        return Ok(Spent { usage: usage_of(row)?, ..Spent::default() });
    }
    Ok(Spent {
        tenant: get(row, "tenant")?,
        caller: get(row, "caller")?,
        purpose: get(row, "purpose")?,
        call: get(row, "call")?,
        usage: usage_of(row)?,
    })
}

fn refused_of(row: &Row) -> Result<RefusedRow, Error> {
    Ok(RefusedRow {
        last_ms: millis(get(row, "last")?),
        count: get(row, "refused")?,
        priority: get::<i16>(row, "priority")?.into(),
        reason: Reason::from_number(get(row, "reason")?).ok_or(Error::Corrupt("a refusal"))?,
        bucket: get(row, "bucket")?,
        delay_ms: get(row, "delay_ms")?,
        caller: get(row, "caller")?,
        call: get(row, "call")?,
    })
}

fn row_of(row: &Row) -> Result<UsageRow, Error> {
    let of = Columns {
        at_ms: millis(get(row, "at")?),
        tenant: get(row, "tenant")?,
        app: get(row, "app")?,
        subject: get(row, "subject")?,
        use_case: get(row, "use_case")?,
        caller: get(row, "caller")?,
        purpose: get(row, "purpose")?,
        call: get(row, "call")?,
        priority: get(row, "priority")?,
        code: get(row, "code")?,
    };
    Ok(UsageRow { of, usage: usage_of(row)? })
}

fn usage_of(row: &Row) -> Result<Usage, Error> {
    Ok(Usage {
        calls: get(row, "calls")?,
        points: get(row, "points")?,
        refused: get(row, "refused")?,
        answers: get(row, "answers")?,
        waited_ms: get(row, "waited_ms")?,
        longest_ms: get(row, "longest_ms")?,
    })
}
