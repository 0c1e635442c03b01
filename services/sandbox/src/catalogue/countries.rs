//! Countries by their ISO codes, and the groups that stand for several.

/// Code, English name, and thousands of people. Sizes are rounded guesses; small countries share one.
#[rustfmt::skip]
const COUNTRIES: &[(&str, &str, u64)] = &[
    ("AD", "Andorra", 300), ("AE", "United Arab Emirates", 9_000), ("AF", "Afghanistan", 300),
    ("AG", "Antigua and Barbuda", 300), ("AI", "Anguilla", 300), ("AL", "Albania", 300), ("AM", "Armenia", 300),
    ("AO", "Angola", 300), ("AQ", "Antarctica", 300), ("AR", "Argentina", 30_000), ("AS", "American Samoa", 300),
    ("AT", "Austria", 4_900), ("AU", "Australia", 17_000), ("AW", "Aruba", 300), ("AX", "Åland Islands", 300),
    ("AZ", "Azerbaijan", 300), ("BA", "Bosnia and Herzegovina", 300), ("BB", "Barbados", 300),
    ("BD", "Bangladesh", 53_000), ("BE", "Belgium", 7_600), ("BF", "Burkina Faso", 300), ("BG", "Bulgaria", 3_600),
    ("BH", "Bahrain", 300), ("BI", "Burundi", 300), ("BJ", "Benin", 300), ("BL", "Saint Barthélemy", 300),
    ("BM", "Bermuda", 300), ("BN", "Brunei", 300), ("BO", "Bolivia", 300),
    ("BQ", "Bonaire, Sint Eustatius and Saba", 300), ("BR", "Brazil", 118_000), ("BS", "Bahamas", 300),
    ("BT", "Bhutan", 300), ("BV", "Bouvet Island", 300), ("BW", "Botswana", 300), ("BY", "Belarus", 300),
    ("BZ", "Belize", 300), ("CA", "Canada", 25_000), ("CC", "Cocos (Keeling) Islands", 300),
    ("CD", "Democratic Republic of the Congo", 300), ("CF", "Central African Republic", 300),
    ("CG", "Republic of the Congo", 300), ("CH", "Switzerland", 4_700), ("CI", "Côte d'Ivoire", 300),
    ("CK", "Cook Islands", 300), ("CL", "Chile", 15_000), ("CM", "Cameroon", 300), ("CN", "China", 300),
    ("CO", "Colombia", 36_000), ("CR", "Costa Rica", 300), ("CU", "Cuba", 300), ("CV", "Cape Verde", 300),
    ("CW", "Curaçao", 300), ("CX", "Christmas Island", 300), ("CY", "Cyprus", 750), ("CZ", "Czechia", 5_900),
    ("DE", "Germany", 34_000), ("DJ", "Djibouti", 300), ("DK", "Denmark", 3_900), ("DM", "Dominica", 300),
    ("DO", "Dominican Republic", 300), ("DZ", "Algeria", 25_000), ("EC", "Ecuador", 14_000), ("EE", "Estonia", 800),
    ("EG", "Egypt", 46_000), ("EH", "Western Sahara", 300), ("ER", "Eritrea", 300), ("ES", "Spain", 27_000),
    ("ET", "Ethiopia", 300), ("FI", "Finland", 3_300), ("FJ", "Fiji", 300), ("FK", "Falkland Islands", 300),
    ("FM", "Micronesia", 300), ("FO", "Faroe Islands", 300), ("FR", "France", 36_000), ("GA", "Gabon", 300),
    ("GB", "United Kingdom", 43_000), ("GD", "Grenada", 300), ("GE", "Georgia", 300), ("GF", "French Guiana", 300),
    ("GG", "Guernsey", 300), ("GH", "Ghana", 300), ("GI", "Gibraltar", 300), ("GL", "Greenland", 300),
    ("GM", "Gambia", 300), ("GN", "Guinea", 300), ("GP", "Guadeloupe", 300), ("GQ", "Equatorial Guinea", 300),
    ("GR", "Greece", 6_200), ("GS", "South Georgia and the South Sandwich Islands", 300), ("GT", "Guatemala", 300),
    ("GU", "Guam", 300), ("GW", "Guinea-Bissau", 300), ("GY", "Guyana", 300), ("HK", "Hong Kong", 4_900),
    ("HM", "Heard Island and McDonald Islands", 300), ("HN", "Honduras", 300), ("HR", "Croatia", 2_100),
    ("HT", "Haiti", 300), ("HU", "Hungary", 5_600), ("ID", "Indonesia", 132_000), ("IE", "Ireland", 3_200),
    ("IL", "Israel", 5_300), ("IM", "Isle of Man", 300), ("IN", "India", 390_000),
    ("IO", "British Indian Ocean Territory", 300), ("IQ", "Iraq", 19_000), ("IR", "Iran", 300),
    ("IS", "Iceland", 280), ("IT", "Italy", 33_000), ("JE", "Jersey", 300), ("JM", "Jamaica", 300),
    ("JO", "Jordan", 300), ("JP", "Japan", 62_000), ("KE", "Kenya", 13_000), ("KG", "Kyrgyzstan", 300),
    ("KH", "Cambodia", 300), ("KI", "Kiribati", 300), ("KM", "Comoros", 300), ("KN", "Saint Kitts and Nevis", 300),
    ("KP", "North Korea", 300), ("KR", "South Korea", 23_000), ("KW", "Kuwait", 300), ("KY", "Cayman Islands", 300),
    ("KZ", "Kazakhstan", 300), ("LA", "Laos", 300), ("LB", "Lebanon", 300), ("LC", "Saint Lucia", 300),
    ("LI", "Liechtenstein", 20), ("LK", "Sri Lanka", 300), ("LR", "Liberia", 300), ("LS", "Lesotho", 300),
    ("LT", "Lithuania", 1_600), ("LU", "Luxembourg", 400), ("LV", "Latvia", 1_000), ("LY", "Libya", 300),
    ("MA", "Morocco", 21_000), ("MC", "Monaco", 300), ("MD", "Moldova", 300), ("ME", "Montenegro", 300),
    ("MF", "Saint Martin", 300), ("MG", "Madagascar", 300), ("MH", "Marshall Islands", 300),
    ("MK", "North Macedonia", 300), ("ML", "Mali", 300), ("MM", "Myanmar", 18_000), ("MN", "Mongolia", 300),
    ("MO", "Macao", 300), ("MP", "Northern Mariana Islands", 300), ("MQ", "Martinique", 300),
    ("MR", "Mauritania", 300), ("MS", "Montserrat", 300), ("MT", "Malta", 330), ("MU", "Mauritius", 300),
    ("MV", "Maldives", 300), ("MW", "Malawi", 300), ("MX", "Mexico", 92_000), ("MY", "Malaysia", 24_000),
    ("MZ", "Mozambique", 300), ("NA", "Namibia", 300), ("NC", "New Caledonia", 300), ("NE", "Niger", 300),
    ("NF", "Norfolk Island", 300), ("NG", "Nigeria", 36_000), ("NI", "Nicaragua", 300), ("NL", "Netherlands", 11_500),
    ("NO", "Norway", 3_700), ("NP", "Nepal", 300), ("NR", "Nauru", 300), ("NU", "Niue", 300),
    ("NZ", "New Zealand", 3_400), ("OM", "Oman", 300), ("PA", "Panama", 300), ("PE", "Peru", 25_000),
    ("PF", "French Polynesia", 300), ("PG", "Papua New Guinea", 300), ("PH", "Philippines", 86_000),
    ("PK", "Pakistan", 49_000), ("PL", "Poland", 21_000), ("PM", "Saint Pierre and Miquelon", 300),
    ("PN", "Pitcairn Islands", 300), ("PR", "Puerto Rico", 300), ("PS", "Palestine", 300), ("PT", "Portugal", 7_100),
    ("PW", "Palau", 300), ("PY", "Paraguay", 300), ("QA", "Qatar", 300), ("RE", "Réunion", 300),
    ("RO", "Romania", 11_500), ("RS", "Serbia", 300), ("RU", "Russia", 300), ("RW", "Rwanda", 300),
    ("SA", "Saudi Arabia", 15_000), ("SB", "Solomon Islands", 300), ("SC", "Seychelles", 300), ("SD", "Sudan", 300),
    ("SE", "Sweden", 6_400), ("SG", "Singapore", 4_300), ("SH", "Saint Helena", 300), ("SI", "Slovenia", 1_000),
    ("SJ", "Svalbard and Jan Mayen", 300), ("SK", "Slovakia", 2_900), ("SL", "Sierra Leone", 300),
    ("SM", "San Marino", 300), ("SN", "Senegal", 300), ("SO", "Somalia", 300), ("SR", "Suriname", 300),
    ("SS", "South Sudan", 300), ("ST", "Sao Tome and Principe", 300), ("SV", "El Salvador", 300),
    ("SX", "Sint Maarten", 300), ("SY", "Syria", 300), ("SZ", "Eswatini", 300),
    ("TC", "Turks and Caicos Islands", 300), ("TD", "Chad", 300), ("TF", "French Southern Territories", 300),
    ("TG", "Togo", 300), ("TH", "Thailand", 52_000), ("TJ", "Tajikistan", 300), ("TK", "Tokelau", 300),
    ("TL", "Timor-Leste", 300), ("TM", "Turkmenistan", 300), ("TN", "Tunisia", 300), ("TO", "Tonga", 300),
    ("TR", "Turkey", 42_000), ("TT", "Trinidad and Tobago", 300), ("TV", "Tuvalu", 300), ("TW", "Taiwan", 17_000),
    ("TZ", "Tanzania", 300), ("UA", "Ukraine", 14_000), ("UG", "Uganda", 300),
    ("UM", "US Minor Outlying Islands", 300), ("US", "United States", 236_000), ("UY", "Uruguay", 300),
    ("UZ", "Uzbekistan", 300), ("VA", "Vatican City", 300), ("VC", "Saint Vincent and the Grenadines", 300),
    ("VE", "Venezuela", 300), ("VG", "British Virgin Islands", 300), ("VI", "US Virgin Islands", 300),
    ("VN", "Vietnam", 74_000), ("VU", "Vanuatu", 300), ("WF", "Wallis and Futuna", 300), ("WS", "Samoa", 300),
    ("XK", "Kosovo", 900), ("YE", "Yemen", 300), ("YT", "Mayotte", 300), ("ZA", "South Africa", 25_000),
    ("ZM", "Zambia", 300), ("ZW", "Zimbabwe", 300),
];

