//! HTTP to subscribers: plain, short, and only to this machine unless the settings name other hosts.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderName, Method, Request};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use url::Url;

/// The most of an answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{0} is no http:// address; the sandbox speaks no TLS to subscribers")]
    Address(String),
    #[error("{0} is not on this machine; name the host in the setting webhook_hosts to have it called")]
    Foreign(String),
    #[error("no connection: {0}")]
    Connection(#[from] std::io::Error),
    #[error("no answer: {0}")]
    Answer(#[from] hyper::Error),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("the request could not be written: {0}")]
    Request(#[from] http::Error),
}

/// A request to a subscriber.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) method: Method,
    pub(super) address: &'a str,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: String,
    /// Hosts beside this machine that may be called.
    pub(super) hosts: &'a [String],
    pub(super) timeout: Duration,
}

impl Outgoing<'_> {
    /// Sends it; gives the status and the text of the answer.
    pub(super) async fn send(self) -> Result<(u16, String), Error> {
        let timeout = self.timeout;
        tokio::time::timeout(timeout, self.sent()).await.unwrap_or(Err(Error::Timeout(timeout)))
    }

    async fn sent(self) -> Result<(u16, String), Error> {
        let url = Url::parse(self.address).ok().filter(|url| url.scheme() == "http");
        let url = url.ok_or_else(|| Error::Address(self.address.to_owned()))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(80);
        let stream = TcpStream::connect(&*allowed(&host, port, self.hosts).await?).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let mut request = Request::builder().method(self.method).uri(path).header(HOST, format!("{host}:{port}"));
        request = request.header(CONTENT_TYPE, self.content_type);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(self.body))?;
        let answered = async {
            let response = sender.send_request(request).await?;
            let status = response.status().as_u16();
            let body = to_bytes(Body::new(response.into_body()), ANSWER_BYTES_MAX).await.unwrap_or_default();
            Ok((status, String::from_utf8_lossy(&body).into_owned()))
        };
        let mut answered = std::pin::pin!(answered);
        tokio::select! {
            answer = &mut answered => answer,
            // Who closes behind the answer, as HTTP/1.0 does, has answered all the same; who never did is told below.
            ended = connection => match ended {
                Ok(()) => answered.await,
                Err(error) => Err(Error::Answer(error)),
            },
        }
    }
}

/// The addresses of a host, if it may be called.
async fn allowed(host: &str, port: u16, hosts: &[String]) -> Result<Vec<SocketAddr>, Error> {
    let addresses: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
    let is_own = addresses.iter().all(|address| address.ip().is_loopback());
    if is_own || hosts.iter().any(|known| known == host) { Ok(addresses) } else { Err(Error::Foreign(host.to_owned())) }
}
