//! A stand-in for the transit engine of HashiCorp Vault: one key of type aes256-gcm96 with versions. It encrypts for real,
//! and can be sealed, slow, or refuse.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard},
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand,
};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::world::{World, free_port};

type Answer = (StatusCode, Json<Value>);

/// How it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    /// Answers 503 to everything.
    Sealed,
    /// Never answers.
    Slow,
}

pub(super) struct Transit {
    /// The versions of the key, from 1.
    versions: Vec<[u8; 32]>,
    pub(super) min_decryption_version: usize,
    pub(super) mood: Mood,
    /// The tokens that it takes.
    pub(super) tokens: HashSet<String>,
    /// How often somebody logged in.
    pub(super) logins: usize,
    /// After so many encryptions it gets a new version, as one that rotates by itself.
    pub(super) rotates_after: Option<usize>,
}

/// The stand-in. Clones are the same one.
#[derive(Clone)]
pub(super) struct StandIn {
    engine: Arc<Mutex<Transit>>,
    pub(super) address: String,
}

impl StandIn {
    /// Runs as long as the world. Takes the token `first`.
    pub(super) async fn start(world: &World) -> Self {
        let (listener, address) = free_port().await;
        let engine = Transit {
            versions: Vec::new(),
            min_decryption_version: 1,
            mood: Mood::Well,
            tokens: HashSet::from(["first".to_owned()]),
            logins: 0,
            rotates_after: None,
        };
        let stand_in = Self { engine: Arc::new(Mutex::new(engine)), address };
        stand_in.rotate();
        let router = Router::new()
            .route("/v1/team/transit/encrypt/adplane", post(encrypt))
            .route("/v1/team/transit/decrypt/adplane", post(decrypt))
            .route("/v1/auth/{mount}/login", post(login))
            .with_state(stand_in.clone());
        world.spawn(async move { axum::serve(listener, router).await.unwrap() });
        stand_in
    }

    pub(super) fn engine(&self) -> MutexGuard<'_, Transit> {
        self.engine.lock().unwrap()
    }

    /// A new version of the key.
    pub(super) fn rotate(&self) {
        let mut key = [0; 32];
        rand::fill(&mut key).unwrap();
        self.engine().versions.push(key);
    }

    /// What keeps a call from being served, given its token.
    async fn admit(&self, headers: &HeaderMap) -> Result<(), Answer> {
        let mood = self.engine().mood;
        match mood {
            Mood::Sealed => return Err(failed(StatusCode::SERVICE_UNAVAILABLE, "Vault is sealed")),
            Mood::Slow => std::future::pending().await,
            Mood::Well => {}
        }
        let token = headers.get("x-vault-token").and_then(|token| token.to_str().ok()).unwrap_or_default();
        if self.engine().tokens.contains(token) {
            Ok(())
        } else {
            Err(failed(StatusCode::FORBIDDEN, "permission denied"))
        }
    }
}

fn failed(status: StatusCode, text: &str) -> Answer {
    (status, Json(json!({"errors": [text]})))
}

fn bytes(body: &Value, field: &str) -> Vec<u8> {
    STANDARD.decode(body[field].as_str().unwrap()).unwrap()
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap())
}

async fn encrypt(
    State(this): State<StandIn>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Answer> {
    this.admit(&headers).await?;
    let engine = this.engine();
    let version = engine.versions.len();
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce).unwrap();
    let (mut text, bound) = (bytes(&body, "plaintext"), Aad::from(bytes(&body, "associated_data")));
    let key = cipher(engine.versions.last().unwrap());
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound, &mut text).unwrap();
    let text = STANDARD.encode([nonce.as_slice(), &text].concat());
    drop(engine);
    let is_due = {
        let mut engine = this.engine();
        engine.rotates_after = engine.rotates_after.and_then(|left| left.checked_sub(1));
        engine.rotates_after == Some(0)
    };
    if is_due {
        this.rotate();
    }
    Ok(Json(json!({"data": {"ciphertext": format!("vault:v{version}:{text}"), "key_version": version}})))
}

async fn decrypt(
    State(this): State<StandIn>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Answer> {
    this.admit(&headers).await?;
    let engine = this.engine();
    let refused = |text| failed(StatusCode::BAD_REQUEST, text);
    let (version, text) =
        body["ciphertext"].as_str().unwrap().strip_prefix("vault:v").unwrap().split_once(':').unwrap();
    let version: usize = version.parse().unwrap();
    if version < engine.min_decryption_version {
        return Err(refused("ciphertext or signature version is disallowed by policy (too old)"));
    }
    let key = engine.versions.get(version - 1).ok_or_else(|| refused("invalid ciphertext: version is too new"))?;
    let text = STANDARD.decode(text).map_err(|_| refused("invalid ciphertext"))?;
    let (nonce, sealed) = text.split_at(NONCE_LEN);
    let (mut sealed, bound) = (sealed.to_vec(), Aad::from(bytes(&body, "associated_data")));
    let nonce = Nonce::try_assume_unique_for_key(nonce).unwrap();
    let opened = cipher(key).open_in_place(nonce, bound, &mut sealed);
    let opened = opened.map_err(|_| refused("cipher: message authentication failed"))?;
    Ok(Json(json!({"data": {"plaintext": STANDARD.encode(opened)}})))
}

async fn login(
    State(this): State<StandIn>,
    Path(mount): Path<String>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Answer> {
    if (mount.as_str(), body["role"].as_str(), body["jwt"].as_str()) != ("cluster", Some("adplane"), Some("an account"))
    {
        return Err(failed(StatusCode::FORBIDDEN, "permission denied"));
    }
    let mut engine = this.engine();
    engine.logins += 1;
    let token = format!("login-{}", engine.logins);
    engine.tokens.insert(token.clone());
    Ok(Json(json!({"auth": {"client_token": token, "lease_duration": 3600}})))
}
