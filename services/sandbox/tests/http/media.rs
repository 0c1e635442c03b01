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

fn png(tail: &[u8]) -> Vec<u8> {
    [PNG, tail].concat()
}

async fn images(server: &Server, name: &str, bytes: Vec<u8>) -> crate::server::Reply {
    let part = reqwest::multipart::Part::bytes(bytes).file_name(name.to_owned());
    let form = reqwest::multipart::Form::new().part("filename", part);
    server.send(server.client().post(server.url(&format!("{ACT}/adimages"))).multipart(form)).await
}

/// The bytes behind an address, fetched as a client would: without a token.
async fn fetched(server: &Server, address: &serde_json::Value) -> (String, Vec<u8>) {
    let response = server.client().get(address.as_str().unwrap()).send().await.unwrap();
    assert_eq!(response.status(), 200, "{address}");
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    (kind, response.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn the_addresses_of_an_image_lead_to_its_bytes_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::kept_in(folder.path().to_owned()).await;
    let uploaded = images(&server, "a.png", png(b"A")).await.body["images"]["a.png"].clone();
    assert_eq!(fetched(&server, &uploaded["url"]).await, ("image/png".to_owned(), png(b"A")));
    server.stop().await;
    let server = Server::kept_in(folder.path().to_owned()).await;
    let row =
        server.get(&format!("{ACT}/adimages?fields=permalink_url,url_128,owner_business")).await.rows()[0].clone();
    assert_eq!(fetched(&server, &row["permalink_url"]).await.1, png(b"A"));
    assert_eq!(fetched(&server, &row["url_128"]).await.0, "image/png");
    assert_eq!(row["owner_business"]["name"], "Sandbox Business");
    let missing =
        server.client().get(format!("http://{}/__sandbox/media/i/0.png", server.address)).send().await.unwrap();
    assert_eq!(missing.status(), 404);
}

#[tokio::test]
async fn an_archive_brings_one_image_for_each_of_its_pictures() {
    let server = Server::start().await;
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for name in ["one.png", "two.png"] {
        let data = png(name.as_bytes());
        let (start, size) = (u32::try_from(file.len()).unwrap(), u32::try_from(data.len()).unwrap());
        let common = [&[0; 10][..], &size.to_le_bytes(), &size.to_le_bytes(), &[7, 0, 0, 0]].concat();
        file.extend([b"PK\x03\x04\x14\0\0\0", common.as_slice(), name.as_bytes(), &data].concat());
        directory.extend([b"PK\x01\x02\x14\0\x14\0\0\0", common.as_slice(), &[0; 10]].concat());
        directory.extend([&start.to_le_bytes()[..], name.as_bytes()].concat());
    }
    let end = u32::try_from(file.len()).unwrap().to_le_bytes();
    file.extend(&directory);
    file.extend([b"PK\x05\x06\0\0\0\0\x02\0\x02\0", &[0; 4][..], &end, &[0; 2]].concat());
    let body = images(&server, "all.zip", file.clone()).await.body;
    assert_eq!(body["images"].as_object().unwrap().len(), 2, "{body}");
    assert_eq!(body["images"]["two.png"]["height"], 480);
    assert_eq!(images(&server, "torn.zip", file[..40].to_vec()).await.code(), 100);
}

#[tokio::test]
async fn an_image_is_copied_from_another_account() {
    let server = Server::start().await;
    let hash = images(&server, "a.png", png(b"A")).await.body["images"]["a.png"]["hash"].as_str().unwrap().to_owned();
    let from = format!(r#"{{"source_account_id":"1000000000001","hash":"{hash}"}}"#);
    let copied = server.post("act_1000000000002/adimages", &[("copy_from", &from)]).await;
    assert_eq!(copied.body["images"]["a.png"]["hash"], hash);
    assert_eq!(server.get("act_1000000000002/adimages").await.rows().len(), 1);
    let unknown = from.replace(&hash, "0123456789abcdef0123456789abcdef");
    assert_eq!(server.post("act_1000000000002/adimages", &[("copy_from", &unknown)]).await.code(), 100);
    assert_eq!(server.post("act_1000000000002/adimages", &[("copy_from", "{}")]).await.code(), 100);
    assert_eq!(server.post(&format!("{ACT}/adimages"), &[]).await.code(), 100);
}

#[tokio::test]
async fn images_know_their_creatives_and_are_deleted_when_nothing_shows_them() {
    let server = Server::start().await;
    let hash = images(&server, "a.png", png(b"A")).await.body["images"]["a.png"]["hash"].as_str().unwrap().to_owned();
    let story = format!(
        r#"{{"page_id":"3000000000000001","link_data":{{"link":"https://shop.example","image_hash":"{hash}"}}}}"#
    );
    let creative = server.post(&format!("{ACT}/adcreatives"), &[("object_story_spec", &story)]).await.id();
    let path = format!("{ACT}/adimages?hashes=[\"{hash}\"]&fields=creatives,is_associated_creatives_in_adgroups");
    let row = server.get(&path).await.rows()[0].clone();
    assert_eq!(row["creatives"], serde_json::json!([creative]));
    assert_eq!(row["is_associated_creatives_in_adgroups"], false);
    let shown = server.get(&format!("{creative}?fields=thumbnail_url,image_url")).await.body;
    for name in ["thumbnail_url", "image_url"] {
        assert_eq!(fetched(&server, &shown[name]).await.1, png(b"A"));
    }
    assert_eq!(server.delete(&format!("{ACT}/adimages?hash={hash}")).await.subcode(), 1_487_831);
    server.delete(&creative).await;
    assert_eq!(server.delete(&format!("{ACT}/adimages?hash={hash}")).await.body["success"], true);
    assert!(server.get(&path).await.rows().is_empty());
    assert_eq!(server.delete(&format!("{ACT}/adimages?hash={hash}")).await.subcode(), 33);
    assert_eq!(server.delete(&format!("{ACT}/adimages")).await.code(), 100);
}

#[tokio::test]
async fn media_are_listed_with_the_last_change_first() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for title in ["one", "two", "three"] {
        let form = [("file_url", "https://shop.example/spot.mp4"), ("title", title)];
        ids.push(server.post(&format!("{ACT}/advideos"), &form).await.id());
        images(&server, title, png(title.as_bytes())).await;
        server.control("POST", "clock", r#"{"advance_seconds":60}"#).await;
    }
    server.post(&ids[0], &[("description", "new")]).await;
    let videos = server.get(&format!("{ACT}/advideos?fields=title,updated_time,source,description")).await;
    let titles: Vec<_> = videos.rows().iter().map(|row| row["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["one", "three", "two"]);
    assert_eq!(videos.rows()[0]["description"], "new");
    assert_eq!(videos.rows()[0]["source"], "https://shop.example/spot.mp4");
    let images = server.get(&format!("{ACT}/adimages?fields=name")).await;
    assert_eq!(images.rows()[0]["name"], "three");
    assert_eq!(server.get(&format!("{ACT}/adimages?name=two")).await.rows().len(), 1);
    assert_eq!(server.get(&format!("{ACT}/adimages?minwidth=641")).await.rows().len(), 0);
}

async fn video(server: &Server, title: &'static str, bytes: &'static [u8]) -> String {
    let part = reqwest::multipart::Part::bytes(bytes).file_name("spot.mp4");
    let form = reqwest::multipart::Form::new().text("title", title).part("source", part);
    server.send(server.client().post(server.url(&format!("{ACT}/advideos"))).multipart(form)).await.id()
}

#[tokio::test]
async fn a_video_tells_its_length_gives_its_bytes_back_and_takes_a_thumbnail() {
    let server = Server::start().await;
    let film = b"\0\0\0\x6cmvhd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x58\0\0\x1d\x4c rest";
    let id = video(&server, "Spot", film).await;
    let read = server.get(&format!("{id}?fields=length,source,picture,title,permalink_url")).await.body;
    assert_eq!(read["length"].as_f64(), Some(12.5));
    assert_eq!(fetched(&server, &read["source"]).await, ("video/mp4".to_owned(), film.to_vec()));
    assert_eq!(fetched(&server, &read["picture"]).await.0, "image/png");
    let part = reqwest::multipart::Part::bytes(PNG).file_name("thumb.png");
    let form = reqwest::multipart::Form::new().text("is_preferred", "true").part("source", part);
    let path = format!("{id}/thumbnails");
    let posted = server.send(server.client().post(server.url(&path)).multipart(form)).await;
    assert_eq!(posted.body["success"], true);
    let thumbnails = server.get(&path).await;
    let preferred: Vec<_> = thumbnails.rows().iter().filter(|row| row["is_preferred"] == true).collect();
    assert_eq!((preferred.len(), preferred[0]["width"].as_u64()), (1, Some(640)));
    let picture = server.get(&format!("{id}?fields=picture")).await.body["picture"].clone();
    assert_eq!(fetched(&server, &picture).await.1, PNG);
    let frame = thumbnails.rows()[1]["id"].as_str().unwrap();
    assert_eq!(server.post(&id, &[("preferred_thumbnail_id", frame)]).await.body["success"], true);
    assert_eq!(server.post(&id, &[("preferred_thumbnail_id", "5")]).await.code(), 100);
    assert_eq!(server.post(&path, &[]).await.code(), 100);
}

#[tokio::test]
async fn an_upload_is_cancelled_and_a_deleted_video_is_gone() {
    let server = Server::start().await;
    let path = format!("{ACT}/advideos");
    let start = server.post(&path, &[("upload_phase", "start"), ("file_size", "10")]).await;
    let session = start.body["upload_session_id"].as_str().unwrap().to_owned();
    let read = server.get(&format!("{session}?fields=status")).await.body["status"].clone();
    assert_eq!(
        (read["video_status"].as_str(), read["processing_phase"]["status"].as_str()),
        (Some("uploading"), Some("not_started"))
    );
    let early = server.post(&path, &[("upload_phase", "finish"), ("upload_session_id", &session)]).await;
    assert_eq!((early.code(), early.subcode()), (6_000, 1_363_019));
    let phase =
        async |phase: &str| server.post(&path, &[("upload_phase", phase), ("upload_session_id", &session)]).await;
    assert_eq!(phase("cancel").await.body["success"], true);
    assert_eq!(phase("transfer").await.subcode(), 1_363_041);
    assert_eq!(server.get(&session).await.subcode(), 33);
    assert_eq!(server.post(&path, &[("upload_phase", "begin")]).await.code(), 100);
    assert_eq!(server.post(&path, &[("upload_phase", "start")]).await.code(), 100);
    assert_eq!(server.post(&path, &[]).await.code(), 100);
    let id = video(&server, "Spot", b"film").await;
    assert_eq!(server.delete(&format!("{path}?video_id={id}")).await.body["success"], true);
    assert_eq!(server.get(&id).await.subcode(), 33);
    assert_eq!(server.delete(&id).await.subcode(), 33);
    assert!(server.get(&path).await.rows().is_empty());
}

#[tokio::test]
async fn a_video_may_fail_to_be_processed() {
    let server = Server::start().await;
    let id = video(&server, "Spot [fail]", b"film").await;
    let status = async || server.get(&format!("{id}?fields=status")).await.body["status"].clone();
    assert_eq!(status().await["video_status"], "processing");
    let failed = status().await;
    assert_eq!(failed["video_status"], "error");
    assert!(failed["processing_phase"]["errors"][0]["code"].is_i64());
}

async fn video_status(server: &Server, id: &str) -> String {
    let read = server.get(&format!("{id}?fields=status")).await.body;
    read["status"]["video_status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn looks_during_the_upload_do_not_make_a_video_ready() {
    let server = Server::start().await;
    let path = format!("{ACT}/advideos");
    let start = server.post(&path, &[("upload_phase", "start"), ("file_size", "2")]).await.body;
    let (id, session) = (start["video_id"].as_str().unwrap(), start["upload_session_id"].as_str().unwrap());
    for _ in 0..3 {
        assert_eq!(video_status(&server, id).await, "uploading");
    }
    let form = reqwest::multipart::Form::new()
        .text("upload_phase", "transfer")
        .text("start_offset", "0")
        .text("upload_session_id", session.to_owned())
        .part("video_file_chunk", reqwest::multipart::Part::bytes(&b"xy"[..]).file_name("chunk"));
    server.send(server.client().post(server.url(&path)).multipart(form)).await;
    server.post(&path, &[("upload_phase", "finish"), ("upload_session_id", session)]).await;
    assert_eq!([video_status(&server, id).await, video_status(&server, id).await], ["processing", "ready"]);
}

#[tokio::test]
async fn a_video_becomes_ready_also_for_who_looks_at_the_list() {
    let server = Server::start().await;
    let path = format!("{ACT}/advideos");
    let id = server.post(&path, &[("file_url", "https://cdn.example/a.mp4")]).await.id();
    let status = async || {
        let listed = server.get(&format!("{path}?fields=status&limit=5")).await;
        let row = listed.rows().iter().find(|row| row["id"] == id.as_str()).unwrap().clone();
        row["status"]["video_status"].as_str().unwrap().to_owned()
    };
    assert_eq!([status().await, status().await], ["processing", "ready"]);
}

#[tokio::test]
async fn a_video_comes_from_an_address_of_the_web_and_is_no_larger_than_4_gigabytes() {
    let server = Server::start().await;
    let path = format!("{ACT}/advideos");
    for address in ["somewhere", "ftp://cdn.example/a.mp4", "file:///etc/passwd"] {
        assert_eq!(server.post(&path, &[("file_url", address)]).await.code(), 100, "{address}");
    }
    let start = async |size: &str| server.post(&path, &[("upload_phase", "start"), ("file_size", size)]).await;
    assert_eq!(start("4294967297").await.code(), 100);
    assert_eq!(start("4294967296").await.status, 200);
}

#[tokio::test]
async fn a_thumbnail_has_the_size_that_was_asked_for() {
    let server = Server::start().await;
    let creative = server.creative("K").await;
    let address = async |query: &str| {
        let read = server.get(&format!("{creative}?fields=thumbnail_url&{query}")).await.body;
        read["thumbnail_url"].clone()
    };
    let large = address("thumbnail_width=400&thumbnail_height=300").await;
    assert!(large.as_str().unwrap().ends_with(".png?w=400&h=300"), "{large}");
    let size = |bytes: &[u8]| (bytes[16..20].to_vec(), bytes[20..24].to_vec());
    assert_eq!(size(&fetched(&server, &large).await.1), (vec![0, 0, 1, 144], vec![0, 0, 1, 44]));
    let usual = address("").await;
    assert_eq!(size(&fetched(&server, &usual).await.1), (vec![0, 0, 0, 64], vec![0, 0, 0, 64]));
}
