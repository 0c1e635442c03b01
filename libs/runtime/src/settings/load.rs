use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use toml::{Table, Value};

use super::nearest::nearest;
use super::{Check, Faults};

/// Reads the settings of `service`: its defaults, over them `file`, over that the environment.
///
/// # Errors
/// Everything that is wrong, at once: a file that cannot be read, keys that nobody knows (with the nearest known one), values
/// of the wrong type, rules of [`Check`] that do not hold.
pub fn load<T>(service: &str, file: Option<&Path>) -> Result<T, Faults>
where
    T: DeserializeOwned + Default + Check,
{
    load_from(
        service,
        file,
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    )
}

/// As [`load`], with the variables of the environment handed in.
///
/// # Errors
/// As [`load`].
pub fn load_from<T>(
    service: &str,
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<T, Faults>
where
    T: DeserializeOwned + Default + Check,
{
    let mut faults = Faults::default();
    let mut table = file.map(|file| read(file, &mut faults)).unwrap_or_default();
    let overrides = Overrides::of(service, variables);
    overrides.apply(&mut table, &mut faults);

    let settings: T = decode(table, &overrides, &mut faults);
    let mut broken = Faults::default();
    settings.check(&mut broken);
    faults.extend_where_new(broken);
    if faults.is_empty() { Ok(settings) } else { Err(faults) }
}

fn read(file: &Path, faults: &mut Faults) -> Table {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            faults.add("", format!("{} cannot be read: {error}", file.display()));
            return Table::new();
        }
    };
    match toml::from_str(&text) {
        Ok(table) => table,
        Err(error) => {
            // The error's own text shows the line, which may hold something that must not be shown.
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            faults.add("", format!("{} line {line}: {}", file.display(), error.message()));
            Table::new()
        }
    }
}

/// What the environment sets: the path of a key, the name of the variable and its text.
struct Overrides(BTreeMap<Vec<String>, (String, String)>);

impl Overrides {
    fn of(service: &str, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let prefix = format!("ADPLANE_{}__", service.to_uppercase().replace('-', "_"));
        let ours = variables.into_iter().filter_map(|(name, text)| {
            let path = name.strip_prefix(&prefix)?.split("__").map(str::to_lowercase).collect();
            Some((path, (name, text)))
        });
        Self(ours.collect())
    }

    fn apply(&self, table: &mut Table, faults: &mut Faults) {
        for (path, (name, text)) in &self.0 {
            if !set(table, path, scalar(text)) {
                faults.add(path.join("."), format!("{name} sets a key inside something that is no section"));
            }
        }
    }

    /// The text that was set for exactly this key.
    fn text(&self, path: &[String]) -> Option<&str> {
        self.0.get(path).map(|(_, text)| text.as_str())
    }

    /// The variable that set this key or a section above it.
    fn variable(&self, path: &[String]) -> Option<&str> {
        self.0.get(path).map(|(name, _)| name.as_str())
    }
}

/// The text as a TOML value, or as a string where it is none.
fn scalar(text: &str) -> Value {
    toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

fn set(table: &mut Table, path: &[String], value: Value) -> bool {
    match path {
        [] => false,
        [key] => {
            table.insert(key.clone(), value);
            true
        }
        [section, rest @ ..] => {
            let inner = table.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
            inner.as_table_mut().is_some_and(|inner| set(inner, rest, value))
        }
    }
}

/// Decodes; where that fails, notes the fault, removes the key that caused it and tries again, until the rest is sound.
fn decode<T: DeserializeOwned + Default>(mut table: Table, overrides: &Overrides, faults: &mut Faults) -> T {
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(Value::Table(table.clone())) {
            Ok(settings) => return settings,
            Err(error) => error,
        };
        let message = error.inner().message().to_owned();
        let path = key_path(error.path(), &message);
        // A password of digits is a number to TOML and a string to us.
        if let Some(text) = overrides.text(&path)
            && remove(&mut table, &path).is_some_and(|value| !value.is_str())
        {
            set(&mut table, &path, Value::String(text.to_owned()));
            continue;
        }
        let source = overrides.variable(&path).map(|name| format!(" (from {name})")).unwrap_or_default();
        faults.add(path.join("."), format!("{}{source}", problem(&message)));
        if remove(&mut table, &path).is_none() && overrides.text(&path).is_none() {
            return T::default();
        }
    }
}

/// The path of the offending key: map keys down to the first list, and the name of an unknown field.
fn key_path(path: &serde_path_to_error::Path, message: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for segment in path {
        match segment {
            Segment::Map { key } => keys.push(key.clone()),
            Segment::Enum { variant } => keys.push(variant.clone()),
            Segment::Seq { .. } | Segment::Unknown => break,
        }
    }
    if let Some(field) = unknown_field(message)
        && keys.last().map(String::as_str) != Some(field)
    {
        keys.push(field.to_owned());
    }
    keys
}

fn unknown_field(message: &str) -> Option<&str> {
    message.strip_prefix("unknown field `")?.split('`').next()
}

fn remove(table: &mut Table, path: &[String]) -> Option<Value> {
    match path {
        [] => None,
        [key] => table.remove(key),
        [section, rest @ ..] => remove(table.get_mut(section)?.as_table_mut()?, rest),
    }
}

