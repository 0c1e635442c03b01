//! The brief: what a person wants to launch, in a file that reads like a note.

mod check;
mod place;

use std::{
    fs,
    path::{Path, PathBuf},
};

use runtime::settings::nearest;
use serde::Deserialize;
use toml::Spanned;

use super::mistake::{Mistake, Mistakes, unread};

/// What to launch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Brief {
    pub(crate) campaign: Campaign,
    pub(crate) audience: Audience,
    #[serde(rename = "ad_set")]
    pub(crate) ad_sets: Vec<AdSet>,
    pub(crate) report: Report,
    #[serde(skip)]
    source: Source,
}

/// The campaign; its budget is shared by all ad sets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Campaign {
    pub(crate) name: Spanned<String>,
    /// Meta's word, such as `OUTCOME_SALES`.
    pub(crate) objective: Spanned<String>,
    /// In the account's currency, as people write it: `120.00`.
    pub(crate) daily_budget: Spanned<String>,
    /// Meta's words; none where none applies.
    pub(crate) special_ad_categories: Option<Spanned<Vec<String>>>,
}

/// The audience that the customers go into.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Audience {
    pub(crate) name: Spanned<String>,
    #[serde(default)]
    pub(crate) description: String,
}

/// Whom to show it to, and what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdSet {
    pub(crate) name: Spanned<String>,
    pub(crate) countries: Spanned<Vec<String>>,
    pub(crate) age_min: Spanned<i32>,
    pub(crate) age_max: Spanned<i32>,
    /// Meta's word, such as `OFFSITE_CONVERSIONS`.
    pub(crate) optimization_goal: Spanned<String>,
    /// Meta's word of the event to optimise for, such as `PURCHASE`.
    pub(crate) event: Spanned<String>,
    #[serde(rename = "ad")]
    pub(crate) ads: Vec<Ad>,
}

/// One ad.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ad {
    pub(crate) name: Spanned<String>,
    /// A PNG or JPEG beside the brief.
    pub(crate) picture: Spanned<PathBuf>,
    pub(crate) headline: Spanned<String>,
    pub(crate) text: Spanned<String>,
    pub(crate) link: Spanned<String>,
    /// Meta's word, such as `SHOP_NOW`.
    pub(crate) call_to_action: Spanned<String>,
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

/// The file that it was read from, for pointing at a line.
#[derive(Debug, Default)]
struct Source {
    file: PathBuf,
    text: String,
}

impl Source {
    /// A mistake at this byte of the file.
    fn mistake(&self, at: usize, key: &str, reason: impl Into<String>) -> Mistake {
        Mistake::of(&self.file, reason).line(line(&self.text, at)).column(key)
    }
}

/// Meta's own limit for an image.
const PICTURE_BYTES_MAX: usize = 30 << 20;

impl Brief {
    /// All ads, with the ad set that each belongs to and its place.
    pub(crate) fn ads(&self) -> impl Iterator<Item = (usize, &AdSet, &Ad)> {
        self.ad_sets.iter().enumerate().flat_map(|(at, set)| set.ads.iter().map(move |ad| (at, set, ad)))
    }
}

/// Reads the brief and the pictures that it names, one for each ad in the brief's order.
pub(crate) fn read(file: &Path) -> Result<(Brief, Vec<Picture>), Mistakes> {
    let one = |mistake| Mistakes(vec![mistake]);
    let text = fs::read_to_string(file).map_err(|error| one(Mistake::of(file, unread(&error))))?;
    let mut brief: Brief = toml::from_str(&text).map_err(|error| {
        let mistake = Mistake::of(file, unreadable(error.message()));
        one(match error.span() {
            Some(span) => mistake.line(line(&text, span.start)),
            None => mistake,
        })
    })?;
    brief.source = Source { file: file.to_owned(), text };
    let mut mistakes = check::check(&brief);
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut pictures = Vec::new();
    for (_, _, ad) in brief.ads() {
        match picture(&folder.join(ad.picture.get_ref())) {
            Ok(picture) => pictures.push(picture),
            Err(reason) => mistakes.push(brief.source.mistake(ad.picture.span().start, "picture", reason)),
        }
    }
    if mistakes.is_empty() { Ok((brief, pictures)) } else { Err(Mistakes(mistakes)) }
}

/// What is wrong with the file's shape; a key that nobody knows with the one that was meant, not with all there are.
fn unreadable(message: &str) -> String {
    let Some((unknown, known)) = message.strip_prefix("unknown field ").and_then(|rest| rest.split_once(", ")) else {
        return message.to_owned();
    };
    let known = known.split('`').skip(1).step_by(2);
    match nearest(unknown.trim_matches('`'), known.clone()) {
        Some(meant) => format!("unknown key {unknown}; did you mean `{meant}`?"),
        None => format!("unknown key {unknown}; the keys here are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

fn picture(path: &Path) -> Result<Picture, String> {
    let content = fs::read(path).map_err(|error| format!("{} {}", path.display(), unread(&error)))?;
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

    /// The demo's own brief with one thing changed, checked without its pictures.
    pub(super) fn changed(from: &str, to: &str) -> Result<Brief, String> {
        let good = include_str!("../../../../deploy/demo/brief.toml");
        assert!(good.contains(from), "{from}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("brief.toml");
        fs::write(&file, good.replacen(from, to, 1)).unwrap();
        fs::create_dir(folder.path().join("pictures")).unwrap();
        for name in ["mug", "beans", "teapot"] {
            fs::write(folder.path().join(format!("pictures/{name}.png")), b"\x89PNG\r\n\x1a\n").unwrap();
        }
        read(&file).map(|(brief, _)| brief).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn the_demo_s_own_brief_is_good() {
        let brief = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/demo/brief.toml");
        let (brief, pictures) = read(&brief).unwrap();
        assert_eq!(brief.ads().count(), pictures.len());
    }

    #[test]
    fn a_key_that_nobody_knows_is_told_with_the_one_that_was_meant() {
        let told = changed("age_min = 25", "age_minn = 25").unwrap_err();
        assert!(told.contains("line 18: unknown key `age_minn`; did you mean `age_min`?"), "{told}");
    }

    #[test]
    fn a_picture_that_is_not_there_is_told_with_its_line() {
        let told = changed("pictures/mug.png", "pictures/cup.png").unwrap_err();
        assert!(told.contains("line 25, picture: ") && told.contains("cup.png is not there"), "{told}");
    }
}
