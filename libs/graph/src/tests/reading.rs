use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use flate2::{Compression, write::GzEncoder};
use futures::TryStreamExt;
use serde_json::{Value, json};

use super::{House, create, meta::Said, on};
use crate::{Batch, Call, Edge, Error, Fields, Item, Page, Reference, Replay, Unless};

fn read() -> Call<Value> {
    Call::get("/7").fields(&["id"])
}

#[tokio::test]
async fn a_stream_of_pages_asks_for_the_next_one_only_when_it_is_wanted() {
    let house = House::open().await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    house.meta.rule(move |arrival| {
        let after: usize = arrival.field("after").map_or(0, |after| after.parse().unwrap());
        seen.lock().unwrap().push(after);
        let next = (after < 9).then_some("https://graph.facebook.com/v26.0/x?access_token=secret");
        let cursors = json!({ "after": (after + 1).to_string() });
        Said::good(&json!({ "data": [after], "paging": { "cursors": cursors, "next": next } }))
    });
    let on = on();
    let mut pages = std::pin::pin!(house.client.pages(&on, Call::<Page<usize>>::get("/act_1/campaigns")));
    for page in 0..10 {
        assert_eq!(house.meta.count(), page, "no page is fetched ahead");
        assert_eq!(pages.try_next().await.unwrap(), Some(vec![page]));
    }
    assert_eq!(pages.try_next().await.unwrap(), None);
    assert_eq!(*asked.lock().unwrap(), (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again_and_costs_a_call() {
    let house = House::open().await;
    house.meta.rule(|arrival| match arrival.headers.get("if-none-match") {
        Some(etag) if etag == "\"9f\"" => Said { status: 304, body: String::new(), ..Said::good(&Value::Null) },
        _ => Said::good(&json!({ "id": "7" })).header("etag", "\"9f\""),
    });
    let first = house.client.send_unless(&on(), read(), None).await.unwrap();
    let Unless::Now { value, etag } = first else { panic!("{first:?}") };
    assert_eq!((value["id"].as_str(), etag.as_deref()), (Some("7"), Some("\"9f\"")));
    let again = house.client.send_unless(&on(), read(), etag.as_deref()).await.unwrap();
    assert_eq!(again, Unless::NotModified);
    let other = house.client.send_unless(&on(), read(), Some("\"old\"")).await.unwrap();
    assert!(matches!(other, Unless::Now { .. }), "{other:?}");
    assert_eq!(house.peers.costs(), [1, 1, 1]);
}

#[tokio::test]
async fn fields_of_what_a_field_leads_to_are_asked_for_in_one_call() {
    let house = House::open().await;
    let fields = Fields::of(&["id"]).with(&Edge::to("adsets", Fields::of(&["id"])).limit(2));
    house.client.send(&on(), Call::<Value>::get("/7").expanded(&fields)).await.unwrap();
    assert_eq!(house.meta.arrivals()[0].field("fields"), Some("id,adsets.limit(2){id}"));
}

/// So many bytes of JSON, packed.
fn packed(bytes: usize) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(format!("{{\"id\":\"7\",\"text\":\"{}\"}}", " ".repeat(bytes)).as_bytes()).unwrap();
    packer.finish().unwrap()
}

#[tokio::test]
async fn answers_come_packed_and_are_bounded_by_what_they_unpack_to() {
    let house = House::open_with(|settings| (settings.answer_bytes_max, settings.tries_max) = (1 << 20, 1)).await;
    let said = |bytes| Said { packed: Some(packed(bytes)), ..Said::good(&Value::Null) };
    house.meta.next(said(100_000).header("content-encoding", "gzip"));
    assert_eq!(house.client.send(&on(), read()).await.unwrap()["id"], "7");
    let arrival = &house.meta.arrivals()[0];
    assert!(arrival.headers["accept-encoding"].to_str().unwrap().contains("gzip"));
    let bomb = said(8 << 20).header("content-encoding", "gzip");
    assert!(bomb.packed.as_ref().unwrap().len() < 1 << 16, "small on the way");
    house.meta.next(bomb.clone());
    let error = house.client.send(&on(), read()).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable { cause, .. } if cause.contains("longer than")), "{error:?}");
    // A create was executed all the same: somebody must look.
    house.meta.next(bomb);
    let error = house.client.send(&on(), create()).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
}

#[tokio::test]
async fn calls_that_build_on_each_other_go_with_their_references_as_meta_reads_them() {
    let house = House::open().await;
    house.meta.next(Said::good(&json!([
        { "code": 200, "body": r#"{"id":"11"}"# },
        { "code": 400, "body": r#"{"error":{"code":100,"message":"no"}}"# },
        null,
    ])));
    let creative = Call::post("/act_1/adcreatives", Replay::Never).field("name", "a & b");
    let id = Reference::to("creative", "$.id").to_string();
    let ad = Call::post("/act_1/ads", Replay::Never).json("creative", &json!({ "creative_id": id }));
    let items = vec![
        Item::new(creative).named("creative"),
        Item::new(ad).named("ad"),
        Item::new(Call::get("/{result=ad:$.id}")).after("ad"),
    ];
    let replied = house.client.execute(&on(), Batch::new(items).unwrap()).await.unwrap();
    assert_eq!(replied[0].as_ref().unwrap().result.as_ref().unwrap()["id"], "11");
    assert_eq!(replied[1].as_ref().unwrap().result.as_ref().unwrap_err().code, 100);
    assert!(replied[2].is_none());
    let sent = house.meta.arrivals()[0].items();
    assert_eq!(sent[0]["name"], "creative");
    assert_eq!(sent[0]["body"], "name=a+%26+b");
    assert_eq!(sent[1]["body"], "creative=%7B%22creative_id%22%3A%22{result=creative:$.id}%22%7D");
    assert_eq!(
        (sent[2]["relative_url"].as_str(), sent[2]["depends_on"].as_str()),
        (Some("{result=ad:$.id}"), Some("ad"))
    );
    assert!(sent.iter().all(|item| item["omit_response_on_success"] == false), "{sent:?}");
    assert_eq!(house.peers.costs(), [3]);
}
