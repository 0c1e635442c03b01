//! Pictures on their way to Meta. A stream passes through memory; an upload in parts stands in the store until it is whole.

use aws_lc_rs::digest;
use bytes::Bytes;
use graph::images::BYTES_MAX;
use prost::Message;
use proto::campaigns::v1::{Image, Upload as UploadMessage};
use rpc::Caller;
use uuid::Uuid;
use vocabulary::ids::AdAccountId;

use crate::{
    context::{self, Context},
    error::Error,
    rules::Findings,
    store::uploads::Upload,
    wire,
};

/// The largest part that is taken, in bytes.
pub(crate) const CHUNK_BYTES: usize = 1024 * 1024;

/// What is going to come.
#[derive(Debug, Clone)]
pub(crate) struct Announced {
    pub(crate) account: AdAccountId,
    pub(crate) file_name: String,
    pub(crate) sha256: Vec<u8>,
    pub(crate) bytes_total: i64,
}

impl Announced {
    /// Checks what was announced; `path` is where it stands in the request, with its dot.
    pub(crate) fn check(&self, path: &str) -> Result<(), Error> {
        let mut findings = Findings::default();
        let most = i64::try_from(BYTES_MAX).unwrap_or(i64::MAX);
        let size = (1..=most).contains(&self.bytes_total);
        let wanted = format!("must be 1 to {most}");
        findings.check(size, &format!("{path}bytes_total"), &wanted, "SIZE_OUT_OF_RANGE");
        let hash = matches!(self.sha256.len(), 0 | 32);
        findings.check(hash, &format!("{path}sha256"), "must be 32 bytes, or none", "NO_SHA256");
        let short = self.file_name.chars().count() <= 200;
        findings.check(short, &format!("{path}file_name"), "must have at most 200 characters", "TOO_LONG");
        findings.finish()
    }
}

/// A picture as far as it has come.
#[derive(Debug)]
pub(crate) struct Growing {
    announced: Announced,
    content: Vec<u8>,
}

impl Growing {
    /// Nothing has come yet.
    pub(crate) fn new(announced: Announced) -> Self {
        Self { announced, content: Vec::new() }
    }

    /// The next bytes. Never more than were announced.
    pub(crate) fn add(&mut self, chunk: &[u8]) -> Result<(), Error> {
        let size = self.content.len() + chunk.len();
        let fits = i64::try_from(size).is_ok_and(|size| size <= self.announced.bytes_total);
        let small = chunk.len() <= CHUNK_BYTES;
        let mut findings = Findings::default();
        findings.check(small, "chunk", "must have at most 1 MiB", "TOO_LARGE");
        findings.check(fits, "chunk", "is more than bytes_total announced", "MORE_THAN_ANNOUNCED");
        findings.finish()?;
        self.content.extend_from_slice(chunk);
        Ok(())
    }

    /// All of it, as announced.
    pub(crate) fn whole(self) -> Result<(Announced, Bytes), Error> {
        check_content(&self.announced, &self.content)?;
        Ok((self.announced, Bytes::from(self.content)))
    }
}

impl Context {
    /// Sends a whole picture to Meta. The same bytes give the same hash, so a repeat does no harm.
    pub(crate) async fn upload_image(
        &self,
        caller: &Caller,
        announced: &Announced,
        content: Bytes,
        validate_only: bool,
    ) -> Result<Image, Error> {
        self.own(&caller.tenant, announced.account).await?;
        if validate_only {
            return Ok(Image::default());
        }
        let name = if announced.file_name.is_empty() { "image" } else { &announced.file_name };
        let call = graph::images::upload(announced.account, name, content);
        let uploaded = self.graph.send_traced(&context::writing(&caller.tenant, announced.account), call).await?;
        let trace = uploaded.trace_id;
        let image = uploaded.value.into_image().ok_or_else(|| {
            Error::Graph(graph::Error::Unavailable {
                call: "POST act/adimages".to_owned(),
                cause: "Meta answered without a picture".to_owned(),
                meta: None,
            })
        })?;
        let resource_name = format!("adAccounts/{}/images/{}", announced.account.act(), image.hash);
        let entry = storage::audit::Entry {
            tenant: caller.tenant.as_str(),
            actor: &caller.subject,
            action: "image.create",
            resource: &resource_name,
            request_id: None,
            detail: serde_json::json!({ "fbtrace_id": trace, "bytes": announced.bytes_total }),
        };
        self.store.audited(entry).await?;
        Ok(Image {
            resource_name,
            width: image.width.unwrap_or(0),
            height: image.height.unwrap_or(0),
            hash: image.hash,
        })
    }

    /// Begins an upload in parts. Its id is the request's, so a repeat begins nothing new.
    pub(crate) async fn create_upload(
        &self,
        caller: &Caller,
        announced: Announced,
        request: Uuid,
        validate_only: bool,
    ) -> Result<UploadMessage, Error> {
        self.own(&caller.tenant, announced.account).await?;
        let account = announced.account;
        let upload = Upload {
            id: request,
            account,
            file_name: announced.file_name,
            sha256: announced.sha256,
            bytes_total: announced.bytes_total,
            next_offset: 0,
            image: None,
        };
        if validate_only {
            return Ok(UploadMessage { name: String::new(), ..message(&upload)? });
        }
        let entry = storage::audit::Entry {
            tenant: caller.tenant.as_str(),
            actor: &caller.subject,
            action: "upload.create",
            resource: &wire::upload_name(account, request),
            request_id: Some(request),
            detail: serde_json::json!({ "bytes": upload.bytes_total }),
        };
        self.store.keep_upload(&upload, entry).await?;
        let stored = self.upload(caller, account, request).await?;
        if (&stored.sha256, stored.bytes_total) != (&upload.sha256, upload.bytes_total) {
            return Err(Error::RequestIdReused(request));
        }
        message(&stored)
    }

