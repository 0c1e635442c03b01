//! The brief: what a person wants to launch, in a file that reads like a note.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::Spanned;

use super::mistake::{Mistake, Mistakes};

/// What to launch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Brief {
    pub(crate) campaign: Campaign,
    pub(crate) audience: Audience,
    #[serde(rename = "ad_set")]
    pub(crate) ad_sets: Vec<AdSet>,
    pub(crate) report: Report,
}

/// The campaign; its budget is shared by all ad sets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Campaign {
    pub(crate) name: String,
    /// Meta's word, such as `OUTCOME_SALES`.
    pub(crate) objective: Spanned<String>,
    /// In the account's currency, as people write it: `120.00`.
    pub(crate) daily_budget: Spanned<String>,
    /// Meta's words; empty where none applies.
    #[serde(default)]
    pub(crate) special_ad_categories: Vec<String>,
}

/// The audience that the customers go into.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Audience {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
}

/// Whom to show it to, and what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdSet {
    pub(crate) name: String,
    pub(crate) countries: Spanned<Vec<String>>,
    pub(crate) age_min: i32,
    pub(crate) age_max: i32,
    /// Meta's word, such as `OFFSITE_CONVERSIONS`.
    pub(crate) optimization_goal: Spanned<String>,
    /// Meta's word of the event to optimise for, such as `PURCHASE`.
    pub(crate) event: String,
    #[serde(rename = "ad")]
    pub(crate) ads: Vec<Ad>,
}

/// One ad.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ad {
    pub(crate) name: String,
    /// A PNG or JPEG beside the brief.
    pub(crate) picture: Spanned<PathBuf>,
    pub(crate) headline: String,
    pub(crate) text: String,
    pub(crate) link: Spanned<String>,
    /// Meta's word, such as `SHOP_NOW`.
    pub(crate) call_to_action: String,
}

/// What to measure.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    /// How many days up to yesterday, 1 to 90.
    pub(crate) days: Spanned<i64>,
}

/// A picture with its content.
pub(crate) struct Picture {
    pub(crate) file_name: String,
    pub(crate) content: Vec<u8>,
}

/// Meta's own limit for an image.
const PICTURE_BYTES_MAX: usize = 30 << 20;

impl Brief {
    /// All ads, with the ad set that each belongs to.
    pub(crate) fn ads(&self) -> impl Iterator<Item = (usize, &Ad)> {
        self.ad_sets.iter().enumerate().flat_map(|(at, ad_set)| ad_set.ads.iter().map(move |ad| (at, ad)))
    }
}

/// Reads the brief and the pictures that it names, one for each ad in the brief's order.
pub(crate) fn read(file: &Path) -> Result<(Brief, Vec<Picture>), Mistakes> {
    let one = |mistake| Mistakes(vec![mistake]);
    let text = fs::read_to_string(file).map_err(|error| one(Mistake::of(file, format!("cannot be read: {error}"))))?;
    let brief: Brief = toml::from_str(&text).map_err(|error| {
        let mistake = Mistake::of(file, error.message());
        one(match error.span() {
            Some(span) => mistake.line(line(&text, span.start)),
            None => mistake,
        })
    })?;
    let mut mistakes = Vec::new();
    let mut wrong = |start: usize, key: &str, reason: String| {
        mistakes.push(Mistake::of(file, reason).line(line(&text, start)).column(key.to_owned()));
    };
    check(&brief, &mut wrong);
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut pictures = Vec::new();
    for (_, ad) in brief.ads() {
        match picture(&folder.join(ad.picture.get_ref())) {
            Ok(picture) => pictures.push(picture),
            Err(reason) => wrong(ad.picture.span().start, "picture", reason),
        }
    }
    if mistakes.is_empty() { Ok((brief, pictures)) } else { Err(Mistakes(mistakes)) }
}

/// What the file's own shape cannot say. Meta's rules are the service's business, which knows them all.
fn check(brief: &Brief, wrong: &mut impl FnMut(usize, &str, String)) {
    let budget = &brief.campaign.daily_budget;
    if !budget.get_ref().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        wrong(budget.span().start, "daily_budget", format!("`{}` is no amount such as 120.00", budget.get_ref()));
    }
    let days = &brief.report.days;
    if !(1..=90).contains(days.get_ref()) {
        wrong(days.span().start, "days", "must be 1 to 90".to_owned());
    }
    for ad_set in &brief.ad_sets {
        let countries = &ad_set.countries;
        if countries.get_ref().is_empty() {
            wrong(countries.span().start, "countries", "names no country".to_owned());
        }
        for country in countries.get_ref() {
            if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
                wrong(countries.span().start, "countries", format!("`{country}` is no country code such as DE"));
            }
        }
        for ad in &ad_set.ads {
            if !ad.link.get_ref().starts_with("https://") && !ad.link.get_ref().starts_with("http://") {
                wrong(ad.link.span().start, "link", format!("`{}` is no web address", ad.link.get_ref()));
            }
        }
    }
}

fn picture(path: &Path) -> Result<Picture, String> {
    let content = fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    if content.len() > PICTURE_BYTES_MAX {
        return Err(format!("{} has {} bytes; Meta takes 30 MB at most", path.display(), content.len()));
    }
    if !content.starts_with(b"\x89PNG\r\n\x1a\n") && !content.starts_with(b"\xff\xd8\xff") {
        return Err(format!("{} is neither PNG nor JPEG", path.display()));
    }
    let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Picture { file_name, content })
}

fn line(text: &str, at: usize) -> u64 {
    let breaks = text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    u64::try_from(breaks).unwrap_or(0) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_s_own_brief_is_good() {
        let brief = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/demo/brief.toml");
        let (brief, pictures) = read(&brief).unwrap();
        assert_eq!(brief.ads().count(), pictures.len());
    }

    #[test]
    fn a_mistake_names_its_line_and_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("brief.toml");
        let good = include_str!("../../../../deploy/demo/brief.toml");
        for (from, to, told) in [
            ("days = 30", "days = 900", "days: must be 1 to 90"),
            ("\"https://shop.example.com/mug\"", "\"shop/mug\"", "link: `shop/mug` is no web address"),
            ("[\"US\"]", "[\"usa\"]", "countries: `usa` is no country code"),
            ("age_min = 25", "age_minimum = 25", "unknown field `age_minimum`"),
        ] {
            fs::write(&file, good.replace(from, to)).unwrap();
            let told_us = read(&file).err().unwrap().to_string();
            assert!(told_us.contains(told) && told_us.contains("line "), "{told_us}");
        }
    }
}
