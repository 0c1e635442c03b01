/// What this process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Real customers and money: the sandbox, `dev`, `demo` and fault injection refuse to run.
    Production,
    /// A laptop or a test.
    Development,
}

/// `ADPLANE_ENV`: `production` or `development`. The image sets `production`; unset means a laptop, and a word that we do not
/// know counts as production, which forbids more.
pub fn environment() -> Environment {
    of(variable("ADPLANE_ENV").as_deref())
}

/// A variable of the environment, where it is set and is text. The one way for the rest of the suite to read one.
pub fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this module is where the environment is read")]
    std::env::var(name).ok()
}

fn of(word: Option<&str>) -> Environment {
    match word {
        None | Some("" | "development") => Environment::Development,
        Some(_) => Environment::Production,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_nobody_knows_forbids_as_production_does() {
        assert_eq!(of(None), Environment::Development);
        assert_eq!(of(Some("development")), Environment::Development);
        assert_eq!(of(Some("production")), Environment::Production);
        assert_eq!(of(Some("prod")), Environment::Production);
    }
}
