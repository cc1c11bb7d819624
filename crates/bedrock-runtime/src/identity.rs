//! The AWS identity of the host, cached until shortly before it expires.

use crate::{CredentialsFault, SendError, signing::Signer};
use aws_credential_types::{
    Credentials, Token,
    provider::{
        ProvideCredentials, SharedCredentialsProvider,
        token::{ProvideToken, SharedTokenProvider},
    },
};
use aws_smithy_runtime_api::client::auth::{AuthSchemeId, http::HTTP_BEARER_AUTH_SCHEME_ID};
use aws_types::{SdkConfig, service_config::ServiceConfigKey};
use http::HeaderValue;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, timeout};

/// The AWS identity of the host. Its clones share the cached credentials.
#[derive(Clone, Debug)]
pub struct Identity(Arc<CredentialsCache>);

/// Credentials, which are fetched again before they expire.
#[derive(Debug)]
struct CredentialsCache {
    source: CredentialsSource,
    cached: Mutex<CachedCredentials>,
    /// The lock that the task which fetches credentials holds.
    fetching: tokio::sync::Mutex<()>,
}

/// The SDK's provider of credentials, or of a token.
#[derive(Debug)]
enum CredentialsSource {
    Credentials(SharedCredentialsProvider),
    Token(SharedTokenProvider),
    None,
}

/// The credentials, and the state of their refresh.
#[derive(Debug, Default)]
struct CachedCredentials {
    key: Option<Arc<AuthKey>>,
    /// The last key that AWS refused.
    refused: Option<Arc<AuthKey>>,
    /// The time of the next refresh. Until then a key that is still valid is used, although it
    /// expires soon.
    next_refresh: Option<Instant>,
    /// The number of fetches from the source.
    fetches: u64,
    /// The error of the last fetch.
    error: Option<SendError>,
}

/// The material that authenticates a request.
#[derive(Debug)]
pub(crate) struct AuthKey {
    pub(crate) auth: AuthMaterial,
    secret: Secret,
    fetched_at: SystemTime,
    expires_at: Option<SystemTime>,
}

/// The material that authenticates a request.
#[derive(Debug)]
pub(crate) enum AuthMaterial {
    /// A header, as it is.
    Bearer(HeaderValue),
    /// The keys that SigV4 signs with.
    SigV4(Signer),
}

/// Credentials or a token, as the SDK provides them.
#[derive(Debug)]
enum Secret {
    Credentials(Credentials),
    Token(Token),
}

/// The error of a source that does not tell why.
const UNKNOWN_FAULT: SendError = SendError::CredentialsUnavailable(CredentialsFault::Unknown);

/// The time before its expiry at which a key is replaced. Services that issue temporary keys have
/// the next one some minutes earlier.
const REFRESH_MARGIN: Duration = Duration::from_secs(60);

/// The lifetime of a key without an expiry; as in the SDK, so that changed files are read.
const MAX_AGE: Duration = Duration::from_secs(15 * 60);

/// The pause between two fetches from a source that has no newer key yet.
const REFRESH_BACKOFF: Duration = Duration::from_secs(5);

/// The time-out of a fetch: a role needs two requests, and each connects.
const FETCH_TIMEOUT: Duration = Duration::from_secs(20);

impl Identity {
    /// Returns the identity that the SDK would use with this configuration: a bearer token if
    /// `AWS_BEARER_TOKEN_BEDROCK` is set or a token is preferred to signatures, else the
    /// credentials.
    pub fn from_config(config: &SdkConfig) -> Self {
        let is_set = config.get_origin("auth_scheme_preference").is_client_config();
        if let Some(token) = bearer_from_environment(config).filter(|_| !is_set) {
            return Self::from_tokens(SharedTokenProvider::new(Token::new(token, None)));
        }
        let signature = AuthSchemeId::new("sigv4");
        let preferred = config.auth_scheme_preference().cloned().and_then(|schemes| {
            schemes
                .into_iter()
                .find(|scheme| [&signature, &HTTP_BEARER_AUTH_SCHEME_ID].contains(&scheme))
        });
        let is_bearer = preferred == Some(HTTP_BEARER_AUTH_SCHEME_ID);
        match (config.token_provider(), config.credentials_provider()) {
            (Some(token), _) if is_bearer => Self::from_tokens(token),
            (_, Some(credentials)) => Self::from_credentials(credentials),
            (Some(token), None) => Self::from_tokens(token),
            (None, None) => Self::from(CredentialsSource::None),
        }
    }

