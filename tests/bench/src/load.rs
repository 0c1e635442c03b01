//! The load: connections that are kept, each asking one thing after the other.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::cpu;
use crate::server::Server;

/// How many connections ask at once.
const CONNECTIONS: usize = 8;

/// A client with its own thread, so that the servers' threads are never the load's.
pub(crate) struct Load {
    runtime: Runtime,
    token: String,
}

impl Load {
    /// Every request carries `token`.
    pub(crate) fn new(token: &str) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, token: token.to_owned() })
    }

    /// The answer to one call. Fails where it is no success.
    pub(crate) fn ask(&self, server: &Server, method: Method, path: &str) -> anyhow::Result<Bytes> {
        let (address, request) = (server.address()?, self.request(method, path)?);
        self.runtime.block_on(async { answered(&mut connected(address).await?, request).await })
    }

    /// The same, as JSON.
    pub(crate) fn json(&self, server: &Server, method: Method, path: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&self.ask(server, method, path)?)?)
    }

    /// The CPU that the server took for each of `count` reads of `path`, in nanoseconds; none where it is not told.
    pub(crate) fn cost(&self, server: &Server, path: &str, count: u64) -> anyhow::Result<Option<u64>> {
        let before = cpu::of(server.pid());
        self.read(server.address()?, path, count)?;
        let (Some(before), Some(after)) = (before, cpu::of(server.pid())) else { return Ok(None) };
        let spent = after.saturating_sub(before).as_nanos() / u128::from(count.max(1));
        Ok(Some(u64::try_from(spent)?))
    }

    fn read(&self, address: SocketAddr, path: &str, count: u64) -> anyhow::Result<()> {
        let each = count.div_ceil(u64::try_from(CONNECTIONS)?);
        let request = self.request(Method::GET, path)?;
        self.runtime.block_on(async {
            let mut connections = JoinSet::new();
            for _ in 0..CONNECTIONS {
                let (mut connection, request) = (connected(address).await?, request.clone());
                connections.spawn(async move {
                    for _ in 0..each {
                        answered(&mut connection, request.clone()).await?;
                    }
                    anyhow::Ok(())
                });
            }
            while let Some(ended) = connections.join_next().await {
                ended??;
            }
            Ok(())
        })
    }

    fn request(&self, method: Method, path: &str) -> anyhow::Result<Request<Full<Bytes>>> {
        let authorization = format!("Bearer {}", self.token);
        let request = Request::builder().method(method).uri(path).header("host", "graph.facebook.com");
        Ok(request.header("authorization", authorization).body(Full::default())?)
    }
}

/// An open connection. Dropped, it is closed.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    _driver: JoinSet<hyper::Result<()>>,
}

async fn connected(address: SocketAddr) -> anyhow::Result<Connection> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    Ok(Connection { sender, _driver: driver })
}

async fn answered(connection: &mut Connection, request: Request<Full<Bytes>>) -> anyhow::Result<Bytes> {
    connection.sender.ready().await?;
    let path = request.uri().path().to_owned();
    let response = connection.sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await.context("reading an answer")?.to_bytes();
    ensure!(status == StatusCode::OK, "{path} was answered with {status}: {}", String::from_utf8_lossy(&body));
    Ok(body)
}
