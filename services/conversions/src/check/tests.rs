use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn at(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: 0 }
}

fn purchase() -> pb::Event {
    pb::Event {
        event_name: "Purchase".to_owned(),
        event_time: Some(at(now() - SignedDuration::from_hours(1))),
        event_id: "order-7".to_owned(),
        action_source: "website".to_owned(),
        event_source_url: "https://shop.example/thanks".to_owned(),
        user_data: Some(pb::UserData {
            em: vec!["John_Smith@gmail.com".to_owned()],
            ph: vec!["+1 (650) 555-1212".to_owned()],
            client_user_agent: "Mozilla/5.0".to_owned(),
            client_ip_address: "203.0.113.7".to_owned(),
            ..pb::UserData::default()
        }),
        custom_data: Some(pb::CustomData {
            value: Some("29.33".to_owned()),
            currency: "usd".to_owned(),
            order_id: "7".to_owned(),
            contents: vec![pb::Content { id: "sku".to_owned(), quantity: Some(2), ..pb::Content::default() }],
            ..pb::CustomData::default()
        }),
        ..pb::Event::default()
    }
}

fn in_store() -> pb::Event {
    let mut event = purchase();
    event.action_source = "physical_store".to_owned();
    event.event_source_url = String::new();
    event.user_data.as_mut().unwrap().client_user_agent = String::new();
    event
}

fn reasons(event: &pb::Event) -> Vec<&'static str> {
    match check(event, now()).event {
        Ok(_) => Vec::new(),
        Err(refused) => refused.iter().map(|violation| violation.reason).collect(),
    }
}

fn payload(event: &pb::Event) -> Value {
    serde_json::from_str(&check(event, now()).event.unwrap().payload).unwrap()
}

