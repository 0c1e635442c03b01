//! What we know of Meta's error codes, as data (Meta, "Graph API: error handling", "Marketing API: error codes", "Insights
//! API: error codes", "Rate limits"). Meta's texts are not stable, so only code and subcode count.

use crate::meta_error::Verdict::{
    self, Missing, Permission, Rejected, Restricted, Throttled, Token, TooMuchData, Transient, VersionEnded,
};

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The first and the last code of a range, or the same code twice.
    codes: (i64, i64),
    /// `None` stands for every subcode that has no line of its own.
    subcode: Option<i64>,
    pub(crate) verdict: Verdict,
    /// What the caller does next, as the end of a sentence.
    pub(crate) advice: &'static str,
}

const fn code(code: i64, verdict: Verdict, advice: &'static str) -> Known {
    codes(code, code, verdict, advice)
}

const fn codes(first: i64, last: i64, verdict: Verdict, advice: &'static str) -> Known {
    Known { codes: (first, last), subcode: None, verdict, advice }
}

const fn sub(code: i64, subcode: i64, verdict: Verdict, advice: &'static str) -> Known {
    Known { codes: (code, code), subcode: Some(subcode), verdict, advice }
}

/// From here on a subcode means the same under whatever code it comes.
const SUBCODES_OF_THEIR_OWN: i64 = 1_000_000;

/// The line that says most about this error: that of its code and subcode, else that of its subcode, else that of its
/// code, else that of its range.
pub(crate) fn known(code: i64, subcode: Option<i64>) -> Option<&'static Known> {
    let fits = |line: &&Known| (line.codes.0..=line.codes.1).contains(&code);
    let exact = |line: &&Known| line.codes.0 == line.codes.1;
    let lines = || KNOWN.iter().filter(fits);
    lines()
        .find(|line| subcode.is_some() && line.subcode == subcode)
        .or_else(|| KNOWN.iter().find(|line| line.subcode == subcode && subcode >= Some(SUBCODES_OF_THEIR_OWN)))
        .or_else(|| lines().filter(|line| line.subcode.is_none()).find(exact))
        .or_else(|| lines().find(|line| line.subcode.is_none()))
}

const WAIT: &str = "wait as long as is said, then repeat";
const RETRY: &str = "it may pass by itself: try again later";
const LESS: &str = "ask for less at once: fewer rows, fields or days, or as a report";
const LOG_IN: &str = "somebody must log in to Meta and connect again";
const APP: &str = "the operator must look at the Meta app's settings";
const BLAMED: &str = "correct what Meta blames";

