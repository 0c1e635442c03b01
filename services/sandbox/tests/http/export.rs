use crate::server::{ACT, Server, TOKEN};

async fn file(server: &Server, query: &str) -> (u16, String, String) {
    let url = format!("http://{}/ads/ads_insights/export_report/?access_token={TOKEN}&{query}", server.address);
    let response = server.client().get(url).send().await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let kind = format!("{} {}", header("content-type").unwrap(), header("content-disposition").unwrap_or_default());
    (response.status().as_u16(), kind, response.text().await.unwrap())
}

#[tokio::test]
async fn a_report_that_is_done_is_a_file_with_a_line_for_each_row() {
    let server = Server::start().await;
    let form = [("level", "ad"), ("fields", "ad_name,spend,actions"), ("date_preset", "last_7d")];
    let run = server.post(&format!("{ACT}/insights"), &form).await.id();
    let query = format!("report_run_id={run}&format=csv&name=Week");
    assert_eq!(file(&server, &query).await.0, 400, "it is not done");
    while server.get(&run).await.body["async_status"] != "Job Completed" {}
    let (status, kind, text) = file(&server, &query).await;
    assert_eq!((status, kind.as_str()), (200, "text/csv; charset=utf-8 attachment; filename=\"Week.csv\""));
    let rows = server.get(&format!("{run}/insights?limit=100")).await.rows().clone();
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    let at = |name: &str| columns.iter().position(|column| *column == name).unwrap_or_else(|| panic!("{columns:?}"));
    let lines: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(lines.len(), rows.len());
    for (line, row) in lines.iter().zip(&rows) {
        assert_eq!(
            (line[at("ad_name")], line[at("spend")]),
            (row["ad_name"].as_str().unwrap(), row["spend"].as_str().unwrap())
        );
        let clicks =
            row["actions"].as_array().unwrap().iter().find(|action| action["action_type"] == "link_click").unwrap();
        assert_eq!(line[at("actions:link_click")], clicks["value"]);
    }
}

#[tokio::test]
async fn an_export_wants_a_token_a_report_and_a_format_that_is_written() {
    let server = Server::start().await;
    let run = server.post(&format!("{ACT}/insights"), &[]).await.id();
    for query in ["report_run_id=7".to_owned(), format!("report_run_id={run}&format=xls"), String::new()] {
        let (status, _, text) = file(&server, &query).await;
        assert_eq!(status, 400, "{text}");
        assert!(text.contains("\"code\":100"), "{text}");
    }
    let bare = format!("http://{}/ads/ads_insights/export_report?report_run_id={run}", server.address);
    assert_eq!(server.send_as(server.client().get(bare)).await.code(), 2500);
}
