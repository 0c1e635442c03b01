use std::collections::HashSet;

use super::*;

/// Every line of the table, with the first and the last code of its ranges, said a second time: a line that is changed
/// or shadowed by another shows here.
#[rustfmt::skip]
const EXPECTED: &[(i64, Option<i64>, Verdict)] = &[
    (4, None, Throttled),
    (4, Some(1_504_022), Throttled),
    (4, Some(1_504_039), Throttled),
    (100, Some(1_504_022), Throttled),
    (100, Some(1_504_039), Throttled),
    (17, None, Throttled),
    (17, Some(2_446_079), Throttled),
    (17, Some(1_885_172), Rejected),
    (32, None, Throttled),
    (341, None, Throttled),
    (613, None, Throttled),
    (613, Some(1996), Throttled),
    (613, Some(1_487_742), Throttled),
    (613, Some(1_487_225), Throttled),
    (613, Some(1_487_632), Throttled),
    (613, Some(5_044_001), Throttled),
    (80_000, None, Throttled),
    (80_014, None, Throttled),
    (1, None, Transient),
    (1, Some(99), Transient),
    (2, None, Transient),
    (2, Some(1_504_043), Transient),
    (2, Some(1_504_044), Transient),
    (-2, Some(2_490_547), Transient),
    (960, None, Transient),
    (5000, None, Transient),
    (100, Some(1_363_019), Transient),
    (100, Some(1_363_030), Transient),
    (2, Some(1_504_038), TooMuchData),
    (-3, Some(1_504_045), TooMuchData),
    (100, Some(1_504_018), TooMuchData),
    (100, Some(1_487_534), TooMuchData),
    (102, None, Token),
    (104, None, Token),
    (190, None, Token),
    (190, Some(458), Token),
    (190, Some(459), Token),
    (190, Some(460), Token),
    (190, Some(463), Token),
    (190, Some(464), Token),
    (190, Some(467), Token),
    (190, Some(492), Token),
    (3, None, Permission),
    (10, None, Permission),
    (200, None, Permission),
    (298, None, Permission),
    (200, Some(1_870_034), Permission),
    (200, Some(1_870_090), Permission),
    (200, Some(1_870_047), Rejected),
    (270, None, Permission),
    (272, None, Permission),
    (273, None, Permission),
    (274, None, Permission),
    (275, None, Rejected),
    (278, None, Permission),
    (294, None, Permission),
    (100, Some(3_191_001), Permission),
    (2654, Some(1_713_092), Permission),
    (368, None, Restricted),
    (2859, None, Restricted),
    (100, Some(1_404_163), Restricted),
    (100, Some(33), Missing),
    (803, None, Missing),
    (100, Some(2_446_211), Missing),
    (100, Some(1_443_048), Missing),
    (100, Some(2_446_289), Missing),
    (100, Some(1_487_056), Missing),
    (100, Some(1_487_566), Missing),
    (2635, None, VersionEnded),
    (100, None, Rejected),
    (101, None, Rejected),
    (900, None, Rejected),
    (105, None, Rejected),
    (194, None, Rejected),
    (300, None, Rejected),
    (506, None, Rejected),
    (601, None, Rejected),
    (602, None, Rejected),
    (801, None, Rejected),
    (1500, None, Rejected),
    (1_609_005, None, Rejected),
    (2500, None, Rejected),
    (2606, None, Rejected),
    (2643, None, Rejected),
    (2607, None, Rejected),
    (2615, None, Rejected),
    (2641, None, Rejected),
    (2642, None, Rejected),
    (2650, None, Rejected),
    (2667, None, Rejected),
    (2695, None, Rejected),
    (3018, None, Rejected),
    (2, Some(1_504_041), Rejected),
    (2, Some(1_504_042), Rejected),
    (6001, Some(1_363_037), Rejected),
    (100, Some(1_363_037), Rejected),
    (100, Some(1_363_041), Rejected),
    (100, Some(1_487_007), Rejected),
    (100, Some(1_487_033), Rejected),
    (100, Some(1_885_088), Rejected),
    (100, Some(1_487_990), Rejected),
    (100, Some(1_487_901), Rejected),
    (100, Some(1_885_272), Rejected),
    (100, Some(1_885_621), Rejected),
    (100, Some(2_446_307), Rejected),
    (100, Some(1_487_694), Rejected),
    (100, Some(2_446_394), Rejected),
    (100, Some(1_870_088), Rejected),
    (100, Some(1_870_199), Rejected),
    (100, Some(1_870_165), Rejected),
    (100, Some(1_870_227), Rejected),
    (100, Some(1_815_857), Rejected),
    (100, Some(2_446_509), Rejected),
    (100, Some(1_815_629), Rejected),
    (100, Some(2_490_085), Rejected),
    (100, Some(3_858_258), Rejected),
    (100, Some(1_885_183), Rejected),
    (100, Some(1_772_103), Rejected),
    (100, Some(2_853_001), Rejected),
    (100, Some(2_061_015), Rejected),
    (100, Some(2_708_008), Rejected),
    (100, Some(2_490_427), Rejected),
    (100, Some(2_490_468), Rejected),
    (100, Some(3_858_152), Rejected),
    (100, Some(1_752_129), Rejected),
    (100, Some(1_713_098), Rejected),
    (100, Some(1_713_228), Rejected),
    (100, Some(1_713_230), Rejected),
    (100, Some(1_713_231), Rejected),
    (100, Some(1_713_232), Rejected),
    (100, Some(2_804_003), Rejected),
    (100, Some(2_804_050), Rejected),
];

#[test]
fn every_line_is_found_by_its_code_and_says_what_to_do() {
    let mut found = HashSet::new();
    for (code, subcode, verdict) in EXPECTED {
        let line = known(*code, *subcode).unwrap_or_else(|| panic!("{code}/{subcode:?} has no line"));
        assert_eq!((line.subcode, line.verdict), (*subcode, *verdict), "{code}/{subcode:?}");
        assert!(!line.advice.is_empty() && !line.advice.ends_with('.'), "{code}/{subcode:?}");
        found.insert((line.codes, line.subcode));
    }
    assert_eq!(found.len(), KNOWN.len(), "a line of the table is not expected, or stands twice");
}

#[test]
fn a_pair_without_a_line_is_as_its_subcode_or_else_as_its_code() {
    assert_eq!(known(80_000, Some(1_504_018)).map(|line| line.verdict), Some(TooMuchData));
    assert_eq!(known(190, Some(1)).map(|line| line.verdict), Some(Token));
    assert_eq!(known(4, Some(99)).map(|line| line.verdict), Some(Throttled));
    assert_eq!(known(80_004, Some(2_446_079)).map(|line| line.verdict), Some(Throttled));
    assert_eq!(known(211, Some(1)).map(|line| line.verdict), Some(Permission));
    assert_eq!(known(100, Some(1)).map(|line| line.verdict), Some(Rejected));
}

#[test]
fn a_code_that_nobody_knows_has_no_line() {
    assert_eq!(known(79_999, None), None);
    assert_eq!(known(0, None), None);
}
