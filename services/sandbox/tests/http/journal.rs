use crate::server::{ACT, DATASET, Server, TOKEN};

#[tokio::test]
async fn a_world_with_a_folder_is_the_same_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::kept_in(folder.path().to_owned()).await;
    let campaign = server.campaign("Kept").await;
    let form = [("name", "B"), ("subtype", "CUSTOM"), ("customer_file_source", "USER_PROVIDED_ONLY")];
    let audience = server.post(&format!("{ACT}/customaudiences"), &form).await.id();
    let payload = format!(r#"{{"schema":"EMAIL_SHA256","data":["{:064x}"]}}"#, 5);
    server.post(&format!("{audience}/users"), &[("payload", &payload)]).await;
    // A replacement that is not complete, and goes on after the restart.
    let replaced = async |server: &Server, seq: u32| {
        let payload = format!(r#"{{"schema":"EMAIL","data":["{seq:064x}"]}}"#);
        let session = format!(r#"{{"session_id":9,"batch_seq":{seq},"last_batch_flag":{}}}"#, seq == 2);
        server.post(&format!("{audience}/usersreplace"), &[("payload", &payload), ("session", &session)]).await
    };
    replaced(&server, 1).await;
    let data = r#"[{"event_name":"Lead","event_time":1794774000,"event_id":"1","action_source":"other","user_data":{"em":"x"}}]"#;
    assert_eq!(server.post(&format!("{DATASET}/events"), &[("data", data)]).await.body["events_received"], 1);
    let before = server.control_json("world").await;
    let insights = server.get(&format!("{ACT}/insights?date_preset=last_7d")).await.body["data"].clone();
    server.stop().await;

    let server = Server::kept_in(folder.path().to_owned()).await;
    assert_eq!(server.control_json("world").await, before);
    assert_eq!(server.get(&format!("{ACT}/insights?date_preset=last_7d")).await.body["data"], insights);
    assert_eq!(server.get(&format!("{campaign}?fields=name")).await.body["name"], "Kept");
    replaced(&server, 2).await;
    let world = server.control_json("world").await;
    let own = world["customaudiences"].as_array().unwrap().iter().find(|it| it["id"] == audience.as_str()).unwrap();
    assert_eq!((own["members"].as_i64(), own["sessions"][0]["complete"].as_bool()), (Some(2), Some(true)));
    let again = server.campaign("New").await;
    assert!(again > campaign, "ids go on where they were");
    let text = std::fs::read_to_string(folder.path().join("world.jsonl")).unwrap();
    assert!(!text.contains(TOKEN));
    assert!(text.lines().count() >= 6);
}