    /// Returns an identity of bearer tokens.
    pub fn from_tokens(tokens: SharedTokenProvider) -> Self {
        Self::from(CredentialsSource::Token(tokens))
    }

    /// Returns an identity that signs requests with credentials.
    pub fn from_credentials(credentials: SharedCredentialsProvider) -> Self {
        Self::from(CredentialsSource::Credentials(credentials))
    }

    /// Returns the key for the next request.
    pub(crate) async fn auth_key(&self) -> Result<Arc<AuthKey>, SendError> {
        let Self(cache) = self;
        let (valid, fetches) = {
            let cached = cache.lock();
            match cached.valid() {
                Some(key) if cached.is_fresh(&key) => return Ok(key),
                valid => (valid, cached.fetches),
            }
        };
        let _fetching = match valid {
            // The first caller fetches the next key; the others use the present one meanwhile.
            Some(key) => match cache.fetching.try_lock() {
                Ok(fetching) => fetching,
                Err(_) => return Ok(key),
            },
            None => cache.fetching.lock().await,
        };
        // Another call has fetched meanwhile. Its result is that of all that waited.
        {
            let cached = cache.lock();
            if cached.fetches != fetches {
                return cached.valid().ok_or_else(|| cached.error.clone().unwrap_or(UNKNOWN_FAULT));
            }
        }
        cache.fetch().await
    }

    /// Returns whether requests carry a bearer token instead of a signature.
    pub(crate) fn is_bearer(&self) -> bool {
        matches!(self.0.source, CredentialsSource::Token(_))
    }

    /// Takes this key out of use. Others that came after it stay.
    pub(crate) fn invalidate(&self, key: &Arc<AuthKey>) {
        let mut cached = self.0.lock();
        if cached.key.take_if(|cached| Arc::ptr_eq(cached, key)).is_some() {
            cached.refused = Some(Arc::clone(key));
        }
    }

    /// Returns whether the key is now another than the last one that AWS refused.
    pub(crate) async fn has_new_credentials(&self) -> bool {
        let Some(refused) = self.0.lock().refused.clone() else { return false };
        self.auth_key().await.is_ok_and(|key| !key.secret.is_same(&refused.secret))
    }
}

impl CredentialsCache {
    /// Locks the cached credentials.
    fn lock(&self) -> MutexGuard<'_, CachedCredentials> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches new credentials, and keeps them.
    async fn fetch(&self) -> Result<Arc<AuthKey>, SendError> {
        let answer =
            timeout(FETCH_TIMEOUT, self.source.fetch()).await.unwrap_or(Err(UNKNOWN_FAULT));
        let mut cached = self.lock();
        cached.fetches += 1;
        cached.next_refresh = Some(Instant::now() + REFRESH_BACKOFF);
        match answer {
            Ok(key) => {
                let key = Arc::new(key);
                cached.key = Some(Arc::clone(&key));
                Ok(key)
            }
            Err(error) => {
                cached.error = Some(error.clone());
                cached.valid().ok_or(error)
            }
        }
    }
}

impl CredentialsSource {
    /// Fetches credentials or a token from the SDK's provider.
    async fn fetch(&self) -> Result<AuthKey, SendError> {
        let secret = match self {
            Self::Credentials(provider) => provider
                .provide_credentials()
                .await
                .map(Secret::Credentials)
                .map_err(|error| SendError::from(&error))?,
            Self::Token(provider) => provider
                .provide_token()
                .await
                .map(Secret::Token)
                .map_err(|error| SendError::from(&error))?,
            Self::None => return Err(SendError::NoCredentials),
        };
        AuthKey::new(secret)
    }
}

impl CachedCredentials {
    /// Returns the key, unless it has expired.
    fn valid(&self) -> Option<Arc<AuthKey>> {
        self.key.clone().filter(|key| key.expires_at.is_none_or(|end| SystemTime::now() < end))
    }

    fn is_fresh(&self, key: &AuthKey) -> bool {
        let end = key.expires_at.map_or(key.fetched_at + MAX_AGE, |end| end - REFRESH_MARGIN);
        SystemTime::now() < end || self.next_refresh.is_some_and(|until| Instant::now() < until)
    }
}

impl AuthKey {
    fn new(secret: Secret) -> Result<Self, SendError> {
        let (auth, expires_at) = match &secret {
            Secret::Credentials(credentials) => {
                let signer = Signer::new(credentials.clone());
                let signer = signer.map_err(|_| UNKNOWN_FAULT)?;
                (AuthMaterial::SigV4(signer), credentials.expiry())
            }
            Secret::Token(token) => {
                (AuthMaterial::Bearer(bearer_header(token.token())?), token.expiration())
            }
        };
        Ok(Self { auth, secret, fetched_at: SystemTime::now(), expires_at })
    }

