//! Geographies: the areas within which cross-region inference keeps data
//! (<https://docs.aws.amazon.com/bedrock/latest/userguide/geographic-cross-region-inference.html>).

/// Returns the geography of a region: a country or the European Union, or the region itself where
/// no geography is known. For example, `us-east-1` is in `us`, and `eu-west-2` (London) is its own.
pub fn geography(region: &str) -> &str {
    match region {
        "ap-northeast-1" | "ap-northeast-3" => "jp",
        "ap-southeast-2" | "ap-southeast-4" => "au",
        "ap-south-1" | "ap-south-2" => "in",
        "eu-west-2" | "eu-central-2" => region,
        _ if region.starts_with("us-gov-") => "us-gov",
        _ => {
            let area = region.split('-').next().unwrap_or_default();
            ["us", "eu", "ca", "sa", "cn"]
                .into_iter()
                .find(|known| *known == area)
                .unwrap_or(region)
        }
    }
}

/// Returns the prefix of the inference profiles that stay within a geography, if there are any.
/// `apac.` spans countries, so it is not among them: a request must name it.
pub fn profile_prefix(geography: &str) -> Option<&'static str> {
    match geography {
        "us" => Some("us."),
        "us-gov" => Some("us-gov."),
        "eu" => Some("eu."),
        "jp" => Some("jp."),
        "au" => Some("au."),
        "in" => Some("in."),
        "ca" => Some("ca."),
        "sa" => Some("sa."),
        _ => None,
    }
}

/// The regions of AWS (<https://docs.aws.amazon.com/general/latest/gr/bedrock.html>, and those that
/// have no Bedrock yet). A new region is missing here, so the list is used for advice only.
const REGIONS: [&str; 37] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// Returns a warning about the name of an unknown region, with the name that was probably meant.
pub fn doubt_region(region: &str) -> Option<String> {
    if REGIONS.contains(&region) {
        return None;
    }
    let distance = |known: &&str| strsim::damerau_levenshtein(known, region);
    let nearest = REGIONS.into_iter().min_by_key(distance).filter(|known| distance(known) <= 3);
    let advice = nearest.map_or_else(String::new, |known| format!(" (did you mean `{known}`?)"));
    Some(format!("`{region}` is no AWS region that is known here{advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_region_is_told_from_one_that_exists() {
        assert_eq!(doubt_region("eu-west-1"), None);
        let told = doubt_region("us-esat-1").unwrap();
        assert_eq!(
            told,
            "`us-esat-1` is no AWS region that is known here (did you mean `us-east-1`?)"
        );
        assert_eq!(doubt_region("moon").unwrap(), "`moon` is no AWS region that is known here");
    }

    #[test]
    fn a_geography_is_never_wider_than_its_profile() {
        for (region, expected, prefix) in [
            ("us-east-1", "us", Some("us.")),
            ("us-gov-west-1", "us-gov", Some("us-gov.")),
            ("eu-central-1", "eu", Some("eu.")),
            ("eu-west-2", "eu-west-2", None),
            ("ap-northeast-1", "jp", Some("jp.")),
            ("ap-east-1", "ap-east-1", None),
            ("xx-moon-1", "xx-moon-1", None),
        ] {
            assert_eq!((geography(region), profile_prefix(geography(region))), (expected, prefix));
        }
    }
}
