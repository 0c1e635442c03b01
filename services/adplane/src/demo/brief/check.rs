//! What a brief's own shape cannot say and needs no account to be known.

use std::collections::HashSet;

use proto::campaigns::v1::{Objective, OptimizationGoal};
use runtime::settings::nearest;
use toml::Spanned;

use super::{
    super::{mistake::Mistake, orders::is_amount},
    Ad, AdSet, Brief,
};

/// Meta's limits; 65 stands for 65 and older.
const AGES: std::ops::RangeInclusive<i32> = 13..=65;

/// Numbers that an enum of ours may have, for listing its words.
const ENUM_NUMBERS: std::ops::Range<i32> = 1..1_000;

/// All that is wrong. How fields go together is the service's business, which knows Meta's rules.
pub(super) fn check(brief: &Brief) -> Vec<Mistake> {
    let mut wrong = Wrong { brief, mistakes: Vec::new() };
    let campaign = &brief.campaign;
    wrong.named(&campaign.name);
    wrong.word("objective", &campaign.objective, &objectives());
    wrong.budget(&campaign.daily_budget);
    wrong.named(&brief.audience.name);
    wrong.check(&brief.report.days, "days", |days| (1..=90).contains(days), "must be 1 to 90");
    if brief.ad_sets.is_empty() {
        wrong.mistakes.push(Mistake::of(&brief.source.file, "has no [[ad_set]]"));
    }
    let mut names = HashSet::new();
    for set in &brief.ad_sets {
        wrong.check(&set.name, "name", |name| names.insert(name), "is the name of another ad set, too");
        wrong.ad_set(set);
    }
    wrong.mistakes
}

/// The objectives that exist, as Meta writes them.
fn objectives() -> Vec<&'static str> {
    let known = ENUM_NUMBERS.filter_map(|number| Objective::try_from(number).ok());
    known.map(|word| word.as_str_name().trim_start_matches("OBJECTIVE_")).collect()
}

/// The optimisation goals that exist, as Meta writes them.
fn goals() -> Vec<&'static str> {
    let known = ENUM_NUMBERS.filter_map(|number| OptimizationGoal::try_from(number).ok());
    known.map(|word| word.as_str_name().trim_start_matches("OPTIMIZATION_GOAL_")).collect()
}

struct Wrong<'a> {
    brief: &'a Brief,
    mistakes: Vec<Mistake>,
}

impl<'a> Wrong<'a> {
    fn add<T>(&mut self, value: &Spanned<T>, key: &str, reason: impl Into<String>) {
        self.mistakes.push(self.brief.source.mistake(value.span().start, key, reason));
    }

