//! The way to an issuer's keys: through a corporate proxy, by a company's own authority, with a token to show.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use auth::issuers::JwksSettings;
use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
    serve::Listener,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rpc::{Keys, Verifier};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs::default_provider, pki_types::PrivatePkcs8KeyDer},
    server::TlsStream,
};

use crate::{
    issuers::{company, trusting},
    waiting::until,
    world::World,
};

/// A listener that speaks TLS; whoever breaks off is forgotten.
struct Tls(TcpListener, TlsAcceptor);

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.0.accept().await.unwrap();
            if let Ok(stream) = self.1.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// An authority's certificate, and TLS for a server that it calls `keys.company.example`.
fn authority() -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let private = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private.into())
        .unwrap();
    (pem, TlsAcceptor::from(Arc::new(config)))
}

/// A name that no resolver knows: only the proxy finds it.
const HOST: &str = "keys.company.example";
const BEARER: &str = "what-the-api-server-wants";

/// Key sets for whoever shows the token.
fn keys(headers: &HeaderMap, keys: &serde_json::Value) -> Response {
    let shown = headers.get("authorization").and_then(|value| value.to_str().ok());
    if shown == Some(&format!("Bearer {BEARER}")) {
        axum::Json(keys).into_response()
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

/// A proxy that knows one host: what it was asked for.
async fn proxied(listener: TcpListener, to: SocketAddr, asked: Arc<Mutex<Vec<String>>>) {
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut lines = BufReader::new(&mut client);
        let mut line = String::new();
        let mut first = String::new();
        // Up to the empty line; nothing more comes before the answer.
        while lines.read_line(&mut line).await.unwrap_or(0) > 2 {
            if first.is_empty() {
                first = line.trim().to_owned();
            }
            line.clear();
        }
        asked.lock().unwrap().push(first.clone());
        if first.starts_with(&format!("CONNECT {HOST}:443 ")) {
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            let mut server = TcpStream::connect(to).await.unwrap();
            drop(copy_bidirectional(&mut client, &mut server).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_read_through_a_proxy_by_an_own_authority_with_a_token_that_is_read_anew() {
    let company = company();
    let (pem, acceptor) = authority();
    let set = json!({ "keys": [company.jwk()] });
    let routes = Router::new().route("/keys", get(async move |headers: HeaderMap| keys(&headers, &set)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let (ca_file, bearer_file) = (file("ca.pem", &pem), file("bearer", "an old one\n"));
    let jwks = JwksSettings {
        url: format!("https://{HOST}/keys"),
        ca_file: Some(ca_file),
        bearer_file: Some(bearer_file),
        proxy: Some(address),
        retry_seconds: 1,
        ..JwksSettings::default()
    };
    let mut trusted = trusting(&company, "");
    trusted.jwks = jwks.clone();
    let mut stranger = trusting(&company, "");
    (stranger.name, stranger.issuer) = ("stranger".to_owned(), "https://login.stranger.example".to_owned());
    // The same keys at the same place, for which the public authorities do not vouch.
    stranger.jwks = JwksSettings { ca_file: None, ..jwks };
    let world = World::set(|settings| settings.issuers = vec![trusted, stranger]).await;
    world.spawn(proxied(proxy, server, Arc::clone(&asked)));
    world.spawn(async move { axum::serve(Tls(listener, acceptor), routes).await.unwrap() });

    let token = company.sign(&company.claims("ads-team"));
    let service = || Verifier::new(Keys::of_auth(world.pool()));
    until("the proxy is asked", async || !asked.lock().unwrap().is_empty()).await;
    assert!(service().verify(&token).await.is_err(), "with the wrong token there are no keys");
    file("bearer", &format!("{BEARER}\n"));
    until("the keys are read with the new token", async || service().verify(&token).await.is_ok()).await;
    let mut claims = company.claims("ads-team");
    claims["iss"] = json!("https://login.stranger.example");
    assert!(
        service().verify(&company.sign(&claims)).await.is_err(),
        "an authority that nobody named vouches for nothing"
    );
    let asked = asked.lock().unwrap().clone();
    assert!(asked.iter().all(|line| line.starts_with(&format!("CONNECT {HOST}:443 "))), "{asked:?}");
}
