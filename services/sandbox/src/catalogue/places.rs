//! Places smaller than a country: regions, cities, postcodes and markets.

use super::countries;

/// What kind of place it is, in Meta's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlaceKind {
    Country,
    CountryGroup,
    Region,
    City,
    Zip,
    GeoMarket,
    ElectoralDistrict,
}

impl PlaceKind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Country,
        Self::CountryGroup,
        Self::Region,
        Self::City,
        Self::Zip,
        Self::GeoMarket,
        Self::ElectoralDistrict,
    ];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Country => "country",
            Self::CountryGroup => "country_group",
            Self::Region => "region",
            Self::City => "city",
            Self::Zip => "zip",
            Self::GeoMarket => "geo_market",
            Self::ElectoralDistrict => "electoral_district",
        }
    }

    /// The member of `geo_locations` that holds such places.
    pub(crate) fn member(self) -> &'static str {
        match self {
            Self::Country => "countries",
            Self::CountryGroup => "country_groups",
            Self::Region => "regions",
            Self::City => "cities",
            Self::Zip => "zips",
            Self::GeoMarket => "geo_markets",
            Self::ElectoralDistrict => "electoral_districts",
        }
    }
}

/// One place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) kind: PlaceKind,
    pub(crate) key: &'static str,
    pub(crate) name: &'static str,
    /// The country that it lies in; empty for a group.
    pub(crate) country: &'static str,
    /// The key of its region, where it has one.
    pub(crate) region: Option<&'static str>,
    /// People.
    pub(crate) people: u64,
}

/// Key, name, country, thousands of people. The keys of the American states are Meta's, which stand in their order.
const REGIONS: &[(&str, &str, &str, u64)] = &[
    ("3843", "Alabama", "US", 2_200),
    ("3844", "Alaska", "US", 2_200),
    ("3845", "Arizona", "US", 2_200),
    ("3846", "Arkansas", "US", 2_200),
    ("3847", "California", "US", 27_000),
    ("3848", "Colorado", "US", 2_200),
    ("3849", "Connecticut", "US", 2_200),
    ("3850", "Delaware", "US", 2_200),
    ("3851", "Washington D. C.", "US", 2_200),
    ("3852", "Florida", "US", 16_500),
    ("3853", "Georgia", "US", 7_900),
    ("3854", "Hawaii", "US", 2_200),
    ("3855", "Idaho", "US", 2_200),
    ("3856", "Illinois", "US", 9_200),
    ("3857", "Indiana", "US", 2_200),
    ("3858", "Iowa", "US", 2_200),
    ("3859", "Kansas", "US", 2_200),
    ("3860", "Kentucky", "US", 2_200),
    ("3861", "Louisiana", "US", 2_200),
    ("3862", "Maine", "US", 2_200),
    ("3863", "Maryland", "US", 2_200),
    ("3864", "Massachusetts", "US", 2_200),
    ("3865", "Michigan", "US", 7_300),
    ("3866", "Minnesota", "US", 2_200),
    ("3867", "Mississippi", "US", 2_200),
    ("3868", "Missouri", "US", 2_200),
    ("3869", "Montana", "US", 2_200),
    ("3870", "Nebraska", "US", 2_200),
    ("3871", "Nevada", "US", 2_200),
    ("3872", "New Hampshire", "US", 2_200),
    ("3873", "New Jersey", "US", 2_200),
    ("3874", "New Mexico", "US", 2_200),
    ("3875", "New York", "US", 14_500),
    ("3876", "North Carolina", "US", 7_800),
    ("3877", "North Dakota", "US", 2_200),
    ("3878", "Ohio", "US", 8_600),
    ("3879", "Oklahoma", "US", 2_200),
    ("3880", "Oregon", "US", 2_200),
    ("3881", "Pennsylvania", "US", 9_300),
    ("3882", "Rhode Island", "US", 2_200),
    ("3883", "South Carolina", "US", 2_200),
    ("3884", "South Dakota", "US", 2_200),
    ("3885", "Tennessee", "US", 2_200),
    ("3886", "Texas", "US", 21_000),
    ("3887", "Utah", "US", 2_200),
    ("3888", "Vermont", "US", 2_200),
    ("3889", "Virginia", "US", 2_200),
    ("3890", "Washington", "US", 5_600),
    ("3891", "West Virginia", "US", 2_200),
    ("3892", "Wisconsin", "US", 2_200),
    ("3893", "Wyoming", "US", 2_200),
    ("527", "Alberta", "CA", 2_900),
    ("528", "British Columbia", "CA", 3_600),
    ("538", "Ontario", "CA", 10_200),
    ("540", "Quebec", "CA", 5_600),
    ("3807", "England", "GB", 36_000),
    ("3808", "Scotland", "GB", 3_500),
    ("3809", "Wales", "GB", 2_000),
    ("3810", "Northern Ireland", "GB", 1_200),
    ("1024", "Bavaria", "DE", 5_300),
    ("1025", "Berlin", "DE", 2_100),
    ("1026", "Hamburg", "DE", 1_100),
    ("1027", "North Rhine-Westphalia", "DE", 7_300),
    ("904", "Île-de-France", "FR", 8_100),
    ("905", "Provence-Alpes-Côte d'Azur", "FR", 2_800),
    ("160", "New South Wales", "AU", 5_400),
    ("161", "Victoria", "AU", 4_500),
    ("460", "São Paulo", "BR", 27_500),
    ("461", "Rio de Janeiro", "BR", 10_500),
    ("1738", "Tokyo", "JP", 9_300),
    ("1739", "Osaka", "JP", 5_100),
];