/// The decoder's message for people, without the value, which may be a secret in the wrong place.
fn problem(message: &str) -> String {
    if let Some(field) = unknown_field(message) {
        let known: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
        return match (nearest(field, known.iter().copied()), known.as_slice()) {
            (Some(near), _) => format!("no such key; did you mean `{near}`?"),
            (None, []) => "no such key; there is none here".to_owned(),
            (None, known) => format!("no such key; known are {}", known.join(", ")),
        };
    }
    let Some((found, wanted)) = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
        .and_then(|rest| rest.rsplit_once(", expected "))
    else {
        return message.to_owned();
    };
    let kind = found.split([' ', '`', '"']).next().unwrap_or_default();
    format!("must be {wanted}, is of type {kind}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Settings {
        listen: String,
        tags: Vec<String>,
        postgres: Postgres,
    }

    impl Default for Settings {
        fn default() -> Self {
            Self { listen: "127.0.0.1:1".to_owned(), tags: Vec::new(), postgres: Postgres::default() }
        }
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Postgres {
        pool_size: u16,
        password: String,
        tls: bool,
    }

    impl Default for Postgres {
        fn default() -> Self {
            Self { pool_size: 10, password: String::new(), tls: false }
        }
    }

    impl Check for Settings {
        fn check(&self, faults: &mut Faults) {
            faults.check(!self.listen.is_empty(), "listen", "must be set");
            faults.section("postgres", &self.postgres);
        }
    }

    impl Check for Postgres {
        fn check(&self, faults: &mut Faults) {
            faults.check(self.pool_size > 0, "pool_size", "must be above 0");
        }
    }

    fn with(text: &str, variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        std::fs::write(&file, text).unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load_from("rate-limit", Some(&file), variables).map_err(|faults| {
            faults.to_string().lines().map(|line| line.replace(&*file.to_string_lossy(), "FILE")).collect()
        })
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
        let settings = with(
            "listen = 'file'\n[postgres]\npool_size = 5\n",
            &[("ADPLANE_RATE_LIMIT__POSTGRES__POOL_SIZE", "7"), ("ADPLANE_AUTH__POSTGRES__POOL_SIZE", "9")],
        )
        .unwrap();
        assert_eq!(settings.listen, "file");
        assert_eq!(settings.postgres, Postgres { pool_size: 7, ..Postgres::default() });
    }

    #[test]
    fn values_of_the_environment_are_what_the_field_wants() {
        let settings = with(
            "",
            &[
                ("ADPLANE_RATE_LIMIT__POSTGRES__PASSWORD", "007"),
                ("ADPLANE_RATE_LIMIT__POSTGRES__TLS", "true"),
                ("ADPLANE_RATE_LIMIT__LISTEN", "1234"),
                ("ADPLANE_RATE_LIMIT__TAGS", "['a', 'b']"),
            ],
        )
        .unwrap();
        assert_eq!(settings.postgres, Postgres { pool_size: 10, password: "007".to_owned(), tls: true });
        assert_eq!(settings.listen, "1234");
        assert_eq!(settings.tags, ["a", "b"]);
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let faults = with(
            "listen = ''\nlisten_adress = 'x'\ntags = ['a', 3]\n[postgres]\npool_sise = 3\ntls = 'yes'\n",
            &[("ADPLANE_RATE_LIMIT__POSTGRES__POOL_SIZE", "many")],
        )
        .unwrap_err();
        let mut sorted = faults.clone();
        sorted.sort();
        assert_eq!(
            sorted,
            [
                "listen: must be set",
                "listen_adress: no such key; known are listen, tags, postgres",
                "postgres.pool_sise: no such key; did you mean `pool_size`?",
                "postgres.pool_size: must be u16, is of type string (from ADPLANE_RATE_LIMIT__POSTGRES__POOL_SIZE)",
                "postgres.tls: must be a boolean, is of type string",
                "tags: must be a string, is of type integer",
            ]
        );
    }

    #[test]
    fn a_value_that_could_not_be_read_is_not_also_a_broken_rule() {
        let faults = with("listen = 5\n", &[]).unwrap_err();
        assert_eq!(faults, ["listen: must be a string, is of type integer"]);
    }

    #[test]
    fn a_fault_never_shows_the_value() {
        let faults = with("[postgres]\ntls = 'hunter2'\n", &[]).unwrap_err().concat();
        assert!(!faults.contains("hunter2"), "{faults}");
        let faults = with("[postgres]\npassword = hunter2\n", &[]).unwrap_err().concat();
        assert!(faults.starts_with("FILE line 2: ") && !faults.contains("hunter2"), "{faults}");
    }

    #[test]
    fn a_file_that_is_not_there_is_a_fault() {
        let faults = load_from::<Settings>("x", Some(Path::new("/nonexistent.toml")), []).unwrap_err();
        assert_eq!(faults.len(), 1);
    }

    #[test]
    fn a_section_that_is_a_value_is_a_fault_and_not_a_loop() {
        let faults = with("postgres = 3\n", &[("ADPLANE_RATE_LIMIT__POSTGRES__TLS", "true")]).unwrap_err();
        assert_eq!(faults.len(), 2, "{faults:?}");
        let faults = with("", &[("ADPLANE_RATE_LIMIT__POSTGRES", "3")]).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
    }
}