#[rustfmt::skip]
const KNOWN: &[Known] = &[
    // Quotas: not executed. Which bucket is meant is ratelimit's business.
    code(4, Throttled, WAIT),
    sub(4, 1_504_022, Throttled, WAIT),
    sub(4, 1_504_039, Throttled, WAIT),
    sub(100, 1_504_022, Throttled, WAIT),
    sub(100, 1_504_039, Throttled, WAIT),
    code(17, Throttled, WAIT),
    sub(17, 2_446_079, Throttled, WAIT),
    sub(17, 1_885_172, Rejected, "an account's spend limit may change ten times a day: wait a day"),
    code(32, Throttled, WAIT),
    code(341, Throttled, WAIT),
    code(613, Throttled, WAIT),
    sub(613, 1996, Throttled, "send more evenly, then repeat"),
    sub(613, 1_487_742, Throttled, WAIT),
    sub(613, 1_487_225, Throttled, "wait before making more ads in this account"),
    sub(613, 1_487_632, Throttled, "a budget may change four times an hour: wait an hour"),
    sub(613, 5_044_001, Throttled, "send fewer changes in one second"),
    codes(80_000, 80_014, Throttled, WAIT),
    // Perhaps executed.
    code(1, Transient, RETRY),
    sub(1, 99, Transient, RETRY),
    code(2, Transient, RETRY),
    sub(2, 1_504_043, Transient, RETRY),
    sub(2, 1_504_044, Transient, "try again later, then ask for less at once"),
    sub(-2, 2_490_547, Transient, "ask for the report again, then for less at once"),
    code(960, Transient, "another item of the batch failed or the batch took too long: look, then send this one again"),
    code(5000, Transient, RETRY),
    sub(100, 1_363_019, Transient, "upload the video again"),
    sub(100, 1_363_030, Transient, "upload the video again"),
    // More than one answer holds.
    sub(2, 1_504_038, TooMuchData, LESS),
    sub(-3, 1_504_045, TooMuchData, LESS),
    sub(100, 1_504_018, TooMuchData, LESS),
    sub(100, 1_487_534, TooMuchData, LESS),
    // The token is dead.
    code(102, Token, LOG_IN),
    code(104, Token, LOG_IN),
    code(190, Token, LOG_IN),
    sub(190, 458, Token, "the person removed the app: somebody must consent again"),
    sub(190, 459, Token, "the person must log in at facebook.com and answer what Meta asks there"),
    sub(190, 460, Token, "the person's password or session changed: somebody must log in again"),
    sub(190, 463, Token, "the token expired: somebody must log in again"),
    sub(190, 464, Token, "the person must confirm their account at facebook.com"),
    sub(190, 467, Token, "the token was revoked: somebody must consent again"),
    sub(190, 492, Token, "the person lost their role on the page: give it back, then connect again"),
    // A right is missing.
    code(3, Permission, "the Meta app needs this capability: ask Meta for it in app review"),
    code(10, Permission, "give the connected person or system user the right again"),
    codes(200, 299, Permission, "give the connected person or system user the right at Meta, or connect one that has it"),
    sub(200, 1_870_034, Permission, "accept the terms of custom audiences in Ads Manager"),
    sub(200, 1_870_090, Permission, "accept the terms of custom audiences in Ads Manager"),
    sub(200, 1_870_047, Rejected, "the audience is too small: add people"),
    code(270, Permission, "an app with limited access reaches only ad accounts of its own admins: ask Meta for full access"),
    code(272, Permission, "the caller must be an admin of the ad account"),
    code(273, Permission, "the caller must be an admin of the app"),
    code(274, Permission, "allow the app on this ad account, in the app's advertising settings"),
    code(275, Rejected, "say on which object"),
    code(278, Permission, "connect again and grant ads_read"),
    code(294, Permission, "connect again and grant ads_management"),
    sub(100, 3_191_001, Permission, "the connection may not read figures of this object: grant it, or ask for another"),
    sub(2654, 1_713_092, Permission, "the connection may not change this audience: ask its owner to share it for editing"),
    // Meta acts against somebody.
    code(368, Restricted, "Meta blocked this as against its rules: look at Account Quality before anything else"),
    code(2859, Restricted, "look at Account Quality"),
    sub(100, 1_404_163, Restricted, "look at Account Quality"),
    // It is gone, or hidden.
    sub(100, 33, Missing, "check the id and that the connection may see it"),
    code(803, Missing, "check the id"),
    sub(100, 2_446_211, Missing, "the post or creative is gone: use another"),
    sub(100, 1_443_048, Missing, "the post or creative is gone: use another"),
    sub(100, 2_446_289, Missing, "the post cannot be used: choose another"),
    sub(100, 1_487_056, Missing, "the ad set was deleted"),
    sub(100, 1_487_566, Missing, "the campaign was deleted"),
    // The version is gone.
    code(2635, VersionEnded, "the operator must set a newer version of Meta's API"),
    // The request is wrong, or not possible as things stand.
    code(100, Rejected, BLAMED),
    code(101, Rejected, APP),
    code(900, Rejected, APP),
    code(105, Rejected, "send fewer parameters"),
    code(194, Rejected, "say the parameter that is missing"),
    code(300, Rejected, "read the object again, then decide"),
    code(506, Rejected, "change the content: the same was posted before"),
    code(601, Rejected, "correct the query"),
    code(602, Rejected, "correct the query"),
    code(801, Rejected, "this cannot be done with this object"),
    code(1500, Rejected, "check the link"),
    code(1_609_005, Rejected, "check that the link can be opened from outside"),
    code(2500, Rejected, "correct the path or the fields"),
    code(2606, Rejected, BLAMED),
    code(2643, Rejected, BLAMED),
    code(2607, Rejected, "choose a currency that ad accounts may have"),
    code(2615, Rejected, "this cannot be changed on the ad account"),
    code(2641, Rejected, "take the restricted place out of the targeting"),
    code(2642, Rejected, "begin the list from its first page"),
    code(2650, Rejected, "wait for the replacement that is under way, then begin a new one"),
    code(2667, Rejected, "connect the Instagram account to the ad account"),
    code(2695, Rejected, "end an iOS 14 campaign first: there may be no more of them"),
    code(3018, Rejected, "begin at most 37 months ago"),
    sub(2, 1_504_041, Rejected, "choose breakdowns that go together"),
    sub(2, 1_504_042, Rejected, "correct the custom metric"),
    sub(6001, 1_363_037, Rejected, "go on at the offset that Meta names"),
    sub(100, 1_363_037, Rejected, "go on at the offset that Meta names"),
    sub(100, 1_363_041, Rejected, "begin the upload of the video anew"),
    sub(100, 1_487_007, Rejected, "it has ended: move its end, or make a new one"),
    sub(100, 1_487_033, Rejected, "let it end in the future"),
    sub(100, 1_885_088, Rejected, "it is archived: make a new one"),
    sub(100, 1_487_990, Rejected, "delete archived objects first"),
    sub(100, 1_487_901, Rejected, "raise the budget"),
    sub(100, 1_885_272, Rejected, "raise the budget"),
    sub(100, 1_885_621, Rejected, "set the budget on the campaign or on its ad sets, not on both"),
    sub(100, 2_446_307, Rejected, "raise the spend cap"),
    sub(100, 1_487_694, Rejected, "choose another targeting category"),
    sub(100, 2_446_394, Rejected, "choose another detailed targeting option"),
    sub(100, 1_870_088, Rejected, "leave connections out of the targeting"),
    sub(100, 1_870_199, Rejected, "leave location_types out"),
    sub(100, 1_870_165, Rejected, "target people under 18 by age and place only"),
    sub(100, 1_870_227, Rejected, "set targeting_automation.advantage_audience to 0 or 1"),
    sub(100, 1_815_857, Rejected, "give a bid amount, or choose another bid strategy"),
    sub(100, 2_446_509, Rejected, "choose a destination that fits the objective"),
    sub(100, 1_815_629, Rejected, "take out assets that stand twice"),
    sub(100, 2_490_085, Rejected, "crop the image otherwise"),
    sub(100, 3_858_258, Rejected, "check that the image can be downloaded from its address"),
    sub(100, 1_885_183, Rejected, "switch the app of the creative to live"),
    sub(100, 1_772_103, Rejected, "connect an Instagram account that may advertise"),
    sub(100, 2_853_001, Rejected, "link the profile first"),
    sub(100, 2_061_015, Rejected, "give the link of the lead ad"),
    sub(100, 2_708_008, Rejected, "get authorised for political ads first"),
    sub(100, 2_490_427, Rejected, "the ad was rejected: make a new one"),
    sub(100, 2_490_468, Rejected, "the ad was rejected: make a new one"),
    sub(100, 3_858_152, Rejected, "say who benefits from the ad and who pays for it"),
    sub(100, 1_752_129, Rejected, "choose a role that has this task"),
    sub(100, 1_713_098, Rejected, "correct the audience's rule"),
    sub(100, 1_713_228, Rejected, "the audience or conversion was flagged: use another"),
    sub(100, 1_713_230, Rejected, "the audience was flagged: no people can be added"),
    sub(100, 1_713_231, Rejected, "the audience or conversion was flagged: use another"),
    sub(100, 1_713_232, Rejected, "the audience or conversion was flagged: use another"),
    sub(100, 2_804_003, Rejected, "send events within seven days"),
    sub(100, 2_804_050, Rejected, "send more about the person"),
];

#[cfg(test)]
mod tests;
