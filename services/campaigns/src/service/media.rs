use proto::campaigns::v1 as pb;
use proto::campaigns::v1::{media_service_server::MediaService, upload_image_request::Part};
use tonic::{Request, Response, Status, Streaming};

use super::Api;
use crate::{
    error::Error,
    media::{Announced, Growing},
    wire,
};

#[tonic::async_trait]
impl MediaService for Api {
    async fn upload_image(
        &self,
        request: Request<Streaming<pb::UploadImageRequest>>,
    ) -> Result<Response<pb::UploadImageResponse>, Status> {
        let (caller, mut parts) = rpc::open(request)?;
        let header = header(next(&mut parts).await?)?;
        wire::optional_request_id(&header.request_id)?;
        let announced = Announced {
            account: wire::parent(&header.parent)?,
            file_name: header.file_name,
            sha256: header.sha256,
            bytes_total: header.bytes_total,
        };
        announced.check("header.")?;
        let mut growing = Growing::new(announced);
        while let Some(part) = next(&mut parts).await? {
            match part {
                Part::Chunk(chunk) => growing.add(&chunk)?,
                Part::Header(_) => {
                    return Err(Error::field("header", "only stands in the first message", "LATE").into());
                }
            }
        }
        let (announced, content) = growing.whole()?;
        let image = self.0.upload_image(&caller, &announced, content, header.validate_only).await?;
        Ok(Response::new(pb::UploadImageResponse { image: Some(image) }))
    }

    async fn create_upload(
        &self,
        request: Request<pb::CreateUploadRequest>,
    ) -> Result<Response<pb::CreateUploadResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        if request.kind() != pb::MediaKind::Image {
            return Err(Error::field("kind", "must be MEDIA_KIND_IMAGE", "UNKNOWN_ENUM_VALUE").into());
        }
        let announced = Announced {
            account: wire::parent(&request.parent)?,
            file_name: request.file_name,
            sha256: request.sha256,
            bytes_total: request.bytes_total,
        };
        announced.check("")?;
        let request_id = wire::request_id_unless(request.validate_only, &request.request_id)?;
        let upload = self.0.create_upload(&caller, announced, request_id, request.validate_only).await?;
        Ok(Response::new(pb::CreateUploadResponse { upload: Some(upload) }))
    }

    async fn append_upload(
        &self,
        request: Request<pb::AppendUploadRequest>,
    ) -> Result<Response<pb::AppendUploadResponse>, Status> {
        let (caller, request) = rpc::open(request)?;
        let (account, id) = wire::upload(&request.upload)?;
        wire::optional_request_id(&request.request_id)?;
        let (offset, chunk) = (request.offset, request.chunk.as_slice());
        let upload = self.0.append_upload(&caller, account, id, offset, chunk, request.validate_only).await?;
        Ok(Response::new(pb::AppendUploadResponse { upload: Some(upload) }))
    }
}

/// The next part; `None` at the end of the stream.
async fn next(parts: &mut Streaming<pb::UploadImageRequest>) -> Result<Option<Part>, Status> {
    let broken = |status| Error::Stream(Box::new(rpc::Upstream::from(status)));
    match parts.message().await.map_err(broken)? {
        None => Ok(None),
        Some(message) => {
            let required = || Error::field("part", "is required", "REQUIRED");
            Ok(Some(message.part.ok_or_else(required)?))
        }
    }
}

fn header(part: Option<Part>) -> Result<pb::UploadImageHeader, Error> {
    match part {
        Some(Part::Header(header)) => Ok(header),
        _ => Err(Error::field("header", "must be in the first message", "REQUIRED")),
    }
}
