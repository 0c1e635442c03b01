//! Ends that come near, told once at each mark.

use jiff::Timestamp;

use super::plan;
use crate::{
    connection_events::{Event, EventKind},
    connections::Connection,
    error::Error,
    store::{Store, connection_events, upkeep},
};

/// How many connections are told of in one transaction.
const AT_ONCE: i64 = 100;

/// Tells what is due. Nobody is called, so the rows stay locked until it is stored: each mark is told once, whoever looks.
pub async fn tell(store: &Store, now: Timestamp) -> Result<(), Error> {
    loop {
        let mut client = store.client().await?;
        let transaction = client.transaction().await?;
        let mut due = upkeep::to_notice(&transaction, now, AT_ONCE).await?;
        // Whoever writes events of several tenants takes their orders in one order.
        due.sort_by(|one, other| (one.tenant.as_str(), one.id.0).cmp(&(other.tenant.as_str(), other.id.0)));
        let is_last = i64::try_from(due.len()).unwrap_or(AT_ONCE) < AT_ONCE;
        for connection in due {
            let (told, events) = told(connection, now);
            for event in &events {
                connection_events::append(&transaction, told.tenant.as_str(), event).await?;
            }
            upkeep::put_told(&transaction, &told).await?;
        }
        transaction.commit().await?;
        if is_last {
            return Ok(());
        }
    }
}

/// What has to be told of a connection now, and the connection after that.
fn told(mut connection: Connection, now: Timestamp) -> (Connection, Vec<Event>) {
    let mut events = Vec::new();
    let ends = [
        (EventKind::Expiring, connection.expires, connection.upkeep.told),
        (EventKind::DataAccessExpiring, connection.data_access_expires, connection.upkeep.told_data),
    ];
    let [told, told_data] = ends.map(|(kind, end, told)| {
        // What is over is told by what it did; there is no more mark before it.
        let over = end.filter(|end| *end <= now).map(|_| 1);
        let mark = plan::notice(end, told, now);
        events.extend(mark.zip(end).map(|(_, end)| Event::ending(&connection, kind, end, now)));
        over.or(mark).or(told)
    });
    (connection.upkeep.told, connection.upkeep.told_data) = (told, told_data);
    (connection.watched(), events)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::connections::testing::connection;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn both_ends_are_told_and_what_is_over_is_not() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let near =
            Connection { expires: Some(now + DAY * 3), data_access_expires: Some(now + DAY * 13), ..connection() };
        let (near, events) = told(near, now);
        let seen: Vec<_> = events.iter().map(|event| (event.kind, event.days_left)).collect();
        assert_eq!(seen, [(EventKind::Expiring, Some(3)), (EventKind::DataAccessExpiring, Some(13))]);
        assert_eq!(near.upkeep.next_notice, Some(now + DAY * 2));

        let (over, events) = told(near, now + DAY * 30);
        assert_eq!((events.len(), over.upkeep.next_notice), (0, None));
    }
}