/// The European Union, Iceland, Liechtenstein and Norway.
pub(crate) const EUROPEAN_ECONOMIC_AREA: &[&str] = &[
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT",
    "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
];
const EURO_AREA: &[&str] = &[
    "AT", "BE", "BG", "CY", "DE", "EE", "ES", "FI", "FR", "GR", "HR", "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PT",
    "SI", "SK",
];
/// Groups of `country_groups` (Meta, "Basic targeting") and their countries, as far as this catalogue knows sizes.
const GROUPS: &[(&str, &[&str])] = &[
    ("africa", &["DZ", "EG", "KE", "MA", "NG", "ZA"]),
    (
        "asia",
        &["BD", "HK", "ID", "IL", "IN", "IQ", "JP", "KR", "MM", "MY", "PH", "PK", "SA", "SG", "TH", "TR", "TW", "VN"],
    ),
    ("caribbean", &["BB", "BS", "CU", "DM", "DO", "GD", "HT", "JM", "LC", "TT"]),
    ("central_america", &["BZ", "CR", "GT", "HN", "NI", "PA", "SV"]),
    ("eea", EUROPEAN_ECONOMIC_AREA),
    ("euro_area", EURO_AREA),
    ("europe", EUROPEAN_ECONOMIC_AREA),
    ("gcc", &["AE", "BH", "KW", "OM", "QA", "SA"]),
    ("mercosur", &["AR", "BO", "BR", "PY", "UY"]),
    ("nafta", &["CA", "MX", "US"]),
    ("north_america", &["CA", "MX", "US"]),
    ("oceania", &["AU", "FJ", "NZ", "PG"]),
    ("south_america", &["AR", "BO", "BR", "CL", "CO", "EC", "PE", "PY", "UY", "VE"]),
    ("worldwide", &[]),
];

