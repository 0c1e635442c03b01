//! The proxy's own certificate authority. Its certificate is for clients to trust, its key never leaves this machine.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use tempfile::NamedTempFile;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

const CERTIFICATE_FILE: &str = "proxy-ca.pem";
const KEY_FILE: &str = "proxy-ca.key";
/// How long a new authority is good. Longer than any data folder is used.
const AUTHORITY_YEARS: i64 = 10;
/// How long a server certificate is good; a new one is made at each start. Some clients refuse more than 398 days.
const SERVER_DAYS: i64 = 397;

/// An authority, and where its certificate lies.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: PathBuf,
    /// Holds the file where nobody said where it should be; it is removed with this.
    _temporary: Option<NamedTempFile>,
}

impl Authority {
    /// Reads the authority of a data folder, or makes one; without a folder it lives as long as this.
    ///
    /// The certificate is written to `certificate`, else it is the folder's, else a private temporary file.
    pub(super) fn open(folder: Option<&Path>, certificate: Option<&Path>) -> anyhow::Result<Self> {
        let (key, pem) = match folder {
            Some(folder) => kept(folder).with_context(|| format!("the proxy's authority in {}", folder.display()))?,
            None => made()?,
        };
        let (certificate, temporary) = match (certificate, folder) {
            (Some(file), _) => {
                fs::write(file, &pem).with_context(|| format!("the proxy's certificate at {}", file.display()))?;
                (std::path::absolute(file)?, None)
            }
            (None, Some(folder)) => (std::path::absolute(folder.join(CERTIFICATE_FILE))?, None),
            (None, None) => {
                let mut file = tempfile::Builder::new().prefix("sandbox-proxy-ca-").suffix(".pem").tempfile()?;
                file.write_all(pem.as_bytes())?;
                (file.path().to_owned(), Some(file))
            }
        };
        Ok(Self { issuer: Issuer::new(authority_params()?, key), certificate, _temporary: temporary })
    }

    pub(super) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// TLS for a server that is all of these hosts.
    pub(super) fn server_config(&self, hosts: &[&str]) -> anyhow::Result<ServerConfig> {
        let mut params = CertificateParams::new(hosts.iter().map(|&host| host.to_owned()).collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, "Adplane sandbox");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let today = today();
        valid(&mut params, today, today.saturating_add(SERVER_DAYS.days()))?;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let private = PrivatePkcs8KeyDer::from(key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private.into())?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// The authority that a folder keeps, so that clients need not learn of a new one after a restart.
fn kept(folder: &Path) -> anyhow::Result<(KeyPair, String)> {
    let (key_file, certificate_file) = (folder.join(KEY_FILE), folder.join(CERTIFICATE_FILE));
    match (read(&key_file)?, read(&certificate_file)?) {
        (Some(key), Some(pem)) => Ok((KeyPair::from_pem(&key)?, pem)),
        _ => {
            let (key, pem) = made()?;
            fs::create_dir_all(folder)?;
            // A key that others could read for a moment is no secret, so the file is new and private from the start.
            remove(&key_file)?;
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key_file)?;
            file.write_all(key.serialize_pem().as_bytes())?;
            file.sync_all()?;
            fs::write(&certificate_file, &pem)?;
            Ok((key, pem))
        }
    }
}

/// A new key, and the certificate that it signs for itself.
fn made() -> anyhow::Result<(KeyPair, String)> {
    let key = KeyPair::generate()?;
    let pem = authority_params()?.self_signed(&key)?.pem();
    Ok((key, pem))
}

fn authority_params() -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Adplane sandbox authority (for tests only)");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let today = today();
    valid(&mut params, today, today.saturating_add(AUTHORITY_YEARS.years()))?;
    Ok(params)
}

/// A day early, for clients whose clock is behind.
fn valid(params: &mut CertificateParams, from: Date, to: Date) -> anyhow::Result<()> {
    let at = |day: Date| -> anyhow::Result<_> {
        Ok(date_time_ymd(i32::from(day.year()), u8::try_from(day.month())?, u8::try_from(day.day())?))
    };
    params.not_before = at(from.yesterday()?)?;
    params.not_after = at(to)?;
    Ok(())
}

/// The machine's day: clients check certificates by their own clocks, not by the sandbox's.
fn today() -> Date {
    Timestamp::try_from(std::time::SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC).date()
}

fn read(file: &Path) -> std::io::Result<Option<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn remove(file: &Path) -> std::io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_keeps_its_authority_and_nobody_else_reads_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open(Some(folder.path()), None).unwrap();
        let pem = fs::read_to_string(first.certificate()).unwrap();
        let again = Authority::open(Some(folder.path()), None).unwrap();
        assert_eq!(fs::read_to_string(again.certificate()).unwrap(), pem);
        assert_eq!(again.issuer.key().public_key_pem(), first.issuer.key().public_key_pem());
        let mode = fs::metadata(folder.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn half_an_authority_is_made_anew_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        drop(Authority::open(Some(folder.path()), None).unwrap());
        let old = fs::read_to_string(folder.path().join(KEY_FILE)).unwrap();
        fs::remove_file(folder.path().join(CERTIFICATE_FILE)).unwrap();
        drop(Authority::open(Some(folder.path()), None).unwrap());
        assert_ne!(fs::read_to_string(folder.path().join(KEY_FILE)).unwrap(), old);
    }

    #[test]
    fn without_a_folder_the_certificate_is_gone_at_the_end() {
        let authority = Authority::open(None, None).unwrap();
        let file = authority.certificate().to_owned();
        assert!(fs::read_to_string(&file).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
        drop(authority);
        assert!(!file.exists());
    }

    #[test]
    fn the_certificate_is_written_where_it_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        drop(Authority::open(None, Some(&file)).unwrap());
        assert!(file.exists());
    }
}
