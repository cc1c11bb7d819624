//! The hosts to which the credentials of the machine may be sent.
//!
//! The admin who sets valves and the operator of the machine may be two people. Credentials that
//! the machine has (the environment, profiles, roles of an instance) go to Bedrock's own hosts and
//! to those that the environment names; to any other host go only credentials that were entered in
//! the valves.

use crate::valves::BedrockValves;
use url::{Host, Url};

/// Variables whose hosts the operator trusts.
const TRUSTED_VARIABLES: [&str; 4] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_BEDROCK",
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
    "BEDROCK_MODELS_ENDPOINT_URL",
];

/// The same, in a file.
const TRUSTED_FILE_VARIABLE: &str = "BEDROCK_MODELS_ENDPOINT_URL_FILE";

/// The suffixes of AWS's host names in all partitions, with and without dual stack (partitions.json
/// of the AWS SDKs).
const AWS_SUFFIXES: [&str; 14] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "api.aws",
    "api.amazonwebservices.com.cn",
    "api.amazonwebservices.eu",
    "c2s.ic.gov",
    "api.aws.ic.gov",
    "sc2s.sgov.gov",
    "api.aws.scloud",
    "csp.hci.ic.gov",
    "api.aws.hci.ic.gov",
    "cloud.adc-e.uk",
    "api.cloud-aws.adc-e.uk",
];

/// The services whose hosts are meant. Other hosts of AWS are its customers': an API Gateway, a
/// load balancer, a machine.
const SERVICES: [&str; 4] = ["bedrock", "bedrock-runtime", "bedrock-fips", "bedrock-runtime-fips"];

/// The rule that the endpoint breaks, if it does.
pub const ENDPOINT_RULE: &str = "must be a host of Amazon Bedrock (https), or one that AWS_ENDPOINT_URL_BEDROCK_RUNTIME names in the host's environment, unless credentials are entered with it: set aws_access_key_id and aws_secret_access_key, or bedrock_api_key";

/// Returns whether the machine's credentials would be sent to an untrusted host with these valves.
pub fn leaks_credentials(valves: &BedrockValves) -> bool {
    let Some(url) = valves.endpoint_url.as_deref().filter(|url| !url.is_empty()) else {
        return false;
    };
    let has_keys = valves.aws_access_key_id.as_deref().is_some_and(|id| !id.is_empty())
        && valves.aws_secret_access_key.is_set();
    !valves.bedrock_api_key.is_set() && !has_keys && !is_trusted(url)
}

fn is_trusted(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    is_bedrock_host(&url) || trusted_urls().any(|trusted| trusted.origin() == url.origin())
}

/// Returns the addresses that the environment names.
fn trusted_urls() -> impl Iterator<Item = Url> {
    let variables = TRUSTED_VARIABLES.iter().filter_map(|name| std::env::var(name).ok());
    let file =
        std::env::var_os(TRUSTED_FILE_VARIABLE).and_then(|path| std::fs::read_to_string(path).ok());
    variables.chain(file).filter_map(|url| Url::parse(url.trim()).ok())
}

/// Returns whether this is a host of Bedrock's: `bedrock-runtime.us-east-1.amazonaws.com`, or an
/// interface endpoint of a VPC, `vpce-0123-abcd.bedrock-runtime.us-east-1.vpce.amazonaws.com`.
fn is_bedrock_host(url: &Url) -> bool {
    let Some(Host::Domain(host)) = url.host() else { return false };
    if url.scheme() != "https" || url.port().is_some() {
        return false;
    }
    AWS_SUFFIXES.iter().any(|suffix| {
        let Some(front) = host.strip_suffix(suffix).and_then(|front| front.strip_suffix('.'))
        else {
            return false;
        };
        let labels: Vec<&str> = front.split('.').collect();
        match labels.as_slice() {
            [service, region] => SERVICES.contains(service) && is_region(region),
            [endpoint, service, region, "vpce"] => {
                endpoint.starts_with("vpce-") && SERVICES.contains(service) && is_region(region)
            }
            _ => false,
        }
    })
}

/// Returns whether this is the name of a region, as in `us-gov-west-1`. `s3` is no region; the
/// label before it is a customer's bucket.
fn is_region(label: &str) -> bool {
    let parts: Vec<&str> = label.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    parts.split_last().is_some_and(|(number, words)| {
        words.len() >= 2 && words.iter().all(is_word) && number.parse::<u8>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bedrock_s_own_hosts_are_trusted() {
        for (url, trusted) in [
            ("https://bedrock-runtime.us-east-1.amazonaws.com", true),
            ("https://BEDROCK.us-east-1.amazonaws.com/", true),
            ("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com", true),
            ("https://bedrock-runtime.cn-north-1.amazonaws.com.cn", true),
            ("https://bedrock-runtime.us-east-1.api.aws", true),
            ("https://vpce-0a1b-2c3d.bedrock-runtime.us-east-1.vpce.amazonaws.com", true),
            ("https://vpce-0a1b-2c3d-us-east-1a.bedrock.us-east-1.vpce.amazonaws.com", true),
            ("http://bedrock-runtime.us-east-1.amazonaws.com", false),
            ("https://bedrock-runtime.us-east-1.amazonaws.com:8443", false),
            ("https://abc.execute-api.us-east-1.amazonaws.com", false),
            ("https://bedrock-runtime.s3.amazonaws.com.evil.example", false),
            ("https://bedrock-runtime.evil.example", false),
            ("https://evilamazonaws.com", false),
            ("https://bedrock-runtime.us-east-1.evilamazonaws.com", false),
            ("https://bedrock-runtime.us-east-1.amazonaws.com@evil.example", false),
            ("https://evil.example/bedrock-runtime.us-east-1.amazonaws.com", false),
            ("https://evil.example#.bedrock-runtime.us-east-1.amazonaws.com", false),
            ("https://vpce-1.vpce-svc-2.us-east-1.vpce.amazonaws.com", false),
            ("https://ec2-1-2-3-4.compute-1.amazonaws.com", false),
            ("https://bedrock-runtime.x.elb.amazonaws.com", false),
            ("https://bedrock-runtime.s3.amazonaws.com", false),
            ("https://bedrock.s3-us-west-2.amazonaws.com", false),
            ("https://127.0.0.1", false),
        ] {
            assert_eq!(Url::parse(url).is_ok_and(|url| is_bedrock_host(&url)), trusted, "{url}");
        }
    }
}
