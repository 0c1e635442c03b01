//! Changes under a request_id, how urgent they are, and lists that fill the mirror.

use graph::objects::Kind;
use proto::campaigns::v1::Campaign;
use proto::common::v1::Money;
use proto::ratelimit::v1::Priority;
use serde_json::Value;
use uuid::Uuid;

use super::{
    campaign, create,
    house::{ACCOUNT, House},
    made, once,
};
use crate::{error::Error, freshness::Wanted, mirror, objects::Which, once::Once, store::objects::Listing};

async fn summer(house: &House) -> Which {
    let id = made(create(house, Uuid::new_v4(), "Summer").await.unwrap());
    Which { account: ACCOUNT, kind: Kind::Campaign, id }
}

#[tokio::test]
async fn a_change_happens_once_for_each_request_and_answers_the_same() {
    let house = House::open().await;
    let which = summer(&house).await;
    let now = Wanted::AtMost(std::time::Duration::ZERO);
    let seen = house.context.object(&house.caller.tenant, which, &now).await.unwrap().value;
    let request = Uuid::new_v4();
    let update = async |name: &str| {
        let asked = Once::new(request, "campaigns.update", &Money { currency_code: name.to_owned(), minor_units: 0 });
        let campaign = Campaign { etag: mirror::etag(&seen), ..campaign(name) };
        house.context.update_campaign(&house.caller, which, campaign, vec!["name".to_owned()], asked, false).await
    };
    let first = update("Autumn").await.unwrap();
    let posts = house.meta.count("POST");
    // The etag is of before the change, and the repeat is answered all the same.
    assert_eq!(update("Autumn").await.unwrap(), first);
    assert_eq!(house.meta.count("POST"), posts);
    assert!(matches!(update("Winter").await, Err(Error::RequestIdReused(_))));
    assert_eq!(mirror::text(&house.meta.all("campaigns")[0], "name"), "Autumn");
}

#[tokio::test]
async fn a_repeated_activation_does_not_undo_a_pause_and_a_delete_repeats() {
    let house = House::open().await;
    let which = summer(&house).await;
    let (context, caller) = (&house.context, &house.caller);
    let (activate, delete) = (once("campaigns.activate"), once("campaigns.delete"));
    for _ in 0..2 {
        let graph = context.activate(caller, which, String::new(), activate, false).await.unwrap();
        assert_eq!(mirror::text(&graph, "status"), "ACTIVE");
        let reason = "too dear".to_owned();
        context.pause(caller, which, reason, Some(once("campaigns.pause")), false).await.unwrap();
    }
    assert_eq!(mirror::text(&house.meta.all("campaigns")[0], "status"), "PAUSED");
    for _ in 0..2 {
        let given = (String::new(), "Summer".to_owned());
        context.remove(caller, which, given, delete, false).await.unwrap();
    }
    assert_eq!(house.meta.count("DELETE"), 1);
}

#[tokio::test]
async fn a_change_that_failed_may_be_corrected_under_its_request() {
    let house = House::open().await;
    let which = summer(&house).await;
    let asked = once("campaigns.delete");
    let remove =
        |name: &str| house.context.remove(&house.caller, which, (String::new(), name.to_owned()), asked, false);
    assert!(matches!(remove("Winter").await, Err(Error::Invalid(_))));
    remove("Summer").await.unwrap();
}

#[tokio::test]
async fn an_emergency_pause_waits_behind_nothing() {
    let house = House::open().await;
    house.meta.put("campaigns", "theirs");
    let id = mirror::number(&house.meta.all("campaigns")[0], "id").unwrap();
    let which = Which { account: ACCOUNT, kind: Kind::Campaign, id };
    house.context.pause(&house.caller, which, String::new(), None, false).await.unwrap();
    assert_eq!(house.priorities(), [Priority::Safety; 3]); // the account, the campaign, the pause
}

#[tokio::test]
async fn what_does_not_say_whose_it_is_is_not_found() {
    let house = House::open().await;
    house.meta.put("campaigns", "theirs");
    let id = mirror::number(&house.meta.all("campaigns")[0], "id").unwrap();
    let which = Which { account: ACCOUNT, kind: Kind::Campaign, id };
    for home in [Value::Null, "2".into()] {
        house.meta.set(id, "account_id", home);
        let read = house.context.object(&house.caller.tenant, which, &Wanted::Stored).await;
        assert!(matches!(read, Err(Error::NotFound(_))), "{read:?}");
    }
}

#[tokio::test]
async fn an_account_is_read_once_for_all_who_wait() {
    let house = House::open().await;
    house.meta.put("campaigns", "theirs");
    let (tenant, listing) = (&house.caller.tenant, Listing { size: 9, ..Listing::default() });
    let list = || house.context.list(tenant, ACCOUNT, Kind::Campaign, &listing, &Wanted::Stored);
    house.context.own(tenant, ACCOUNT).await.unwrap(); // so that all three come to the empty store at once
    let (one, two, three) = tokio::join!(list(), list(), list());
    for read in [one, two, three] {
        assert_eq!(read.unwrap().value.len(), 1);
    }
    assert_eq!(house.meta.count("GET campaigns"), 1);
    assert_eq!(house.priorities().into_iter().filter(|asked| *asked == Priority::Sync).count(), 1);
}

#[tokio::test]
async fn a_crash_of_the_database_takes_uploads_and_their_parts_together() {
    let house = House::open().await;
    let client = house.context.store.postgres.client().await.unwrap();
    let sql = "SELECT count(*) FROM pg_class WHERE relname IN ('uploads', 'upload_parts') AND relpersistence = 'u'";
    assert_eq!(client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 2);
}
