//! `KeyService`.

mod listing;

use prost::Message;
use proto::{
    auth::v1::{self as pb, key_service_server::KeyService},
    operations::v1::Operation,
};
use tonic::{Request, Response, Status};

use super::{Common, open, open_for_installation};
use crate::{
    by::{self, By, Repeat},
    error::Error,
    once::once,
    vault::{
        Vault,
        rotation::{Rotated, Rotations},
        sealing::Seals,
        shredding::{Receipt, Shredding},
    },
    wire,
};

/// The surface of the vault.
pub struct KeyApi {
    /// What all have at hand.
    pub common: Common,
    /// The vault.
    pub vault: Vault,
    /// Rotations.
    pub rotations: Rotations,
    /// Closing and opening.
    pub seals: Seals,
    /// Shredding.
    pub shredding: Shredding,
}

#[tonic::async_trait]
impl KeyService for KeyApi {
    async fn list_keys(&self, request: Request<pb::ListKeysRequest>) -> Result<Response<pb::ListKeysResponse>, Status> {
        let (by, request) = open(request)?;
        let filter: &[u8] = if by.is_operator() { b"keys*" } else { b"keys" };
        let page = self.common.pages.request(&by.tenant, filter, request.page_size, &request.page_token);
        let page = page.map_err(Error::from)?;
        let (keys, next) = listing::page(&self.common.store, &self.vault, &by, &page).await?;
        let next_page_token = next.map(|key| self.common.pages.seal(&by.tenant, filter, &key)).unwrap_or_default();
        Ok(Response::new(pb::ListKeysResponse { keys, next_page_token }))
    }

    async fn get_seal_status(
        &self,
        request: Request<pb::GetSealStatusRequest>,
    ) -> Result<Response<pb::GetSealStatusResponse>, Status> {
        rpc::open_untenanted(request)?;
        let key_reachable = self.vault.provider_serves().await.map_err(Error::Store)?;
        let closed = self.vault.closed();
        let mut status = pb::GetSealStatusResponse {
            sealed: closed.is_some() || !key_reachable,
            provider: self.vault.provider().to_owned(),
            key_reachable,
            ..pb::GetSealStatusResponse::default()
        };
        if let Some(closed) = closed {
            status.sealed_by.clone_from(&closed.by);
            status.reason.clone_from(&closed.reason);
            status.seal_time = Some(wire::timestamp(closed.since));
        }
        Ok(Response::new(status))
    }

    async fn rotate_key(
        &self,
        request: Request<pb::RotateKeyRequest>,
    ) -> Result<Response<pb::RotateKeyResponse>, Status> {
        let (by, request) = open_for_installation(request)?;
        let (rotated, request_id) = wire::rotate_key(&request)?;
        let by = match rotated {
            Rotated::Wrapping(_) => by,
            // Whatever tenant the operator works for now, these belong to the installation.
            Rotated::KeyEncryption | Rotated::Signing { .. } => of_installation(by)?,
        };
        let repeat = Repeat::of("RotateKey", request_id, &request);
        let answer = |operation: &Operation| pb::RotateKeyResponse { operation: Some(operation.clone()) };
        if request.validate_only {
            let operation = self.rotations.create(&by, rotated, true, (&repeat, |_| Vec::new())).await?;
            return Ok(Response::new(answer(&operation)));
        }
        let work = async {
            let closing = (&repeat, |operation: &_| answer(operation).encode_to_vec());
            Ok(answer(&Box::pin(self.rotations.create(&by, rotated, false, closing)).await?))
        };
        Ok(Response::new(once(&self.common.store, &by, &repeat, work).await?))
    }

    async fn seal_vault(
        &self,
        request: Request<pb::SealVaultRequest>,
    ) -> Result<Response<pb::SealVaultResponse>, Status> {
        let (by, request) = open_for_installation(request)?;
        let by = of_installation(by)?;
        by.require_operator()?;
        let request_id = wire::seal_vault(&request)?;
        let repeat = Repeat::of("SealVault", request_id, &request);
        let answer = pb::SealVaultResponse {};
        let work = async {
            let closing = (&repeat, || answer.encode_to_vec());
            self.seals.close(&by, &request.reason, request.validate_only, closing).await?;
            Ok(answer)
        };
        Ok(Response::new(self.once_or_rehearsed(&by, &repeat, request.validate_only, work).await?))
    }

    async fn unseal_vault(
        &self,
        request: Request<pb::UnsealVaultRequest>,
    ) -> Result<Response<pb::UnsealVaultResponse>, Status> {
        let (by, request) = open_for_installation(request)?;
        let by = of_installation(by)?;
        by.require_operator()?;
        let request_id = wire::unseal_vault(&request)?;
        let repeat = Repeat::of("UnsealVault", request_id, &request);
        let answer = pb::UnsealVaultResponse {};
        let work = async {
            self.seals.open(&by, request.validate_only, (&repeat, || answer.encode_to_vec())).await?;
            Ok(answer)
        };
        Ok(Response::new(self.once_or_rehearsed(&by, &repeat, request.validate_only, work).await?))
    }

    async fn shred_tenant_key(
        &self,
        request: Request<pb::ShredTenantKeyRequest>,
    ) -> Result<Response<pb::ShredTenantKeyResponse>, Status> {
        let (by, request) = open_for_installation(request)?;
        by.require_operator()?;
        let (tenant, request_id) = wire::shred_tenant_key(&request)?;
        let by = by.for_tenant(&tenant)?;
        let repeat = Repeat::of("ShredTenantKey", request_id, &request);
        let answer =
            |receipt: &Receipt| pb::ShredTenantKeyResponse { receipt: Some(wire::shred_receipt(&tenant, receipt)) };
        let validate_only = request.validate_only;
        let work = async {
            let closing = (&repeat, |receipt: &Receipt| answer(receipt).encode_to_vec());
            Ok(answer(&Box::pin(self.shredding.shred(&by, validate_only, closing)).await?))
        };
        Ok(Response::new(self.once_or_rehearsed(&by, &repeat, validate_only, work).await?))
    }
}

impl KeyApi {
    /// A rehearsal uses no request id up.
    async fn once_or_rehearsed<A: Message + Default>(
        &self,
        by: &By,
        repeat: &Repeat,
        validate_only: bool,
        work: impl Future<Output = Result<A, Error>>,
    ) -> Result<A, Error> {
        if validate_only { work.await } else { once(&self.common.store, by, repeat, work).await }
    }
}

fn of_installation(by: By) -> Result<By, Error> {
    Ok(By { tenant: by::installation()?, ..by })
}