/// Key, name, country, region, thousands of people.
const CITIES: &[(&str, &str, &str, &str, u64)] = &[
    ("2418779", "Seattle", "US", "3890", 1_900),
    ("2421836", "Menlo Park", "US", "3847", 60),
    ("2418956", "Spokane", "US", "3890", 310),
    ("2420379", "Los Angeles", "US", "3847", 7_600),
    ("2421215", "San Francisco", "US", "3847", 2_300),
    ("2420605", "San Diego", "US", "3847", 1_800),
    ("2490299", "New York", "US", "3875", 9_800),
    ("2490383", "Buffalo", "US", "3875", 420),
    ("2438177", "Chicago", "US", "3856", 4_900),
    ("2442047", "Boston", "US", "3864", 2_100),
    ("2400539", "Miami", "US", "3852", 2_900),
    ("2514815", "Washington D. C.", "US", "3851", 1_700),
    ("2525101", "Austin", "US", "3886", 1_300),
    ("2525168", "Houston", "US", "3886", 3_400),
    ("2525199", "Dallas", "US", "3886", 3_100),
    ("2475687", "Portland", "US", "3880", 1_200),
    ("2391279", "Denver", "US", "3848", 1_500),
    ("2357024", "Atlanta", "US", "3853", 2_600),
    ("294730", "Toronto", "CA", "538", 3_900),
    ("292071", "Vancouver", "CA", "528", 1_700),
    ("296176", "Montreal", "CA", "540", 2_500),
    ("814871", "London", "GB", "3807", 7_200),
    ("818174", "Manchester", "GB", "3807", 1_900),
    ("806914", "Edinburgh", "GB", "3808", 480),
    ("804376", "Cardiff", "GB", "3809", 330),
    ("642238", "Berlin", "DE", "1025", 2_000),
    ("642656", "Hamburg", "DE", "1026", 1_050),
    ("676757", "Munich", "DE", "1024", 1_200),
    ("667931", "Cologne", "DE", "1027", 800),
    ("777934", "Paris", "FR", "904", 5_100),
    ("782083", "Marseille", "FR", "905", 900),
    ("134768", "Sydney", "AU", "160", 3_300),
    ("136973", "Melbourne", "AU", "161", 3_100),
    ("269969", "São Paulo", "BR", "460", 9_900),
    ("267027", "Rio de Janeiro", "BR", "461", 5_700),
    ("1118370", "Tokyo", "JP", "1738", 8_900),
    ("1110809", "Osaka", "JP", "1739", 3_300),
];

/// Key, name, country, region, thousands of people.
const ZIPS: &[(&str, &str, &str, &str, u64)] = &[
    ("US:90210", "90210", "US", "3847", 18),
    ("US:94025", "94025", "US", "3847", 31),
    ("US:94103", "94103", "US", "3847", 27),
    ("US:94304", "94304", "US", "3847", 6),
    ("US:10001", "10001", "US", "3875", 24),
    ("US:10011", "10011", "US", "3875", 39),
    ("US:11201", "11201", "US", "3875", 47),
    ("US:60614", "60614", "US", "3856", 52),
    ("US:98101", "98101", "US", "3890", 14),
    ("US:98109", "98109", "US", "3890", 29),
    ("US:33139", "33139", "US", "3852", 33),
    ("US:78701", "78701", "US", "3886", 12),
    ("GB:SW1A", "SW1A", "GB", "3807", 5),
    ("GB:M1", "M1", "GB", "3807", 11),
    ("DE:10115", "10115", "DE", "1025", 21),
    ("DE:80331", "80331", "DE", "1024", 6),
    ("FR:75001", "75001", "FR", "904", 13),
    ("CA:M5V", "M5V", "CA", "538", 41),
];