    /// Returns the credentials; `None` if the key is a token.
    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        match &self.secret {
            Secret::Credentials(credentials) => Some(credentials),
            Secret::Token(_) => None,
        }
    }

    /// Returns the token; `None` if the key is a pair of credentials.
    pub(crate) fn token(&self) -> Option<&Token> {
        match &self.secret {
            Secret::Token(token) => Some(token),
            Secret::Credentials(_) => None,
        }
    }
}

impl Secret {
    /// Returns whether AWS cannot tell it from the other.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Credentials(one), Self::Credentials(other)) => {
                one.access_key_id() == other.access_key_id()
                    && one.secret_access_key() == other.secret_access_key()
                    && one.session_token() == other.session_token()
            }
            (Self::Token(one), Self::Token(other)) => one.token() == other.token(),
            _ => false,
        }
    }
}

impl From<CredentialsSource> for Identity {
    fn from(source: CredentialsSource) -> Self {
        Self(Arc::new(CredentialsCache {
            source,
            cached: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }))
    }
}

fn bearer_from_environment(config: &SdkConfig) -> Option<String> {
    // Without a name for profiles: they hold no bearer keys.
    let key = ServiceConfigKey::builder().service_id("bedrock").env("AWS_BEARER_TOKEN").profile("");
    config.service_config()?.load_config(key.build().ok()?)
}

fn bearer_header(token: &str) -> Result<HeaderValue, SendError> {
    let mut header =
        HeaderValue::try_from(format!("Bearer {}", token.trim())).map_err(|_| UNKNOWN_FAULT)?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_types::{origin::Origin, service_config::LoadServiceConfig};

    /// An environment with this bearer key.
    #[derive(Debug)]
    struct Environment(Option<&'static str>);

    impl LoadServiceConfig for Environment {
        fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
            assert_eq!((key.service_id(), key.env()), ("bedrock", "AWS_BEARER_TOKEN"));
            self.0.map(String::from)
        }
    }

    async fn auth(identity: Identity) -> &'static str {
        match identity.auth_key().await.map(|key| format!("{:?}", key.secret)) {
            Ok(secret) if secret.starts_with("Token") => "bearer",
            Ok(_) => "signature",
            Err(error) => {
                assert_eq!(error, SendError::NoCredentials);
                "nothing"
            }
        }
    }

    #[tokio::test]
    async fn who_we_are_is_who_the_sdk_would_be() {
        let bearer = HTTP_BEARER_AUTH_SCHEME_ID;
        let (sigv4, sigv4a) = (AuthSchemeId::new("sigv4"), AuthSchemeId::new("sigv4a"));
        for (environment, preference, is_set, token, credentials, expected) in [
            (None, vec![], false, false, false, "nothing"),
            (None, vec![], false, true, true, "signature"),
            (None, vec![], false, true, false, "bearer"),
            (None, vec![bearer.clone()], true, true, true, "bearer"),
            (None, vec![sigv4a.clone(), bearer.clone()], false, true, true, "bearer"),
            (None, vec![sigv4.clone(), bearer.clone()], false, true, true, "signature"),
            (None, vec![bearer], false, false, true, "signature"),
            (Some("key"), vec![], false, false, true, "bearer"),
            (Some("key"), vec![sigv4.clone()], false, false, true, "bearer"),
            (Some("key"), vec![sigv4], true, false, true, "signature"),
        ] {
            let mut config = SdkConfig::builder().service_config(Environment(environment));
            config.set_auth_scheme_preference((!preference.is_empty()).then_some(preference));
            if is_set {
                config.insert_origin("auth_scheme_preference", Origin::shared_config());
            }
            if token {
                let token = Token::new("token", None);
                config.set_token_provider(Some(SharedTokenProvider::new(token)));
            }
            if credentials {
                let keys = Credentials::new("id", "secret", None, None, "test");
                config.set_credentials_provider(Some(SharedCredentialsProvider::new(keys)));
            }
            let who = auth(Identity::from_config(&config.build())).await;
            assert_eq!(who, expected, "{environment:?} {is_set} {token} {credentials}");
        }
    }

    #[tokio::test]
    async fn a_token_that_no_header_can_hold_is_lost() {
        let token = SharedTokenProvider::new(Token::new("two\nlines", None));
        assert_eq!(Identity::from_tokens(token).auth_key().await.unwrap_err(), UNKNOWN_FAULT);
    }
}
