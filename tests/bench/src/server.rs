//! The servers that are measured: child processes of this program, each alone in its own.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{auth_servers, quota};

/// A running server. Dropped, it is gone.
pub(crate) struct Server {
    child: Child,
    /// What it said of itself when it was ready.
    pub(crate) ready: Value,
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts `bench serve KIND` and waits until it is ready.
    pub(crate) fn start(kind: &str) -> anyhow::Result<Self> {
        Self::start_with(kind, &Value::Null)
    }

    /// The same, telling it something in a line, such as where others are.
    pub(crate) fn start_with(kind: &str, told: &Value) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let mut child = Command::new(program)
            .args(["serve", kind])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting the server {kind}"))?;
        writeln!(child.stdin.as_mut().context("its input")?, "{told}")?;
        let mut stdout = BufReader::new(child.stdout.take().context("its output")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let ready = serde_json::from_str(&line).with_context(|| format!("the server {kind} did not start"))?;
        Ok(Self { child, ready, _stdout: stdout })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        let url = self.ready.get("sandbox").and_then(Value::as_str).context("no address in the ready line")?;
        Ok(url.trim_start_matches("http://").parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is waited for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The child's side: serves until its standard input ends, that is, until its parent is gone.
pub(crate) fn serve(kind: &str) -> anyhow::Result<()> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let told: Value = serde_json::from_str(&line).context("what the parent tells")?;
    std::thread::spawn(|| {
        drop(std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()));
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Runtime::new()?;
    match kind {
        "echo" => runtime.block_on(echo()),
        "sandbox" => runtime.block_on(sandbox()),
        "lease-echo" => runtime.block_on(auth_servers::echo()),
        "auth" => runtime.block_on(auth_servers::auth()),
        "auth-storm" => runtime.block_on(auth_servers::storm()),
        kind => runtime.block_on(quota::serve(kind, &told)),
    }
}

pub(crate) const FREE: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// The least that a server over hyper does: it answers each request with its own path and query.
async fn echo() -> anyhow::Result<()> {
    let listener = TcpListener::bind(FREE).await?;
    said(&format!("{{\"sandbox\":\"http://{}\"}}", listener.local_addr()?))?;
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service_fn(async |request: Request<Incoming>| {
            let said = request.uri().path_and_query().map(|said| Bytes::copy_from_slice(said.as_str().as_bytes()));
            Ok::<_, std::convert::Infallible>(Response::new(Full::new(said.unwrap_or_default())))
        });
        connections.spawn(async move {
            let builder = Builder::new(TokioExecutor::new());
            // The load ends its connections when it has measured.
            drop(builder.serve_connection(TokioIo::new(stream), service).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn sandbox() -> anyhow::Result<()> {
    let options = sandbox::Options { listen: SocketAddr::from(FREE), ..sandbox::Options::default() };
    let listeners = sandbox::Listeners::bind(&options).await?;
    let server = sandbox::Server::open(listeners, options, CancellationToken::new()).await?;
    said(&server.ready()?.line())?;
    server.serve().await
}

pub(crate) fn said(line: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    Ok(stdout.flush()?)
}
