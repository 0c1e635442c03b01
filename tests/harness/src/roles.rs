//! The roles of `deploy/runbooks/database-roles.md`, made by the statements that stand there: so every journey shows that
//! each service gets on with what its own role may do.

use anyhow::{Context, Result};
use storage::{Postgres, PostgresSettings};
use tokio::sync::OnceCell;

const RUNBOOK: &str = include_str!("../../../deploy/runbooks/database-roles.md");
/// Of each role; the server is this process's own.
const PASSWORD: &str = "of-a-test";
/// Roles are the server's, which all suites of this process share: one makes them, the others wait.
static MADE: OnceCell<()> = OnceCell::const_new();

/// Makes the roles, the first time, and lets them into this database.
pub(crate) async fn prepare(url: &str) -> Result<()> {
    let statements = fenced("sql");
    let [roles, rights] = statements.as_slice() else {
        anyhow::bail!("the runbook has {} pieces of SQL; this knows two: roles, then rights", statements.len());
    };
    let client = Postgres::connect(&PostgresSettings::at(url).in_schema("public")).await?.client().await?;
    MADE.get_or_try_init(async || {
        let password = |name: &str| format!("ALTER ROLE {name} PASSWORD '{PASSWORD}';");
        let passwords: Vec<String> = names(roles).map(password).collect();
        client.batch_execute(&format!("{roles} {}", passwords.join(" "))).await
    })
    .await
    .context("the roles")?;
    client.batch_execute(rights).await.context("what the roles may do")?;
    Ok(())
}

/// The same database, as `adplane_{who}`.
pub(crate) fn url_of(url: &str, who: &str) -> String {
    let place = url.rsplit_once('@').map_or(url, |(_, place)| place);
    format!("postgres://adplane_{who}:{PASSWORD}@{place}")
}

/// The runbook's pieces in this language.
fn fenced(language: &str) -> Vec<String> {
    let open = format!("```{language}");
    let (mut pieces, mut inside) = (Vec::new(), false);
    for line in RUNBOOK.lines().map(str::trim) {
        if line == open {
            pieces.push(String::new());
            inside = true;
        } else if line == "```" {
            inside = false;
        } else if let Some(piece) = pieces.last_mut().filter(|_| inside) {
            *piece += line;
            piece.push('\n');
        }
    }
    pieces
}

fn names(statements: &str) -> impl Iterator<Item = &str> {
    statements.lines().filter_map(|line| line.strip_prefix("CREATE ROLE ")?.split_whitespace().next())
}
