//! The account: credentials and connections for AWS, shared by all regions.

pub mod endpoint_trust;

mod credentials_chain;

use crate::valves::BedrockValves;
use aws_config::{
    AppName, BehaviorVersion, ConfigLoader, Region, SdkConfig,
    profile::ProfileFileCredentialsProvider, provider_config::ProviderConfig,
    sts::AssumeRoleProvider, timeout::TimeoutConfig,
};
use aws_credential_types::{
    Credentials,
    provider::{
        ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
        token::SharedTokenProvider,
    },
};
use aws_smithy_runtime_api::client::{
    auth::{AuthSchemeId, http::HTTP_BEARER_AUTH_SCHEME_ID},
    identity::http::Token,
};
use bedrock_runtime::{Endpoints, Identity, Runtime, SdkHttpClient};
use credentials_chain::CredentialsChain;
use endpoint_trust::leaks_credentials;
use http_client::{HttpClient, HttpVersion};
use std::time::Duration;
use tokio::sync::OnceCell;

/// The account that the valves describe.
pub struct Account {
    http_client: HttpClient,
    valves: BedrockValves,
    config: OnceCell<SdkConfig>,
    runtime: OnceCell<Runtime>,
}

impl Account {
    /// Returns the account of these valves. Nothing is read or asked yet.
    pub fn new(valves: &BedrockValves) -> Self {
        Self::from_parts(HttpClient::new(connect_timeout(valves), HttpVersion::Http1Only), valves)
    }

    /// Returns the account of new valves, over the open connections of this one.
    pub fn with_valves(&self, valves: &BedrockValves) -> Self {
        Self::from_parts(self.http_client.with_connect_timeout(connect_timeout(valves)), valves)
    }

    fn from_parts(http_client: HttpClient, valves: &BedrockValves) -> Self {
        let (config, runtime) = Default::default();
        Self { http_client, valves: valves.clone(), config, runtime }
    }

    /// Returns whether these valves describe the same account, so that its credentials are still
    /// good.
    pub fn matches(&self, valves: &BedrockValves) -> bool {
        let texts = |v: &BedrockValves| {
            [
                v.regions.first().cloned(),
                v.aws_access_key_id.clone(),
                v.aws_secret_access_key.expose().map(String::from),
                v.aws_session_token.expose().map(String::from),
                v.aws_profile.clone(),
                v.aws_role_arn.clone(),
                v.aws_role_external_id.clone(),
                v.aws_role_session_name.clone(),
                v.bedrock_api_key.expose().map(String::from),
                v.endpoint_url.clone(),
                Some(v.connect_timeout_seconds.to_string()),
            ]
        };
        texts(&self.valves) == texts(valves)
    }

    /// Returns the texts that identify this account, with secrets among them: for a fingerprint
    /// only.
    pub fn identity(&self) -> Vec<String> {
        let valves = &self.valves;
        let text = |text: &Option<String>| non_empty(text).unwrap_or_default().to_owned();
        let key = valves.bedrock_api_key.expose().unwrap_or_default().to_owned();
        let own = [key, text(&valves.aws_access_key_id), text(&valves.aws_profile)];
        // Only where the valves name nobody, the environment says who asks.
        let is_named = own.iter().any(|text| !text.is_empty());
        let variables = IDENTITY_VARIABLES.iter().filter(|_| !is_named);
        let environment = variables.map(|name| std::env::var(name).unwrap_or_default());
        let [role, external_id, endpoint] =
            [&valves.aws_role_arn, &valves.aws_role_external_id, &valves.endpoint_url].map(text);
        own.into_iter().chain([role, external_id, endpoint]).chain(environment).collect()
    }

    /// Returns the SDK's settings for one region. The first call reads the environment and the
    /// profile files; none asks the network.
    pub async fn config(&self, region: &str) -> SdkConfig {
        let shared = self.config.get_or_init(|| self.load()).await;
        let mut config = shared
            .to_builder()
            .region(Region::new(region.to_owned()))
            .http_client(SdkHttpClient::new(self.http_client.clone()));
        if let Some(url) = non_empty(&self.valves.endpoint_url) {
            config.set_endpoint_url(Some(url.into()));
        }
        config.build()
    }

    /// Returns the runtime of all regions.
    pub async fn runtime(&self) -> Runtime {
        let make = async || {
            let config = self.config.get_or_init(|| self.load()).await;
            let endpoints = match non_empty(&self.valves.endpoint_url) {
                Some(url) => Endpoints::Fixed(url.into()),
                None => Endpoints::from_config(config),
            };
            Runtime::new(self.http_client.clone(), endpoints, Identity::from_config(config))
        };
        self.runtime.get_or_init(make).await.clone()
    }

