//! `adplane keys rotate`: begins a rotation and follows it to its end.

use anyhow::{Context, Result};
use proto::{
    auth::v1::{KeyPurpose, RotateKeyRequest, RotateKeyResult, RotationMode},
    operations::v1::Operation,
};
use uuid::Uuid;

use crate::{
    door::{Door, tenant},
    operations,
    output::note,
};

/// Which key.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What the key is for
    purpose: Purpose,
    /// Encrypts the rows anew as well, for when somebody has both the database and a key; wrapping keys only
    #[arg(long)]
    reencrypt: bool,
    /// The old keys were stolen: what they signed is refused within seconds, your own token too; signing keys only
    #[arg(long)]
    revoke_old: bool,
    /// Does not wait: `adplane operations wait` follows the operation that this names
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    door: Door,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Purpose {
    /// Wraps the keys of a tenant's rows; without a tenant, of the installation's
    Wrapping,
    /// Signs tokens
    Signing,
    /// The key-encryption key: its provider has a newer one, and this brings everything under it
    Encryption,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let purpose = match options.purpose {
        Purpose::Wrapping => KeyPurpose::Wrapping,
        Purpose::Signing => KeyPurpose::Signing,
        Purpose::Encryption => KeyPurpose::Encryption,
    };
    let mode = match (options.purpose, options.reencrypt) {
        (_, true) => RotationMode::Reencrypt,
        (Purpose::Wrapping, false) => RotationMode::Rewrap,
        _ => RotationMode::Unspecified,
    };
    let request = RotateKeyRequest {
        purpose: purpose.into(),
        mode: mode.into(),
        request_id: Uuid::new_v4().to_string(),
        revoke_old: options.revoke_old,
        ..RotateKeyRequest::default()
    };
    let client = options.door.open()?;
    let answer = client.keys().rotate_key(request).await?.into_inner();
    let operation = answer.operation.context("auth answered without an operation")?;
    note(&format!("{} is under way", operation.name))?;
    // With a token that is refused from now on nothing can be followed.
    if options.detach || options.revoke_old {
        return options.door.output().thing(&operation, operations::parts);
    }
    let client = if is_installation_s(&operation) {
        client.for_tenant(&tenant("system").map_err(anyhow::Error::msg)?)
    } else {
        client
    };
    let done = operations::follow(&client, &operation.name).await?;
    let result: RotateKeyResult = client::result(&done)?;
    options.door.output().thing(&result, |result| {
        let version = (result.version != 0).then(|| ("version", result.version.to_string()));
        let key = (!result.key_id.is_empty()).then(|| ("key", result.key_id.clone()));
        let rows = Some(("rows under it", result.rows.to_string()));
        [version, key, rows].into_iter().flatten().collect()
    })
}

/// Whose operation it is decides who may follow it: those of the installation's keys are the tenant `system`'s.
fn is_installation_s(operation: &Operation) -> bool {
    operation.metadata.as_ref().is_some_and(|metadata| metadata.resource.starts_with("keys/"))
}

#[cfg(test)]
mod tests {
    use proto::operations::v1::OperationMetadata;

    use super::*;

    #[test]
    fn the_installation_s_rotations_are_told_from_a_tenant_s() {
        for (resource, expected) in
            [("keys/signing", true), ("keys/wrapping", true), ("tenants/acme/keys/wrapping", false)]
        {
            let metadata = Some(OperationMetadata { resource: resource.to_owned(), ..OperationMetadata::default() });
            assert_eq!(is_installation_s(&Operation { metadata, ..Operation::default() }), expected, "{resource}");
        }
    }
}
