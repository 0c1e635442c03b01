"""Images by file and by bytes, videos whole and in chunks, until they are ready to be advertised with."""

import base64
import os
import pathlib
import struct
import tempfile
import time
import zipfile
import zlib

from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.adcreative import AdCreative
from facebook_business.adobjects.adimage import AdImage
from facebook_business.adobjects.advideo import AdVideo

import sandbox
from steps import equal, refused, step, walk

VIDEO_BYTES = 9 * 1024 * 1024 + 123

made = {}
kept = tempfile.TemporaryDirectory(prefix="official-media-")
folder = pathlib.Path(kept.name)


def account():
    return AdAccount(sandbox.ACCOUNT)


def png(width, height, shade):
    """A real picture of one colour."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = b"".join(b"\0" + bytes([shade]) * width for _ in range(height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def image_file(name, shade):
    path = folder / name
    path.write_bytes(png(1200, 628, shade))
    return str(path)


@step
def an_image_is_uploaded_from_a_file():
    image = AdImage(parent_id=sandbox.ACCOUNT)
    image[AdImage.Field.filename] = image_file("jacket.png", 40)
    image.remote_create()
    equal(len(image.get_hash()), 32)
    equal((image["width"], image["height"]), (1200, 628))
    made["hash"] = image.get_hash()


@step
def an_image_is_uploaded_by_the_newer_call_too():
    image = account().create_ad_image(params={"filename": image_file("shoes.png", 90)})
    equal(len(image["hash"]), 32)
    assert image["hash"] != made["hash"], image
    assert image["url"].startswith("https://"), image
    made["second_hash"] = image["hash"]


@step
def an_image_is_uploaded_by_its_bytes():
    encoded = base64.b64encode(png(600, 600, 200)).decode()
    image = account().create_ad_image(params={"bytes": encoded})
    equal((len(image["hash"]), image["width"], image["height"]), (32, 600, 600))


@step
def the_same_content_is_the_same_image():
    again = account().create_ad_image(params={"filename": image_file("renamed.png", 40)})
    equal(again["hash"], made["hash"])


@step
def images_come_in_a_zip():
    path = folder / "two.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name, shade in (("gloves.png", 10), ("scarf.png", 20)):
            packed.writestr(name, png(600, 600, shade))
    images = AdImage.remote_create_from_zip(str(path), sandbox.ACCOUNT)
    equal(len({image["hash"] for image in images}), 2)
    hashes = [image["hash"] for image in images]
    found = account().get_ad_images(fields=["name"], params={"hashes": hashes})
    equal(sorted(image["name"] for image in found), ["gloves.png", "scarf.png"])


@step
def images_are_listed_by_their_hashes():
    hashes = [made["hash"], made["second_hash"]]
    images = list(
        account().get_ad_images(fields=["hash", "name", "width", "height", "permalink_url", "status"], params={"hashes": hashes})
    )
    equal({image["hash"] for image in images}, set(hashes))
    equal({(image["width"], image["height"], image["status"]) for image in images}, {(1200, 628, "ACTIVE")})
    read = AdImage(f"{sandbox.ACCOUNT[4:]}:{made['hash']}").api_get(fields=["hash", "permalink_url"])
    equal(read["hash"], made["hash"])


@step
def an_image_is_deleted_by_its_hash():
    account().delete_ad_images(params={"hash": made["second_hash"]})
    left = account().get_ad_images(fields=["hash"], params={"hashes": [made["second_hash"]]})
    equal(list(left), [])


@step
def what_is_no_image_is_refused():
    text = folder / "text.png"
    text.write_text("no picture")
    error = refused(100, account().create_ad_image, params={"filename": str(text)})
    equal(error.api_blame_field_specs(), [["filename"]])


@step
def a_video_is_uploaded_in_chunks_and_becomes_ready():
    path = folder / "winter.mp4"
    path.write_bytes(os.urandom(VIDEO_BYTES))
    before = len(sandbox.requests())
    video = AdVideo(parent_id=sandbox.ACCOUNT)
    video[AdVideo.Field.filepath] = str(path)
    video.remote_create()
    calls = [line for line in sandbox.requests()[before:] if line["path"].endswith("/advideos")]
    # A start, three chunks of at most 4 MiB, a finish.
    equal([(line["method"], line["status"]) for line in calls], [("POST", 200)] * 5)
    equal(AdVideo(video["id"]).api_get(fields=["status"])["status"]["video_status"], "processing")
    video.waitUntilEncodingReady(interval=0, timeout=10)
    read = AdVideo(video["id"]).api_get(fields=["title", "status", "permalink_url", "length"])
    equal((read["title"], read["status"]["video_status"]), ("winter.mp4", "ready"))
    equal(read["status"]["uploading_phase"]["bytes_transferred"], VIDEO_BYTES)
    made["video"] = video["id"]


@step
def a_chunk_that_was_lost_is_sent_again():
    path = folder / "lost.mp4"
    path.write_bytes(os.urandom(5 * 1024 * 1024))
    began = time.monotonic()
    sandbox.fault({"error": {"code": 2, "is_transient": True, "status": 500}}, method="POST", path="advideos", nth=3)
    video = AdVideo(parent_id=sandbox.ACCOUNT)
    video[AdVideo.Field.filepath] = str(path)
    video.remote_create()
    # The SDK waits a second before it tries again.
    assert time.monotonic() - began >= 1.0
    video.waitUntilEncodingReady(interval=0, timeout=10)


@step
def a_small_video_is_uploaded_at_once():
    path = folder / "small.mp4"
    path.write_bytes(os.urandom(2_000))
    video = account().create_ad_video(params={"name": "Small", "source": str(path)})
    equal(AdVideo(video["id"]).api_get(fields=["title"])["title"], "Small")
    assert video["id"] in [row["id"] for row in account().get_ad_videos(fields=["id"])]


@step
def a_ready_video_has_frames_to_choose_from():
    frames = list(AdVideo(made["video"]).get_thumbnails(fields=["uri", "width", "height", "is_preferred"]))
    assert len(frames) >= 8, frames
    equal(sum(frame["is_preferred"] for frame in frames), 1)


@step
def image_and_video_are_advertised_with():
    link = {"link": "https://shop.example", "message": "m", "image_hash": made["hash"]}
    with_image = account().create_ad_creative(
        params={"name": "Image", "object_story_spec": {"page_id": sandbox.PAGE, "link_data": link}}
    )
    read = AdCreative(with_image["id"]).api_get(fields=["image_hash", "image_url", "thumbnail_url"])
    equal(read["image_hash"], made["hash"])
    assert read["thumbnail_url"].startswith("https://"), read
    data = {
        "video_id": made["video"],
        "image_hash": made["hash"],
        "message": "m",
        "call_to_action": {"type": "LEARN_MORE", "value": {"link": "https://shop.example"}},
    }
    with_video = account().create_ad_creative(
        params={"name": "Video", "object_story_spec": {"page_id": sandbox.PAGE, "video_data": data}}
    )
    read = AdCreative(with_video["id"]).api_get(fields=["video_id", "object_type"])
    equal((read["video_id"], read["object_type"]), (made["video"], "VIDEO"))
    data["image_hash"] = "0" * 32
    refused(
        100,
        account().create_ad_creative,
        params={"name": "None", "object_story_spec": {"page_id": sandbox.PAGE, "video_data": data}},
    )


sandbox.connect()
walk()