/// Key, name, country, thousands of people.
const MARKETS: &[(&str, &str, &str, u64)] = &[
    ("DMA:501", "New York", "US", 14_900),
    ("DMA:803", "Los Angeles", "US", 12_300),
    ("DMA:602", "Chicago", "US", 6_900),
    ("DMA:504", "Philadelphia", "US", 5_600),
    ("DMA:623", "Dallas-Fort Worth", "US", 5_900),
    ("DMA:807", "San Francisco-Oakland-San Jose", "US", 5_400),
    ("DMA:618", "Houston", "US", 5_100),
    ("DMA:506", "Boston-Manchester", "US", 4_700),
    ("DMA:524", "Atlanta", "US", 5_000),
    ("DMA:819", "Seattle-Tacoma", "US", 3_900),
    ("DMA:528", "Miami-Ft. Lauderdale", "US", 3_700),
    ("DMA:635", "Austin", "US", 1_900),
];

/// Key, name, country, thousands of people.
const DISTRICTS: &[(&str, &str, &str, u64)] = &[
    ("US:CA12", "California's 12th District", "US", 520),
    ("US:NY10", "New York's 10th District", "US", 540),
    ("US:WA07", "Washington's 7th District", "US", 560),
];

/// Names of the groups of countries that a search finds.
const GROUPS: &[(&str, &str)] = &[
    ("worldwide", "Worldwide"),
    ("africa", "Africa"),
    ("asia", "Asia"),
    ("caribbean", "Caribbean"),
    ("central_america", "Central America"),
    ("eea", "European Economic Area (EEA)"),
    ("euro_area", "Euro area"),
    ("europe", "Europe"),
    ("north_america", "North America"),
    ("oceania", "Oceania"),
    ("south_america", "South America"),
];

/// All places, in a fixed order.
pub(crate) fn places() -> impl Iterator<Item = Place> {
    let own = |kind, (key, name, country, thousands): &(&'static str, &'static str, &'static str, u64)| Place {
        kind,
        key,
        name,
        country,
        region: None,
        people: thousands.saturating_mul(1_000),
    };
    let in_region = |kind, row: &(&'static str, &'static str, &'static str, &'static str, u64)| {
        let (key, name, country, region, thousands) = *row;
        Place { kind, key, name, country, region: Some(region), people: thousands.saturating_mul(1_000) }
    };
    let states = countries::countries().map(|(code, name, people)| Place {
        kind: PlaceKind::Country,
        key: code,
        name,
        country: code,
        region: None,
        people,
    });
    let groups = GROUPS.iter().map(|(key, name)| Place {
        kind: PlaceKind::CountryGroup,
        key,
        name,
        country: "",
        region: None,
        people: countries::group_countries(key).iter().filter_map(|code| countries::country(code)).map(|it| it.1).sum(),
    });
    states
        .chain(groups)
        .chain(REGIONS.iter().map(move |row| own(PlaceKind::Region, row)))
        .chain(CITIES.iter().map(move |row| in_region(PlaceKind::City, row)))
        .chain(ZIPS.iter().map(move |row| in_region(PlaceKind::Zip, row)))
        .chain(MARKETS.iter().map(move |row| own(PlaceKind::GeoMarket, row)))
        .chain(DISTRICTS.iter().map(move |row| own(PlaceKind::ElectoralDistrict, row)))
}

/// The place of that kind and key.
pub(crate) fn place(kind: PlaceKind, key: &str) -> Option<Place> {
    places().find(|place| place.kind == kind && place.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_in_their_kind_and_lead_to_country_and_region() {
        let mut keys: Vec<_> = places().map(|place| (place.kind.word(), place.key)).collect();
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all);
        for it in places().filter(|place| place.kind != PlaceKind::CountryGroup) {
            assert!(countries::country(it.country).is_some(), "{it:?}");
            assert!(it.region.is_none_or(|key| place(PlaceKind::Region, key).is_some()), "{it:?}");
        }
        assert_eq!(place(PlaceKind::Region, "3890").map(|place| place.name), Some("Washington"));
    }

    #[test]
    fn groups_that_a_search_finds_can_be_aimed_at() {
        assert!(GROUPS.iter().all(|(key, _)| countries::is_group(key)));
        let nothing = places().filter(|place| place.people == 0).count();
        assert_eq!(nothing, 0);
    }
}
