//! The endpoint of Bedrock's runtime in a region.

use aws_types::{SdkConfig, service_config::ServiceConfigKey};
use std::sync::{PoisonError, RwLock};
use url::Url;

/// The addresses of all regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// This URL for every region: for private endpoints and tests.
    Fixed(String),
    /// AWS's own.
    Public {
        /// True for endpoints with cryptography after FIPS 140.
        fips: bool,
        /// True for endpoints that IPv6 reaches too.
        dual_stack: bool,
    },
}

/// The beginning of the region names of a partition, and the domains of its hosts: the plain one,
/// and the one with dual stack.
///
/// From AWS's partitions.json 1.1, as the SDK has it. Where nothing fits, the partition `aws` does.
const PARTITIONS: &[(&str, &str, &str)] = &[
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    // `aws` and `aws-us-gov`.
    ("", "amazonaws.com", "api.aws"),
];

impl Endpoints {
    /// Returns the endpoint of the environment or of the profile files, in AWS's order:
    /// `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`, the profile's `services`, `AWS_ENDPOINT_URL`, the
    /// profile's `endpoint_url`; else AWS's own.
    pub fn from_config(config: &SdkConfig) -> Self {
        let specific = || {
            let key = ServiceConfigKey::builder()
                .service_id("Bedrock Runtime")
                .env("AWS_ENDPOINT_URL")
                .profile("endpoint_url");
            config.service_config()?.load_config(key.build().ok()?)
        };
        let global = || config.endpoint_url().map(String::from);
        // The program's own setting goes before the environment's.
        let is_set = config.get_origin("endpoint_url").is_client_config();
        let url = if is_set { global() } else { specific().or_else(global) };
        url.map_or_else(
            || Self::Public {
                fips: config.use_fips().unwrap_or_default(),
                dual_stack: config.use_dual_stack().unwrap_or_default(),
            },
            Self::Fixed,
        )
    }

    /// Returns the address of a region; `None` if it is no address.
    fn for_region(&self, region: &str) -> Option<Url> {
        match self {
            Self::Fixed(url) => Url::parse(url).ok(),
            Self::Public { fips, dual_stack } => {
                Url::parse(&public_endpoint(region, *fips, *dual_stack)).ok()
            }
        }
        .filter(|url| url.has_host() && !url.cannot_be_a_base())
    }
}

/// The addresses of the regions that were called, so that each is parsed once. Callers name regions
/// of their settings only, so there are few.
#[derive(Debug)]
pub(crate) struct EndpointUrls {
    endpoints: Endpoints,
    urls: RwLock<Vec<(String, Url)>>,
}

impl EndpointUrls {
    pub(crate) fn new(endpoints: Endpoints) -> Self {
        Self { endpoints, urls: RwLock::default() }
    }

    /// Returns the address of a region; `None` if it is no address.
    pub(crate) fn for_region(&self, region: &str) -> Option<Url> {
        let urls = self.urls.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, url)) = urls.iter().find(|(known, _)| known == region) {
            return Some(url.clone());
        }
        drop(urls);
        let url = self.endpoints.for_region(region)?;
        let mut urls = self.urls.write().unwrap_or_else(PoisonError::into_inner);
        urls.push((region.to_owned(), url.clone()));
        Some(url)
    }
}

