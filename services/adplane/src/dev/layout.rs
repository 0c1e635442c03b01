//! Where everything of a laptop's stack stands: ports and files.

use std::path::{Path, PathBuf};

use crate::serve::Service;

/// The ports of the contract, moved together by `--port-base`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports(u16);

impl Ports {
    /// The highest is 90 above the base.
    pub(crate) const SPAN: u16 = 90;

    pub(crate) fn new(base: u16) -> Self {
        Self(base)
    }

    /// Where a service is called.
    pub(crate) fn of(self, service: Service) -> u16 {
        self.0
            + match service {
                Service::Gateway => 0,
                Service::Auth => 10,
                Service::Ratelimit => 20,
                Service::Campaigns => 30,
                Service::Insights => 40,
                Service::Audiences => 50,
                Service::Conversions => 60,
            }
    }

    /// A service's own health and metrics.
    pub(crate) fn admin_of(self, service: Service) -> u16 {
        self.of(service) + 9
    }

    pub(crate) fn sandbox(self) -> u16 {
        self.0 + 80
    }

    /// The sandbox's other way in, for programs that call Meta's own hosts.
    pub(crate) fn proxy(self) -> u16 {
        self.0 + 81
    }

    /// Health and metrics of the whole stack.
    pub(crate) fn admin(self) -> u16 {
        self.0 + Self::SPAN
    }

    /// All that must be free before anything is started.
    pub(crate) fn all(self) -> Vec<u16> {
        let services = Service::ALL.into_iter().flat_map(|service| [self.of(service), self.admin_of(service)]);
        services.chain([self.sandbox(), self.proxy(), self.admin()]).collect()
    }
}

/// The address of a port on loopback.
pub(crate) fn loopback(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// The address of a port on loopback, as a URL.
pub(crate) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// The files of one stack.
#[derive(Debug, Clone)]
pub(crate) struct Files(PathBuf);

impl Files {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    pub(crate) fn secrets(&self) -> PathBuf {
        self.0.join("secrets")
    }

    pub(crate) fn secret(&self, name: &str) -> PathBuf {
        self.secrets().join(name)
    }

    /// One file per service, with the secret that it shares with auth.
    pub(crate) fn service_secrets(&self) -> PathBuf {
        self.secrets().join("services")
    }

    pub(crate) fn config(&self, name: &str) -> PathBuf {
        self.0.join("config").join(format!("{name}.toml"))
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.0.join("logs").join(format!("{name}.jsonl"))
    }

    pub(crate) fn servers(&self) -> PathBuf {
        self.0.join("servers")
    }

    pub(crate) fn sandbox(&self) -> PathBuf {
        self.0.join("sandbox")
    }

    /// What clients of the sandbox's proxy must trust.
    pub(crate) fn proxy_ca(&self) -> PathBuf {
        self.sandbox().join("proxy-ca.pem")
    }

    /// Who may act in this stack: made at its first start, kept with its data.
    pub(crate) fn identity(&self) -> PathBuf {
        self.0.join("secrets").join("identity.toml")
    }

    /// Every folder above.
    pub(crate) fn folders(&self) -> [PathBuf; 4] {
        [self.service_secrets(), self.0.join("config"), self.0.join("logs"), self.sandbox()]
    }
}