/// Name and people of a country.
pub(crate) fn country(code: &str) -> Option<(&'static str, u64)> {
    let at = COUNTRIES.binary_search_by(|(other, ..)| (*other).cmp(code)).ok()?;
    COUNTRIES.get(at).map(|(_, name, thousands)| (*name, thousands.saturating_mul(1_000)))
}

/// Code, name and people of all countries, by code.
pub(crate) fn countries() -> impl Iterator<Item = (&'static str, &'static str, u64)> {
    COUNTRIES.iter().map(|(code, name, thousands)| (*code, *name, thousands.saturating_mul(1_000)))
}

/// Whether a word names a group.
pub(crate) fn is_group(word: &str) -> bool {
    GROUPS.iter().any(|(name, _)| *name == word)
}

/// The countries of a group; `worldwide` is all of them.
pub(crate) fn group_countries(word: &str) -> Vec<&'static str> {
    if word == "worldwide" {
        return COUNTRIES.iter().map(|(code, ..)| *code).collect();
    }
    GROUPS.iter().find(|(name, _)| *name == word).map(|(_, codes)| codes.to_vec()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_stand_in_order_so_that_they_are_found() {
        assert!(COUNTRIES.is_sorted_by(|one, next| one.0 < next.0));
        assert_eq!(country("DE"), Some(("Germany", 34_000_000)));
        assert_eq!(country("ZZ"), None);
    }

    #[test]
    fn groups_are_made_of_countries() {
        for (name, _) in GROUPS {
            let codes = group_countries(name);
            assert!(!codes.is_empty() && codes.iter().all(|code| country(code).is_some()), "{name}");
        }
        assert!(is_group("eea") && !is_group("moon"));
    }
}
