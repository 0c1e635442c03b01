//! The stores of a stack written down by their own programs, and looked through for what nobody may read there.

use std::{fs, path::Path};

use auth::token::Algorithm;
use base64::{Engine, engine::general_purpose::STANDARD};
use harness::Dump;
use secrecy::ExposeSecret;
use storage::{Postgres, PostgresSettings, Redis, RedisSettings};
use toml::Table;

/// Put into both stores, so that it is seen that the search finds something. Each is written in another form.
const CONTROLS: [&str; 5] =
    ["control-in-clear", "control-as-bytes", "control-in-base64", "control-in-digits", "Control.In@capitals.org"];
/// Shorter beginnings of private keys could be found by chance.
const BEGINNING_MIN: usize = 12;

/// Fails where one of these, or a secret of the stack's own, is in a dump of PostgreSQL or Redis in any form.
pub(crate) async fn are_clean(folder: &Path, token: &str, planted: impl Iterator<Item = &&'static str>) {
    let (postgres, redis) = (setting(folder, "auth", "postgres"), setting(folder, "ratelimit", "redis"));
    let mut planted: Vec<(String, Vec<u8>)> =
        planted.map(|text| ((*text).to_owned(), text.as_bytes().to_vec())).collect();
    planted.push(("the token of the caller".to_owned(), token.as_bytes().to_vec()));
    planted.extend(secrets(folder));
    planted.extend([Algorithm::EdDsa, Algorithm::Es256].map(beginning_of_private_keys));
    for control in CONTROLS {
        assert_eq!(Dump::of_postgres(&postgres).unwrap().holds(control.as_bytes()), None, "{control} is not there yet");
    }
    plant(&postgres, &redis).await;
    for (store, dump) in
        [("PostgreSQL", Dump::of_postgres(&postgres).unwrap()), ("Redis", Dump::of_redis(&redis).await.unwrap())]
    {
        for control in CONTROLS {
            assert!(dump.holds(control.as_bytes()).is_some(), "{control} is in {store} and was not found");
        }
        for (name, bytes) in &planted {
            assert_eq!(dump.holds(bytes), None, "{name} is in the dump of {store}");
        }
    }
    pull_out(&postgres, &redis).await;
}

/// What every private key that signs tokens begins with.
fn beginning_of_private_keys(algorithm: Algorithm) -> (String, Vec<u8>) {
    let [one, other] = [0; 2].map(|_| auth::signing::generate(algorithm).unwrap().1);
    let same = one.expose_secret().iter().zip(other.expose_secret()).take_while(|(one, other)| one == other);
    let beginning: Vec<u8> = same.map(|(byte, _)| *byte).collect();
    assert!(beginning.len() >= BEGINNING_MIN, "{} bytes could be anything", beginning.len());
    (format!("a private key of {algorithm:?}"), beginning)
}

/// What the stack keeps in files of its own: keys, secrets of services and callers, the code of the first day.
fn secrets(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for folder in [folder.join("secrets"), folder.join("secrets/services")] {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
            let (name, text) = (entry.path().display().to_string(), fs::read_to_string(entry.path()).unwrap());
            if entry.file_name() == "identity.toml" {
                let identity: Table = text.parse().unwrap();
                let logins = ["operator", "caller"].map(|login| identity[login]["secret"].as_str().unwrap().to_owned());
                all.extend(logins.map(|secret| (name.clone(), secret.into_bytes())));
                continue;
            }
            all.extend(STANDARD.decode(text.trim()).ok().map(|key| (name.clone(), key)));
            all.push((name, text.trim().as_bytes().to_vec()));
        }
    }
    assert!(all.len() > 10, "keys, services and callers have secrets: {}", all.len());
    assert!(all.iter().all(|(name, secret)| secret.len() >= 16 || panic!("{name} is no secret")));
    all
}

/// The controls in each form that the search has to know.
fn written() -> Vec<(&'static str, Vec<u8>)> {
    let [clear, bytes, base64, digits, capitals] = CONTROLS;
    vec![
        ("clear", format!("before {clear} after").into_bytes()),
        ("bytes", [b"\x00\x01", bytes.as_bytes(), b"\xff"].concat()),
        ("base64", STANDARD.encode(format!("{{\"token\":\"{base64}\"}}")).into_bytes()),
        ("digits", digits.bytes().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()),
        ("capitals", capitals.to_ascii_uppercase().into_bytes()),
    ]
}

async fn plant(postgres: &str, redis: &str) {
    let client = client(postgres).await;
    client.batch_execute("CREATE SCHEMA control; CREATE TABLE control.planted (as_bytes bytea)").await.unwrap();
    let mut connection = Redis::connect(&RedisSettings::at(redis)).await.unwrap().connection();
    for (form, value) in written() {
        client.execute("INSERT INTO control.planted VALUES ($1)", &[&value]).await.unwrap();
        let key = format!("control:{form}");
        redis::cmd("SET").arg(key).arg(value).query_async::<()>(&mut connection).await.unwrap();
    }
}

async fn pull_out(postgres: &str, redis: &str) {
    client(postgres).await.batch_execute("DROP SCHEMA control CASCADE").await.unwrap();
    let mut connection = Redis::connect(&RedisSettings::at(redis)).await.unwrap().connection();
    for (form, _) in written() {
        redis::cmd("DEL").arg(format!("control:{form}")).query_async::<()>(&mut connection).await.unwrap();
    }
}

async fn client(url: &str) -> storage::Client {
    let settings = PostgresSettings::at(url).in_schema("public");
    Postgres::connect(&settings).await.unwrap().client().await.unwrap()
}

/// The address of a store, as a service of the stack was told it.
fn setting(folder: &Path, service: &str, store: &str) -> String {
    let settings = fs::read_to_string(folder.join(format!("config/{service}.toml"))).unwrap();
    settings.parse::<Table>().unwrap()[store]["url"].as_str().unwrap().to_owned()
}