    fn check<T>(&mut self, value: &'a Spanned<T>, key: &str, holds: impl FnOnce(&'a T) -> bool, reason: &str) {
        if !holds(value.get_ref()) {
            self.add(value, key, reason);
        }
    }

    fn named(&mut self, name: &'a Spanned<String>) {
        self.check(name, "name", |name| !name.trim().is_empty(), "must not be empty");
    }

    /// One of Meta's words that we know by heart.
    fn word(&mut self, key: &str, word: &Spanned<String>, known: &[&str]) {
        let given = word.get_ref().as_str();
        if known.contains(&given) {
            return;
        }
        let meant = nearest(&given.to_uppercase(), known.iter().copied());
        let hint = match meant {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("Meta has {}", known.join(", ")),
        };
        self.add(word, key, format!("`{given}` is none of Meta's words; {hint}"));
    }

    /// One of Meta's words that only Meta knows: its spelling.
    fn spelt(&mut self, key: &str, word: &Spanned<String>, example: &str) {
        let given = word.get_ref();
        let letters = given.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        if !letters || !given.starts_with(|first: char| first.is_ascii_uppercase()) {
            self.add(word, key, format!("`{given}` is no word of Meta's such as {example}"));
        }
    }

    /// How many decimals it may have depends on the account's currency and is seen later.
    fn budget(&mut self, budget: &Spanned<String>) {
        let given = budget.get_ref();
        if !is_amount(given) {
            self.add(budget, "daily_budget", format!("`{given}` is no amount such as 120.00"));
        } else if given.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
            self.add(budget, "daily_budget", "must be more than 0");
        }
    }

    fn ad_set(&mut self, set: &'a AdSet) {
        self.named(&set.name);
        self.countries(&set.countries);
        let range = "must be 13 to 65, where 65 is 65 and older";
        self.check(&set.age_min, "age_min", |age| AGES.contains(age), range);
        self.check(&set.age_max, "age_max", |age| AGES.contains(age), range);
        let least = *set.age_min.get_ref();
        self.check(&set.age_max, "age_max", |most| least <= *most, "must not be below age_min");
        self.word("optimization_goal", &set.optimization_goal, &goals());
        self.spelt("event", &set.event, "PURCHASE");
        if set.ads.is_empty() {
            self.add(&set.name, "name", "has no [[ad_set.ad]] beneath it");
        }
        let mut names = HashSet::new();
        for ad in &set.ads {
            self.check(&ad.name, "name", |name| names.insert(name), "is the name of another ad of this ad set, too");
            self.ad(ad);
        }
    }

    fn countries(&mut self, countries: &Spanned<Vec<String>>) {
        if countries.get_ref().is_empty() {
            self.add(countries, "countries", "names no country");
        }
        for country in countries.get_ref() {
            if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
                self.add(countries, "countries", format!("`{country}` is no country code such as DE"));
            }
        }
    }

    fn ad(&mut self, ad: &'a Ad) {
        self.named(&ad.name);
        let link = ad.link.get_ref();
        let rest = link.strip_prefix("https://").or_else(|| link.strip_prefix("http://"));
        if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/') || rest.contains(char::is_whitespace)) {
            self.add(&ad.link, "link", format!("`{link}` is no web address"));
        }
        self.spelt("call_to_action", &ad.call_to_action, "SHOP_NOW");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::changed;

    #[test]
    fn a_mistake_names_its_line_and_key() {
        for (from, to, told) in [
            ("days = 30", "days = 900", "line 56, days: must be 1 to 90"),
            ("\"https://shop.example.com/mug\"", "\"shop/mug\"", "link: `shop/mug` is no web address"),
            ("[\"US\"]", "[\"usa\"]", "line 17, countries: `usa` is no country code"),
            (
                "OUTCOME_SALES",
                "OUTCOME_SALE",
                "line 7, objective: `OUTCOME_SALE` is none of Meta's words; did you mean OUTCOME_SALES?",
            ),
            ("OUTCOME_SALES", "outcome_sales", "did you mean OUTCOME_SALES?"),
            ("OUTCOME_SALES", "MONEY", "Meta has OUTCOME_AWARENESS, "),
            ("OFFSITE_CONVERSIONS", "OFSITE_CONVERSION", "line 20, optimization_goal: `OFSITE_CONVERSION`"),
            ("120.00", "12.345..6", "line 8, daily_budget: `12.345..6` is no amount such as 120.00"),
            ("120.00", ".5", "daily_budget: `.5` is no amount"),
            ("120.00", "-5", "daily_budget: `-5` is no amount"),
            ("120.00", "0.00", "daily_budget: must be more than 0"),
            ("age_min = 25", "age_min = 12", "line 18, age_min: must be 13 to 65"),
            ("age_max = 65", "age_max = 66", "line 19, age_max: must be 13 to 65"),
            ("age_min = 30\nage_max = 65", "age_min = 30\nage_max = 20", "age_max: must not be below age_min"),
            ("\"Autumn table\"", "\" \"", "line 6, name: must not be empty"),
            ("\"Mug\"", "\"\"", "line 24, name: must not be empty"),
            ("\"Beans\"", "\"Mug\"", "line 32, name: is the name of another ad of this ad set, too"),
            ("SHOP_NOW", "Shop now", "line 29, call_to_action: `Shop now` is no word of Meta's such as SHOP_NOW"),
            ("\"PURCHASE\"", "\"\"", "line 21, event: `` is no word of Meta's such as PURCHASE"),
        ] {
            let told_us = changed(from, to).unwrap_err();
            assert!(told_us.contains(told) && told_us.ends_with("Nothing was sent."), "{told}\n{told_us}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let told = changed(
            "objective = \"OUTCOME_SALES\"\ndaily_budget = \"120.00\"",
            "objective = \"X\"\ndaily_budget = \"x\"",
        );
        let told = told.unwrap_err();
        assert!(told.contains("objective: ") && told.contains("daily_budget: "), "{told}");
    }
}
