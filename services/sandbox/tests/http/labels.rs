use crate::server::{ACT, Server};
use serde_json::{Value, json};

async fn label(server: &Server, name: &str) -> String {
    server.post(&format!("{ACT}/adlabels"), &[("name", name)]).await.id()
}

async fn labels(server: &Server, id: &str) -> Vec<Value> {
    let read = server.get(&format!("{id}?fields=adlabels{{name}}")).await.body;
    read["adlabels"].as_array().into_iter().flatten().map(|label| label["name"].clone()).collect()
}

#[tokio::test]
async fn labels_are_attached_and_taken_away_one_by_one() {
    let server = Server::start().await;
    let ad_set = server.ad_set(&server.campaign("C").await).await;
    let [spring, autumn] = [label(&server, "Spring").await, label(&server, "Autumn").await];
    let both = json!([{ "id": spring }, { "id": autumn }]).to_string();
    let path = format!("{ad_set}/adlabels");
    assert_eq!(server.post(&path, &[("adlabels", &both)]).await.body["success"], true);
    let gone = server.delete(&format!("{path}?adlabels=[{{\"id\":\"{spring}\"}}]")).await;
    assert_eq!(gone.body, json!({ "success": true }));
    assert_eq!(labels(&server, &ad_set).await, ["Autumn"]);
    for refused in [server.post(&path, &[]).await, server.delete(&path).await] {
        assert!(
            refused.body["error"]["message"].as_str().unwrap().contains("adlabels is required"),
            "{}",
            refused.body
        );
    }
    assert_eq!(server.delete(&format!("{path}?adlabels=[{{\"id\":\"7\"}}]")).await.code(), 100);
}

#[tokio::test]
async fn a_label_gets_another_name_that_no_other_has() {
    let server = Server::start().await;
    let [spring, _] = [label(&server, "Spring").await, label(&server, "Autumn").await];
    assert_eq!(server.post(&spring, &[("name", "March")]).await.body["success"], true);
    assert_eq!(server.get(&format!("{spring}?fields=name")).await.body["name"], "March");
    assert_eq!(server.post(&spring, &[("name", "Autumn")]).await.code(), 100);
    assert_eq!(server.post(&spring, &[]).await.code(), 100);
}

#[tokio::test]
async fn objects_are_found_by_any_or_all_of_their_labels_and_by_nothing_else() {
    let server = Server::start().await;
    let campaign = server.campaign("C").await;
    let [spring, autumn] = [label(&server, "Spring").await, label(&server, "Autumn").await];
    let one = json!([{ "id": spring }]).to_string();
    server.post(&format!("{campaign}/adlabels"), &[("adlabels", &one)]).await;
    let found = async |operator: &str| {
        let ids = format!("[\"{spring}\",\"{autumn}\"]");
        server.get(&format!("{ACT}/campaignsbylabels?ad_label_ids={ids}&operator={operator}")).await
    };
    assert_eq!((found("ANY").await.rows().len(), found("ALL").await.rows().len()), (1, 0));
    assert_eq!(found("SOME").await.code(), 100);
}