    /// Loads the configuration of AWS's SDK.
    async fn load(&self) -> SdkConfig {
        let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(self.credentials_http_client())
            .region(self.home_region())
            .timeout_config(
                TimeoutConfig::builder().connect_timeout(connect_timeout(&self.valves)).build(),
            );
        let loader = match AppName::new("pipewright") {
            Ok(name) => loader.app_name(name),
            Err(_) => loader,
        };
        let config = self.with_credentials(loader).await.load().await;
        match non_empty(&self.valves.aws_role_arn) {
            Some(role) => self.assume_role(role, config).await,
            None => config,
        }
    }

    /// Adds the credentials: those of the most specific valve that is set, else AWS's default
    /// chain.
    async fn with_credentials(&self, loader: ConfigLoader) -> ConfigLoader {
        let valves = &self.valves;
        if let Some(key) = valves.bedrock_api_key.expose() {
            return loader
                .token_provider(SharedTokenProvider::new(Token::new(key, None)))
                .auth_scheme_preference([HTTP_BEARER_AUTH_SCHEME_ID]);
        }
        // A bearer key in the environment must not win over what was set by hand.
        let signed =
            |loader: ConfigLoader| loader.auth_scheme_preference([AuthSchemeId::new("sigv4")]);
        if let (Some(id), Some(secret)) =
            (non_empty(&valves.aws_access_key_id), valves.aws_secret_access_key.expose())
        {
            let token = valves.aws_session_token.expose().map(String::from);
            return signed(loader)
                .credentials_provider(Credentials::new(id, secret, token, None, "valves"));
        }
        if leaks_credentials(valves) {
            let nothing = SharedCredentialsProvider::new(NoCredentialsProvider);
            return signed(loader).credentials_provider(nothing);
        }
        if let Some(name) = non_empty(&valves.aws_profile) {
            let profile =
                ProfileFileCredentialsProvider::builder().configure(&self.provider_config());
            return signed(loader)
                .profile_name(name)
                .credentials_provider(profile.profile_name(name).build());
        }
        // An empty variable is a key to the SDK, and AWS refuses it.
        let blank =
            std::env::var("AWS_BEARER_TOKEN_BEDROCK").is_ok_and(|key| key.trim().is_empty());
        let is_signed = blank || non_empty(&valves.aws_role_arn).is_some();
        let loader = if is_signed { signed(loader) } else { loader };
        loader.credentials_provider(
            CredentialsChain::new(&self.provider_config(), self.home_region()).await,
        )
    }

    async fn assume_role(&self, role: &str, config: SdkConfig) -> SdkConfig {
        let session = non_empty(&self.valves.aws_role_session_name).unwrap_or("pipewright");
        let mut assumed =
            AssumeRoleProvider::builder(role).session_name(session).configure(&config);
        if let Some(id) = non_empty(&self.valves.aws_role_external_id) {
            assumed = assumed.external_id(id);
        }
        let provider = SharedCredentialsProvider::new(assumed.build().await);
        config.into_builder().credentials_provider(provider).build()
    }

    /// Returns the configuration of credential providers.
    fn provider_config(&self) -> ProviderConfig {
        ProviderConfig::without_region()
            .with_region(Some(self.home_region()))
            .with_http_client(self.credentials_http_client())
    }

    /// Returns the HTTP client of credential providers, which reaches metadata services.
    fn credentials_http_client(&self) -> SdkHttpClient {
        SdkHttpClient::new(self.http_client.for_credentials())
    }

    /// Returns the first region. Saying it keeps the SDK from asking EC2 where it runs.
    fn home_region(&self) -> Region {
        Region::new(self.valves.regions.first().cloned().unwrap_or_default())
    }
}

/// Variables that say who asks AWS, and where.
const IDENTITY_VARIABLES: [&str; 6] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_BEDROCK",
];

/// Has no credentials, where those of the machine must not go.
#[derive(Debug)]
struct NoCredentialsProvider;

impl ProvideCredentials for NoCredentialsProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded_no_source()))
    }
}

/// Returns a text that is not empty.
fn non_empty(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// Returns the time-out of connecting.
fn connect_timeout(valves: &BedrockValves) -> Duration {
    Duration::from_secs(valves.connect_timeout_seconds)
}
