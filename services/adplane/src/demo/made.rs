//! What exists at Meta already, for telling it where a later step fails.

use std::fmt;

/// Everything made so far, in the order of making, all of it PAUSED.
#[derive(Debug, Default)]
pub(crate) struct Made {
    things: Vec<String>,
    hint: Option<String>,
}

/// More than these are counted, not listed.
const LISTED_MAX: usize = 40;

impl Made {
    pub(crate) fn add(&mut self, thing: impl Into<String>) {
        self.things.push(thing.into());
    }

    /// How a person can go on from here.
    pub(crate) fn hint(&mut self, hint: String) {
        self.hint = Some(hint);
    }

    /// The failure, after what exists already. Where nothing does, the failure alone.
    pub(crate) fn tell(&self, error: anyhow::Error) -> anyhow::Error {
        if self.things.is_empty() { error } else { error.context(self.to_string()) }
    }
}

impl fmt::Display for Made {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "This exists at Meta already; campaigns, ad sets and ads are PAUSED:")?;
        for thing in self.things.iter().take(LISTED_MAX) {
            write!(out, "\n  {thing}")?;
        }
        if self.things.len() > LISTED_MAX {
            write!(out, "\n  and {} more", self.things.len() - LISTED_MAX)?;
        }
        if let Some(hint) = &self.hint {
            write!(out, "\n{hint}")?;
        }
        write!(out, "\nThen it failed:")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_comes_after_what_exists_already() {
        let mut made = Made::default();
        assert_eq!(made.tell(anyhow::anyhow!("away")).to_string(), "away");
        made.add("picture 00ff (mug.png)");
        made.add("adAccounts/act_1/campaigns/2");
        let told = made.tell(anyhow::anyhow!("away"));
        assert!(told.to_string().contains("\n  picture 00ff (mug.png)\n  adAccounts/act_1/campaigns/2\n"), "{told}");
        assert_eq!(told.root_cause().to_string(), "away");
    }
}