    /// Takes one part; with the last one the picture goes to Meta.
    pub(crate) async fn append_upload(
        &self,
        caller: &Caller,
        account: AdAccountId,
        id: Uuid,
        offset: i64,
        chunk: &[u8],
        validate_only: bool,
    ) -> Result<UploadMessage, Error> {
        let upload = self.upload(caller, account, id).await?;
        let length = i64::try_from(chunk.len()).unwrap_or(i64::MAX);
        let end = offset.saturating_add(length);
        let mut findings = Findings::default();
        findings.check(offset >= 0, "offset", "must not be negative", "NEGATIVE");
        findings.check(chunk.len() <= CHUNK_BYTES, "chunk", "must have at most 1 MiB", "TOO_LARGE");
        findings.check(end <= upload.bytes_total, "chunk", "is more than bytes_total announced", "MORE_THAN_ANNOUNCED");
        let gap = format!("must be {}, where the next part begins", upload.next_offset);
        findings.check(offset <= upload.next_offset, "offset", &gap, "GAP");
        findings.finish()?;
        let again = end <= upload.next_offset && !(chunk.is_empty() && upload.image.is_none());
        if validate_only || upload.image.is_some() || (again && upload.next_offset < upload.bytes_total) {
            return message(&upload);
        }
        if offset == upload.next_offset && !chunk.is_empty() {
            match self.store.add_part(&caller.tenant, id, offset, chunk).await {
                Ok(_) => {}
                Err(storage::Error::Raced) => return Err(Error::InFlight(wire::upload_name(account, id))),
                Err(error) => return Err(error.into()),
            }
        }
        let upload = self.upload(caller, account, id).await?;
        if upload.next_offset == upload.bytes_total {
            self.end_upload(caller, upload.clone()).await?;
            return message(&self.upload(caller, account, id).await?);
        }
        message(&upload)
    }

    async fn end_upload(&self, caller: &Caller, upload: Upload) -> Result<(), Error> {
        let content = self.store.parts(&caller.tenant, upload.id).await?;
        let announced = Announced {
            account: upload.account,
            file_name: upload.file_name,
            sha256: upload.sha256,
            bytes_total: upload.bytes_total,
        };
        check_content(&announced, &content)?;
        let image = self.upload_image(caller, &announced, Bytes::from(content), false).await?;
        Ok(self.store.end_upload(&caller.tenant, upload.id, &image.encode_to_vec()).await?)
    }

    async fn upload(&self, caller: &Caller, account: AdAccountId, id: Uuid) -> Result<Upload, Error> {
        let found = self.store.upload(&caller.tenant, account, id).await?;
        found.ok_or_else(|| Error::NotFound(wire::upload_name(account, id)))
    }
}

/// Is it what was announced, and a picture that Meta takes?
fn check_content(announced: &Announced, content: &[u8]) -> Result<(), Error> {
    let mut findings = Findings::default();
    let size = i64::try_from(content.len()).is_ok_and(|size| size == announced.bytes_total);
    findings.check(size, "bytes_total", "is not the number of bytes that came", "SIZE_DIFFERS");
    let digest = digest::digest(&digest::SHA256, content);
    let same = announced.sha256.is_empty() || announced.sha256 == digest.as_ref();
    findings.check(same, "sha256", "is not the hash of the bytes that came", "HASH_DIFFERS");
    findings.check(is_picture(content), "chunk", "must be a PNG, a JPEG or a GIF", "NO_PICTURE");
    findings.finish()
}

/// The formats that Meta takes, by their first bytes.
fn is_picture(content: &[u8]) -> bool {
    let magic: [&[u8]; 4] = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a"];
    magic.iter().any(|magic| content.starts_with(magic))
}

fn message(upload: &Upload) -> Result<UploadMessage, Error> {
    Ok(UploadMessage {
        name: wire::upload_name(upload.account, upload.id),
        next_offset: upload.next_offset,
        chunk_bytes: i64::try_from(CHUNK_BYTES).unwrap_or(0),
        bytes_total: upload.bytes_total,
        image: upload.image.as_deref().map(Image::decode).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

    fn announced() -> Announced {
        Announced { account: AdAccountId::new(1), file_name: String::new(), sha256: Vec::new(), bytes_total: 12 }
    }

    #[test]
    fn a_picture_is_whole_only_when_all_of_it_came() {
        let mut growing = Growing::new(announced());
        growing.add(&PNG[..5]).unwrap();
        growing.add(&PNG[5..]).unwrap();
        assert_eq!(growing.whole().unwrap().1, PNG);
        let mut short = Growing::new(announced());
        short.add(&PNG[..9]).unwrap();
        assert!(matches!(short.whole(), Err(Error::Invalid(_))));
    }

    #[test]
    fn nothing_but_a_picture_of_the_announced_size_and_hash_passes() {
        assert!(check_content(&announced(), PNG).is_ok());
        assert!(check_content(&announced(), b"<svg></svg>.").is_err());
        assert!(check_content(&Announced { sha256: vec![0; 32], ..announced() }, PNG).is_err());
        assert!(Growing::new(announced()).add(&[0; 13]).is_err());
    }

    #[test]
    fn what_is_announced_is_bounded() {
        assert!(announced().check("").is_ok());
        for bytes_total in [0, -1, 31_457_281] {
            assert!(Announced { bytes_total, ..announced() }.check("").is_err(), "{bytes_total}");
        }
    }
}