fn public_endpoint(region: &str, fips: bool, dual_stack: bool) -> String {
    let service = if fips { "bedrock-runtime-fips" } else { "bedrock-runtime" };
    let is_in = |prefix: &str| region.starts_with(prefix);
    let (plain, dual) = PARTITIONS
        .iter()
        .find_map(|(prefix, plain, dual)| is_in(prefix).then_some((*plain, *dual)))
        .unwrap_or_default();
    let suffix = if dual_stack { dual } else { plain };
    format!("https://{service}.{region}.{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_bedrock::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
    use aws_types::{origin::Origin, service_config::LoadServiceConfig};

    async fn sdk_endpoint(region: &str, fips: bool, dual_stack: bool) -> String {
        let params = Params::builder().region(region).use_fips(fips).use_dual_stack(dual_stack);
        let resolver = DefaultResolver::new();
        let endpoint =
            ResolveEndpoint::resolve_endpoint(&resolver, &params.build().unwrap()).await.unwrap();
        // It knows the control plane only, whose hosts differ in the service's name.
        endpoint.url().replacen("https://bedrock", "https://bedrock-runtime", 1)
    }

    #[test]
    fn the_address_of_a_region_is_parsed_once() {
        let urls = EndpointUrls::new(Endpoints::Public { fips: false, dual_stack: false });
        for region in ["us-east-1", "eu-west-1", "us-east-1"] {
            let url = urls.for_region(region).unwrap();
            let host = format!("bedrock-runtime.{region}.amazonaws.com");
            assert_eq!(url.host_str(), Some(&*host));
        }
        assert_eq!(urls.urls.read().unwrap().len(), 2);
        let none = EndpointUrls::new(Endpoints::Fixed("no address".into()));
        assert_eq!(none.for_region("us-east-1"), None);
    }

    #[tokio::test]
    async fn every_partition_has_the_hosts_that_the_sdk_gives_it() {
        for region in [
            "us-east-1",
            "eu-central-2",
            "mx-central-1",
            "us-gov-west-1",
            "cn-north-1",
            "cn-northwest-1",
            "eusc-de-east-1",
            "us-iso-east-1",
            "us-isob-east-1",
            "us-isof-south-1",
            "eu-isoe-west-1",
            "xx-new-1",
        ] {
            for (fips, dual_stack) in [(false, false), (true, false), (false, true), (true, true)] {
                let specific = public_endpoint(region, fips, dual_stack);
                assert_eq!(specific, sdk_endpoint(region, fips, dual_stack).await);
            }
        }
    }

    /// An environment that says this of our service alone.
    #[derive(Debug)]
    struct ServiceConfig(Option<&'static str>);

    impl LoadServiceConfig for ServiceConfig {
        fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
            assert_eq!(
                (key.service_id(), key.env(), key.profile()),
                ("Bedrock Runtime", "AWS_ENDPOINT_URL", "endpoint_url")
            );
            self.0.map(String::from)
        }
    }

    #[test]
    fn the_particular_goes_before_the_general() {
        for (set, specific, global, endpoint) in [
            (true, Some("http://specific"), Some("http://set"), Some("http://set")),
            (false, Some("http://specific"), Some("http://all"), Some("http://specific")),
            (false, None, Some("http://all"), Some("http://all")),
            (false, None, None, None),
        ] {
            let mut config =
                SdkConfig::builder().service_config(ServiceConfig(specific)).use_fips(true);
            config.set_endpoint_url(global.map(String::from));
            if set {
                config.insert_origin("endpoint_url", Origin::shared_config());
            }
            let expected = endpoint
                .map_or(Endpoints::Public { fips: true, dual_stack: false }, |url| {
                    Endpoints::Fixed(url.into())
                });
            assert_eq!(Endpoints::from_config(&config.build()), expected);
        }
    }

    #[test]
    fn a_set_endpoint_stands_for_all_regions() {
        let config = SdkConfig::builder().endpoint_url("http://localhost:4000/bedrock").build();
        let endpoints = Endpoints::from_config(&config);
        for region in ["us-east-1", "cn-north-1"] {
            assert_eq!(
                endpoints.for_region(region).unwrap().as_str(),
                "http://localhost:4000/bedrock"
            );
        }
    }

    #[test]
    fn what_is_no_address_leads_nowhere() {
        for text in ["", "bedrock", "mailto:a@b", "/model"] {
            assert_eq!(Endpoints::Fixed(text.into()).for_region("us-east-1"), None, "{text}");
        }
        let public = Endpoints::Public { fips: false, dual_stack: false };
        assert_eq!(public.for_region("us east 1"), None);
    }
}
