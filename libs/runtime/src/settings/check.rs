use std::fmt;

/// Rules that a type alone cannot state: ranges, things that go together, files that must exist.
pub trait Check {
    /// Adds a fault for each rule that does not hold.
    fn check(&self, faults: &mut Faults);
}

/// One thing wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key as a path, such as `postgres.pool_size`. Empty where the file as a whole is meant.
    pub key: String,
    /// What is wrong and what would be right. Never the value, which may be a secret.
    pub problem: String,
}

/// Everything wrong with the settings, so that a person fixes all of it at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Adds a fault.
    pub fn add(&mut self, key: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Fault { key: key.into(), problem: problem.into() });
    }

    /// Adds a fault unless `holds`.
    pub fn check(&mut self, holds: bool, key: &str, problem: &str) {
        if !holds {
            self.add(key, problem);
        }
    }

    /// Adds the faults of a section, whose keys are relative to it.
    pub fn section(&mut self, section: &str, settings: &impl Check) {
        let mut inner = Self::default();
        settings.check(&mut inner);
        self.nested(section, inner.0.into_iter().map(|fault| (fault.key, fault.problem)));
    }

    /// As [`Faults::section`], for sections of crates that do not know this one: pairs of key and problem.
    pub fn nested<K: fmt::Display, P: Into<String>>(
        &mut self,
        section: &str,
        faults: impl IntoIterator<Item = (K, P)>,
    ) {
        for (key, problem) in faults {
            self.add(format!("{section}.{key}"), problem);
        }
    }

    /// The faults in the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds those of `later` whose key has no fault yet: a field that could not be read has its default, and a rule that the
    /// default breaks would be a second, wrong complaint.
    pub(super) fn extend_where_new(&mut self, later: Self) {
        for fault in later.0 {
            if !self.0.iter().any(|known| known.key == fault.key) {
                self.0.push(fault);
            }
        }
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match fault.key.as_str() {
                "" => write!(f, "{}", fault.problem)?,
                key => write!(f, "{key}: {}", fault.problem)?,
            }
        }
        Ok(())
    }
}
