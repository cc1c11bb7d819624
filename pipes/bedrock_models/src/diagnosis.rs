//! Checks of the credentials and of each region, for `pipewright check`.

use crate::{
    account::Account,
    catalog::{ListError, doubt_region},
    error::{from_sdk_error, missing_credentials, unavailable_credentials},
    valves::BedrockValves,
};
use aws_credential_types::{
    Credentials, credential_feature::AwsCredentialFeature, provider::ProvideCredentials,
};
use aws_sdk_bedrock::Client;
use bedrock_runtime::SendError;
use futures_util::future::join_all;
use tokio::time::timeout;

/// The result of the checks.
#[derive(Debug)]
pub struct Diagnosis {
    /// The source of the credentials, or the reason why there are none.
    pub credentials: Result<String, String>,
    /// The number of foundation models that each region lists, or the reason why it lists none.
    /// Without credentials no region is asked, and those with unknown names stand here.
    pub regions: Vec<(String, Result<usize, String>)>,
}

/// Loads the credentials that these valves lead to, and asks each region for its models.
pub async fn diagnose(valves: &BedrockValves) -> Diagnosis {
    let account = Account::new(valves);
    let limit = valves.list_timeout();
    let credentials = timeout(limit, find_credentials(&account, valves)).await;
    let credentials = credentials
        .unwrap_or_else(|_| Err("the source of the credentials does not answer in time".into()));
    if credentials.is_err() {
        let doubt = |region: &String| Some((region.clone(), Err(doubt_region(region)?)));
        return Diagnosis {
            credentials,
            regions: valves.regions.iter().filter_map(doubt).collect(),
        };
    }
    let list = async |region: &String| {
        let listed = timeout(limit, list_models(&account, region)).await;
        let listed = listed.unwrap_or_else(|_| Err("AWS does not answer in time".into()));
        (region.clone(), listed)
    };
    let regions = join_all(valves.regions.iter().map(list)).await;
    Diagnosis { credentials, regions }
}

async fn find_credentials(account: &Account, valves: &BedrockValves) -> Result<String, String> {
    if valves.bedrock_api_key.expose().is_some() {
        return Ok("Bedrock API key from the valve `bedrock_api_key`".into());
    }
    let home = valves.regions.first().map_or("", String::as_str);
    let config = account.config(home).await;
    let bearer = std::env::var("AWS_BEARER_TOKEN_BEDROCK").is_ok_and(|key| !key.trim().is_empty());
    let is_set = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    let has_valves = [&valves.aws_access_key_id, &valves.aws_profile, &valves.aws_role_arn];
    if bearer && !has_valves.into_iter().any(is_set) {
        return Ok("Bedrock API key from AWS_BEARER_TOKEN_BEDROCK".into());
    }
    let provider = config.credentials_provider().ok_or_else(|| missing_credentials().to_owned())?;
    match provider.provide_credentials().await {
        Ok(credentials) => Ok(describe_credentials(&credentials, valves)),
        Err(error) => {
            let reason = match SendError::from(&error) {
                SendError::CredentialsUnavailable(fault) => unavailable_credentials(fault),
                _ => missing_credentials().to_owned(),
            };
            // The operator reads this, so the profile may be named.
            let profile = std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
            let named = profile.map_or_else(String::new, |name| format!(" (AWS_PROFILE={name})"));
            Err(format!("{reason}{named}"))
        }
    }
}

/// Names the source, and the access key by its last characters.
fn describe_credentials(credentials: &Credentials, valves: &BedrockValves) -> String {
    use AwsCredentialFeature as Feature;
    let features = credentials.get_property::<Vec<Feature>>();
    let source = match features.and_then(|features| features.last()) {
        _ if valves.aws_role_arn.as_deref().is_some_and(|role| !role.is_empty()) => {
            "the role of the valve `aws_role_arn`"
        }
        _ if valves.aws_access_key_id.as_deref().is_some_and(|id| !id.is_empty()) => {
            "the valves `aws_access_key_id` and `aws_secret_access_key`"
        }
        Some(Feature::CredentialsEnvVars) => "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        Some(Feature::CredentialsEnvVarsStsWebIdToken | Feature::CredentialsStsAssumeRoleWebId) => {
            "the web identity of AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE"
        }
        Some(Feature::CredentialsProfileSso | Feature::CredentialsSso) => "an SSO session",
        Some(Feature::CredentialsProfileProcess | Feature::CredentialsProcess) => {
            "the `credential_process` of a profile"
        }
        Some(Feature::CredentialsHttp) => "the container's task role",
        Some(Feature::CredentialsImds) => "the instance's role (EC2 metadata service)",
        Some(Feature::CredentialsStsAssumeRole) => "a role that a profile assumes",
        _ => "a profile of the AWS files",
    };
    let id = credentials.access_key_id();
    let end: String = id.chars().skip(id.chars().count().saturating_sub(4)).collect();
    format!("access key …{end} from {source}")
}

async fn list_models(account: &Account, region: &str) -> Result<usize, String> {
    let client = Client::new(&account.config(region).await);
    let listed = client.list_foundation_models().send().await;
    listed.map(|listed| listed.model_summaries().len()).map_err(|error| {
        ListError::new(from_sdk_error(&error), "bedrock:ListFoundationModels", region).message
    })
}
