use crate::server::{ACT, Server};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x02\0\0\0";
/// The same bytes in base64.
const PNG_BASE64: &str = "iVBORw0KGgoAAAANSUhEUgAAAoAAAAHgCAIAAAA=";

async fn upload(server: &Server, name: &'static str, bytes: &'static [u8]) -> crate::server::Reply {
    let part = reqwest::multipart::Part::bytes(bytes).file_name(name);
    let form = reqwest::multipart::Form::new().part("filename", part);
    server.send(server.client().post(server.url(&format!("{ACT}/adimages"))).multipart(form)).await
}

#[tokio::test]
async fn an_image_has_one_hash_however_it_comes() {
    let server = Server::start().await;
    let by_file = upload(&server, "shoe.png", PNG).await;
    let image = &by_file.body["images"]["shoe.png"];
    let hash = image["hash"].as_str().unwrap();
    assert_eq!(hash.len(), 32);
    assert_eq!(image["width"], 640);
    let by_bytes = server.post(&format!("{ACT}/adimages"), &[("bytes", PNG_BASE64)]).await;
    assert_eq!(by_bytes.body["images"]["bytes"]["hash"], hash);
    let listed = server.get(&format!("{ACT}/adimages?hashes=[\"{hash}\"]&fields=hash,name,status,id")).await;
    assert_eq!(listed.rows().len(), 1);
    assert_eq!(listed.rows()[0]["id"], format!("1000000000001:{hash}"));
}

#[tokio::test]
async fn what_is_no_image_is_refused_and_one_in_use_stays() {
    let server = Server::start().await;
    assert_eq!(upload(&server, "a.txt", b"hello").await.code(), 100);
    let hash = upload(&server, "shoe.png", PNG).await.body["images"]["shoe.png"]["hash"].as_str().unwrap().to_owned();
    let spec = format!(
        r#"{{"page_id":"3000000000000001","link_data":{{"link":"https://shop.example","image_hash":"{hash}"}}}}"#
    );
    assert_eq!(server.post(&format!("{ACT}/adcreatives"), &[("object_story_spec", &spec)]).await.status, 200);
    let unknown = spec.replace(&hash, "0123456789abcdef0123456789abcdef");
    assert_eq!(server.post(&format!("{ACT}/adcreatives"), &[("object_story_spec", &unknown)]).await.code(), 100);
    assert_eq!(server.delete(&format!("{ACT}/adimages?hash={hash}")).await.code(), 100);
}

#[tokio::test]
async fn a_video_comes_in_chunks_and_is_ready_after_a_while() {
    let server = Server::start().await;
    let path = format!("{ACT}/advideos");
    let start = server.post(&path, &[("upload_phase", "start"), ("file_size", "10"), ("name", "Spot")]).await;
    let session = start.body["upload_session_id"].as_str().unwrap().to_owned();
    assert_eq!(start.body["end_offset"], "10");
    let chunk = async |offset: &'static str, bytes: &'static [u8]| {
        let part = reqwest::multipart::Part::bytes(bytes).file_name("chunk");
        let form = reqwest::multipart::Form::new()
            .text("upload_phase", "transfer")
            .text("start_offset", offset)
            .text("upload_session_id", session.clone())
            .part("video_file_chunk", part);
        server.send(server.client().post(server.url(&path)).multipart(form)).await
    };
    let wrong = chunk("4", b"x").await;
    assert_eq!(wrong.subcode(), 1_363_037);
    assert_eq!(wrong.body["error"]["error_data"]["start_offset"], "0");
    assert_eq!(chunk("0", b"0123456789").await.body["start_offset"], "10");
    let finish = server.post(&path, &[("upload_phase", "finish"), ("upload_session_id", &session)]).await;
    assert_eq!(finish.body["success"], true);
    let video = start.body["video_id"].as_str().unwrap();
    let status = async || server.get(&format!("{video}?fields=status")).await.body["status"]["video_status"].clone();
    assert_eq!(status().await, "processing");
    assert_eq!(status().await, "ready");
    assert!(server.get(&format!("{video}/thumbnails")).await.rows()[0]["is_preferred"].as_bool().unwrap());
    assert_eq!(server.get(&format!("{path}?title=Spot&fields=title")).await.rows().len(), 1);
}
