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

/// Returns the prefix of the inference profiles that stay within a geography, if it has such.
/// `apac.` spans countries, so it is not among them: it has to be asked for.
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

#[cfg(test)]
mod tests {
    use super::*;

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