#[test]
fn a_purchase_goes_out_hashed_and_with_its_exact_amount() {
    let checked = check(&purchase(), now()).event.unwrap();
    assert!(checked.payload.contains(r#""value":29.33"#), "{}", checked.payload);
    assert_eq!(
        serde_json::from_str::<Value>(&checked.payload).unwrap(),
        json!({
            "event_name": "Purchase",
            "event_time": 1_795_345_200,
            "event_id": "order-7",
            "action_source": "website",
            "event_source_url": "https://shop.example/thanks",
            "user_data": {
                "em": ["62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"],
                "ph": ["e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"],
                "client_ip_address": "203.0.113.7",
                "client_user_agent": "Mozilla/5.0",
            },
            "custom_data": {
                "value": 29.33,
                "currency": "USD",
                "order_id": "7",
                "contents": [{"id": "sku", "quantity": 2}],
            },
        })
    );
    assert_eq!(checked.deadline, now() - SignedDuration::from_hours(1) + AGE_MAX);
}

#[test]
fn a_person_has_metas_hashes() {
    let mut event = in_store();
    event.user_data = Some(pb::UserData {
        r#fn: "Mary".to_owned(),
        ln: "mary".to_owned(),
        ge: "Female".to_owned(),
        db: "1997-02-16".to_owned(),
        ct: "New York".to_owned(),
        st: "C.A.".to_owned(),
        zp: "94035-1234".to_owned(),
        country: "US".to_owned(),
        ..pb::UserData::default()
    });
    let mary = "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec";
    assert_eq!(
        payload(&event)["user_data"],
        json!({
            "country": ["79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"],
            "fn": [mary],
            "ln": [mary],
            "ge": ["252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111"],
            "db": ["01acdbf6ec7b4f478a225f1a246e5d6767eeab1a7ffa17f025265b5b94f40f0c"],
            "ct": ["350c754ba4d38897693aa077ef43072a859d23f613443133fecbbd90a3512ca5"],
            "st": ["6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126"],
            "zp": [Hash::of("94035").to_string()],
        })
    );
}

#[test]
fn each_rule_has_its_reason() {
    type Change = fn(&mut pb::Event);
    let cases: [(Change, &[&str]); 25] = [
        (|_| {}, &[]),
        (|event| event.event_name.clear(), &["EVENT_NAME_MALFORMED"]),
        (|event| event.event_name = "x".repeat(51), &["EVENT_NAME_MALFORMED"]),
        (|event| event.event_id = "x".repeat(101), &["EVENT_ID_MALFORMED"]),
        (|event| event.event_time = None, &["EVENT_TIME_MISSING"]),
        (|event| event.event_time = Some(at(now() - AGE_MAX - SignedDuration::from_secs(1))), &["EVENT_TOO_OLD"]),
        (|event| event.event_time = Some(at(now() - AGE_MAX)), &[]),
        (|event| event.event_time = Some(at(now() + SignedDuration::from_secs(60))), &[]),
        (|event| event.event_time = Some(at(now() + SignedDuration::from_secs(61))), &["EVENT_IN_FUTURE"]),
        (|event| event.action_source.clear(), &["ACTION_SOURCE_UNKNOWN"]),
        (|event| event.action_source = "carrier_pigeon".to_owned(), &["ACTION_SOURCE_UNKNOWN"]),
        (|event| event.event_source_url.clear(), &["EVENT_SOURCE_URL_MISSING"]),
        (|event| event.event_source_url = "shop.example".to_owned(), &["URL_MALFORMED"]),
        (|event| event.user_data.as_mut().unwrap().client_user_agent.clear(), &["CLIENT_USER_AGENT_MISSING"]),
        (|event| event.custom_data.as_mut().unwrap().value = None, &["VALUE_MISSING"]),
        (|event| event.custom_data.as_mut().unwrap().currency.clear(), &["CURRENCY_MISSING"]),
        (|event| event.custom_data = None, &["VALUE_MISSING", "CURRENCY_MISSING"]),
        (|event| event.custom_data.as_mut().unwrap().currency = "dollars".to_owned(), &["CURRENCY_MALFORMED"]),
        (|event| event.custom_data.as_mut().unwrap().value = Some("-1".to_owned()), &["AMOUNT_MALFORMED"]),
        (|event| event.custom_data.as_mut().unwrap().contents[0].id.clear(), &["CONTENT_ID_MISSING"]),
        (|event| event.custom_data.as_mut().unwrap().contents[0].quantity = Some(0), &["QUANTITY_MALFORMED"]),
        (|event| event.data_processing_options = vec!["CCPA".to_owned()], &["DATA_PROCESSING_OPTION_UNKNOWN"]),
        (|event| event.extra = BTreeMap::from([("user_data".into(), "{}".into())]), &["EXTRA_KEY_TYPED"]),
        (|event| event.extra = BTreeMap::from([("lead_stage".into(), "{".into())]), &["EXTRA_NOT_JSON"]),
        (|event| event.action_source = "business_messaging".to_owned(), &["MESSAGING_CHANNEL_UNKNOWN"]),
    ];
    for (place, (change, expected)) in cases.into_iter().enumerate() {
        let mut event = purchase();
        change(&mut event);
        assert_eq!(reasons(&event), expected, "case {place}");
    }
}

#[test]
fn a_shop_may_tell_of_two_months() {
    let mut event = in_store();
    event.event_time = Some(at(now() - SignedDuration::from_hours(62 * 24)));
    assert_eq!(reasons(&event), [""; 0]);
    event.event_time = Some(at(now() - SignedDuration::from_hours(62 * 24) - SignedDuration::from_secs(1)));
    assert_eq!(reasons(&event), ["EVENT_TOO_OLD"]);
}

#[test]
fn somebody_must_be_findable() {
    type Change = fn(&mut pb::UserData);
    let cases: [(Change, bool); 11] = [
        (|_| {}, false),
        (|user| user.em = vec!["a@b.example".to_owned()], true),
        (|user| user.ph = vec!["+16505551212".to_owned()], true),
        (|user| user.external_id = vec!["42".to_owned()], true),
        (|user| user.fbp = "fb.1.1558571054389.1098115397".to_owned(), true),
        (|user| user.fbc = "not a click id".to_owned(), false),
        (|user| user.country = "us".to_owned(), false),
        (|user| user.r#fn = "Mary".to_owned(), false),
        (|user| (user.r#fn, user.ln) = ("Mary".to_owned(), "Smith".to_owned()), false),
        (|user| (user.r#fn, user.ln, user.zp) = ("Mary".to_owned(), "Smith".to_owned(), "94035".to_owned()), true),
        (|user| user.lead_id = "123456789012345".to_owned(), true),
    ];
    for (place, (change, enough)) in cases.into_iter().enumerate() {
        let mut event = in_store();
        let mut user = pb::UserData {
            client_ip_address: "203.0.113.7".to_owned(),
            client_user_agent: "Mozilla/5.0".to_owned(),
            ..pb::UserData::default()
        };
        change(&mut user);
        event.user_data = Some(user);
        let expected: &[&str] = if enough { &[] } else { &["USER_DATA_INSUFFICIENT"] };
        assert_eq!(reasons(&event), expected, "case {place}");
    }
}

#[test]
fn a_bad_value_beside_a_good_one_is_left_out_and_told() {
    let mut event = purchase();
    event.user_data.as_mut().unwrap().em.push("nobody".to_owned());
    event.user_data.as_mut().unwrap().ge = "x".to_owned();
    let verdict = check(&event, now());
    assert!(verdict.event.is_ok());
    let told: Vec<_> = verdict.dropped.iter().map(|found| (found.field.as_str(), found.reason)).collect();
    assert_eq!(told, [("user_data.em[1]", "EMAIL_MALFORMED"), ("user_data.ge", "GENDER_UNKNOWN")]);
    assert!(verdict.dropped.iter().all(|found| !found.description.contains("nobody")));
}

#[test]
fn a_hash_of_the_callers_passes_as_it_is() {
    let mut event = purchase();
    let hash = Hash::of("mary@example.com").to_string();
    event.user_data.as_mut().unwrap().em = vec![hash.to_uppercase()];
    assert_eq!(payload(&event)["user_data"]["em"], json!([hash]));
}

#[test]
fn an_event_without_an_id_gets_the_same_one_each_time() {
    let mut event = purchase();
    event.event_id.clear();
    let by_order = check(&event, now()).event.unwrap().event_id;
    event.event_time = Some(at(now()));
    assert_eq!(check(&event, now()).event.unwrap().event_id, by_order, "the order decides");
    event.custom_data.as_mut().unwrap().order_id.clear();
    let by_content = check(&event, now()).event.unwrap().event_id;
    assert_ne!(by_content, by_order);
    assert_eq!(check(&event, now()).event.unwrap().event_id, by_content);
    event.event_time = Some(at(now() - SignedDuration::from_secs(1)));
    assert_ne!(check(&event, now()).event.unwrap().event_id, by_content, "the content decides");
}

#[test]
fn an_event_that_is_too_long_is_refused() {
    let mut event = purchase();
    event.extra = BTreeMap::from([("note".to_owned(), format!("\"{}\"", "x".repeat(PAYLOAD_BYTES_MAX)))]);
    assert_eq!(reasons(&event), ["EVENT_TOO_LARGE"]);
}

proptest! {
    #[test]
    fn no_plain_identifier_is_in_a_payload(local in "[a-z]{6,20}", name in "[a-z]{6,20}") {
        let mut event = purchase();
        let user = event.user_data.as_mut().unwrap();
        user.em = vec![format!("{local}@canary.example")];
        user.external_id = vec![format!("id-{name}")];
        user.r#fn = name.clone();
        let payload = check(&event, now()).event.unwrap().payload;
        let person = payload.split("\"custom_data\"").next().unwrap();
        prop_assert!(!payload.contains("canary"));
        for plain in [format!("\"{name}\""), format!("id-{name}")] {
            prop_assert!(!person.contains(&plain));
        }
    }

    #[test]
    fn whatever_is_accepted_is_one_json_object(text in "\\PC{0,30}", amount in "[0-9]{1,6}(\\.[0-9]{1,2})?") {
        let mut event = purchase();
        let data = event.custom_data.as_mut().unwrap();
        data.content_name = text.clone();
        data.order_id = text;
        data.value = Some(amount);
        if let Ok(checked) = check(&event, now()).event {
            let read: Value = serde_json::from_str(&checked.payload).unwrap();
            prop_assert!(read.is_object());
        }
    }
}
