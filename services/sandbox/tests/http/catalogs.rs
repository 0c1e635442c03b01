use crate::server::Server;
use serde_json::json;

async fn business(server: &Server) -> String {
    server.get("me/businesses").await.rows()[0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_catalogue_has_products_and_sets_of_them() {
    let server = Server::start().await;
    let business = business(&server).await;
    let catalog = server.get(&format!("{business}/owned_product_catalogs?fields=name,product_count,vertical")).await;
    assert_eq!(
        (catalog.rows()[0]["product_count"].as_i64(), catalog.rows()[0]["vertical"].as_str()),
        (Some(3), Some("commerce"))
    );
    let catalog = catalog.rows()[0]["id"].as_str().unwrap();
    let sets = server.get(&format!("{catalog}/product_sets?fields=name,product_count")).await;
    assert_eq!((sets.rows()[0]["name"].as_str(), sets.rows()[0]["product_count"].as_i64()), (Some("Shoes"), Some(2)));
    let filter = r#"{"price":{"eq":"12900"}}"#;
    let set = server.post(&format!("{catalog}/product_sets"), &[("name", "Dear"), ("filter", filter)]).await.id();
    let products = server.get(&format!("{set}/products?fields=retailer_id,name")).await;
    assert_eq!(products.rows()[0]["retailer_id"], "jacket-1");
    let again = [("retailer_id", "shoe-1"), ("name", "Trail shoes")];
    assert_eq!(server.post(&format!("{catalog}/products"), &again).await.code(), 10_800);
    server.delete(&set).await;
    assert_eq!(server.get(&format!("{catalog}/product_sets")).await.rows().len(), 1);
}

#[tokio::test]
async fn a_batch_of_items_is_told_by_its_handle() {
    let server = Server::start().await;
    let made = [("name", "Second"), ("vertical", "commerce")];
    let catalog = server.post(&format!("{}/owned_product_catalogs", business(&server).await), &made).await.id();
    let requests = json!([
        { "method": "CREATE", "data": { "id": "a", "title": "A", "price": "10.00 USD", "link": "https://shop.example/a" } },
        { "method": "UPDATE", "data": { "id": "b", "title": "B" } },
        { "method": "DELETE", "data": { "id": "nothing" } },
    ]);
    let form = [("item_type", "PRODUCT_ITEM"), ("requests", &requests.to_string())];
    let reply = server.post(&format!("{catalog}/items_batch"), &form).await;
    assert_eq!(reply.body["validation_status"][0]["retailer_id"], "nothing");
    let handle = reply.body["handles"][0].as_str().unwrap();
    let status =
        async || server.get(&format!("{catalog}/check_batch_request_status?handle={handle}")).await.rows()[0].clone();
    assert_eq!(status().await["status"], "in_progress");
    let done = status().await;
    assert_eq!((done["status"].as_str(), &done["ids_of_invalid_requests"]), (Some("finished"), &json!(["nothing"])));
    let products = server.get(&format!("{catalog}/products?fields=retailer_id,name,url")).await;
    assert_eq!(products.rows().len(), 2);
    assert_eq!(products.rows()[1]["url"], "https://shop.example/a");
    let gone = json!([{ "method": "DELETE", "retailer_id": "a" }]).to_string();
    server.post(&format!("{catalog}/batch"), &[("requests", &gone)]).await;
    assert_eq!(server.get(&format!("{catalog}/products")).await.rows().len(), 1);
    assert_eq!(server.get(&format!("{catalog}/check_batch_request_status?handle=x")).await.code(), 100);
}

#[tokio::test]
async fn a_product_is_named_by_its_catalogue_and_the_retailers_id() {
    let server = Server::start().await;
    let catalog =
        server.get(&format!("{}/owned_product_catalogs", business(&server).await)).await.rows()[0]["id"].clone();
    let catalog = catalog.as_str().unwrap();
    // `jacket-1` in base64url.
    let path = format!("catalog:{catalog}:amFja2V0LTE");
    let read = server.get(&format!("{path}?fields=retailer_id")).await.body;
    assert_eq!(read["retailer_id"], "jacket-1");
    assert_eq!(server.post(&format!("{path}="), &[("name", "Rain jacket II")]).await.body["success"], true);
    let named = server.get(&format!("{}?fields=name", read["id"].as_str().unwrap())).await.body;
    assert_eq!(named["name"], "Rain jacket II");
    assert_eq!(server.get(&format!("catalog:{catalog}:bm9uZQ")).await.subcode(), 33);
}
