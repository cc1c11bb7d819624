//! Who we are to AWS, kept until shortly before it expires.

use crate::SendError;
use aws_credential_types::{
    Credentials, Token,
    provider::{
        ProvideCredentials, SharedCredentialsProvider,
        token::{ProvideToken, SharedTokenProvider},
    },
};
use aws_smithy_runtime_api::client::{
    auth::{AuthSchemeId, http::HTTP_BEARER_AUTH_SCHEME_ID},
    identity::Identity as SmithyIdentity,
};
use aws_types::{SdkConfig, service_config::ServiceConfigKey};
use http::HeaderValue;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, timeout};

/// Who we are to AWS. Its clones share what was fetched.
#[derive(Clone, Debug)]
pub struct Identity(Arc<Cache>);

#[derive(Debug)]
struct Cache {
    source: Source,
    held: Mutex<Held>,
    /// Held by whoever asks the source.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
enum Source {
    Credentials(SharedCredentialsProvider),
    Token(SharedTokenProvider),
    Nothing,
}

#[derive(Debug, Default)]
struct Held {
    key: Option<Arc<Key>>,
    /// The last one that AWS refused.
    refused: Option<Arc<Key>>,
    /// Until then a key that is still valid is good enough, although it is about to expire.
    quiet_until: Option<Instant>,
    /// How often the source was asked.
    asked: u64,
    /// Why the source had nothing when it was asked last.
    failure: Option<SendError>,
}

/// What proves that a request is ours.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) proof: AuthMaterial,
    secret: Secret,
    fetched: SystemTime,
    expires: Option<SystemTime>,
}

#[derive(Debug)]
pub(crate) enum AuthMaterial {
    /// A header, as it is.
    Bearer(HeaderValue),
    /// What SigV4 signs with.
    Signature(SmithyIdentity),
}

#[derive(Debug)]
enum Secret {
    Credentials(Credentials),
    Token(Token),
}

/// How long before the end a new key is asked for. Whoever hands out temporary keys has the next ones some minutes earlier.
const MARGIN: Duration = Duration::from_secs(60);

/// How long a key without an end is kept; as in the SDK, so that changed files are seen.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// How often a source is asked that cannot give anything newer yet.
const QUIET: Duration = Duration::from_secs(5);

/// How long a source may take: a role needs two requests, and each connects.
const PATIENCE: Duration = Duration::from_secs(20);

impl Identity {
    /// Whoever the SDK would be by this configuration: the bearer of `AWS_BEARER_TOKEN_BEDROCK` or of a token that is preferred to
    /// signatures, else who has the credentials.
    pub fn of(config: &SdkConfig) -> Self {
        let is_set = config.get_origin("auth_scheme_preference").is_client_config();
        if let Some(token) = bearer_of_environment(config).filter(|_| !is_set) {
            return Self::bearer(SharedTokenProvider::new(Token::new(token, None)));
        }
        let signature = AuthSchemeId::new("sigv4");
        let preferred = config.auth_scheme_preference().cloned().and_then(|schemes| {
            schemes
                .into_iter()
                .find(|scheme| [&signature, &HTTP_BEARER_AUTH_SCHEME_ID].contains(&scheme))
        });
        let is_bearer = preferred == Some(HTTP_BEARER_AUTH_SCHEME_ID);
        match (config.token_provider(), config.credentials_provider()) {
            (Some(token), _) if is_bearer => Self::bearer(token),
            (_, Some(credentials)) => Self::signing(credentials),
            (Some(token), None) => Self::bearer(token),
            (None, None) => Self::from(Source::Nothing),
        }
    }

    /// Whoever bears these tokens.
    pub fn bearer(tokens: SharedTokenProvider) -> Self {
        Self::from(Source::Token(tokens))
    }

    /// Whoever has these credentials.
    pub fn signing(credentials: SharedCredentialsProvider) -> Self {
        Self::from(Source::Credentials(credentials))
    }

    /// The key for the next request.
    pub(crate) async fn key(&self) -> Result<Arc<Key>, SendError> {
        let Self(cache) = self;
        let (valid, asked) = {
            let held = cache.held();
            match held.valid() {
                Some(key) if held.is_fresh(&key) => return Ok(key),
                valid => (valid, held.asked),
            }
        };
        let _asking = match valid {
            // Whoever comes first asks for the next key; the others need not wait for it.
            Some(key) => match cache.asking.try_lock() {
                Ok(asking) => asking,
                Err(_) => return Ok(key),
            },
            None => cache.asking.lock().await,
        };
        // Somebody else has asked meanwhile. What they were told goes for all who waited.
        {
            let held = cache.held();
            if held.asked != asked {
                return held
                    .valid()
                    .ok_or_else(|| held.failure.clone().unwrap_or(SendError::LostCredentials));
            }
        }
        cache.ask().await
    }

    /// Takes this key out of use. Others that came after it stay.
    pub(crate) fn forget(&self, key: &Arc<Key>) {
        let mut held = self.0.held();
        if held.key.take_if(|held| Arc::ptr_eq(held, key)).is_some() {
            held.refused = Some(Arc::clone(key));
        }
    }

    /// Whether the key is now another than the last one that AWS refused.
    pub(crate) async fn is_renewed(&self) -> bool {
        let Some(refused) = self.0.held().refused.clone() else { return false };
        self.key().await.is_ok_and(|key| !key.secret.is(&refused.secret))
    }
}

impl Cache {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self) -> Result<Arc<Key>, SendError> {
        let answer =
            timeout(PATIENCE, self.source.ask()).await.unwrap_or(Err(SendError::LostCredentials));
        let mut held = self.held();
        held.asked += 1;
        held.quiet_until = Some(Instant::now() + QUIET);
        match answer {
            Ok(key) => {
                let key = Arc::new(key);
                held.key = Some(Arc::clone(&key));
                Ok(key)
            }
            Err(failure) => {
                held.failure = Some(failure.clone());
                held.valid().ok_or(failure)
            }
        }
    }
}

impl Source {
    async fn ask(&self) -> Result<Key, SendError> {
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
            Self::Nothing => return Err(SendError::NoCredentials),
        };
        Key::new(secret)
    }
}

impl Held {
    /// The key, unless it has expired.
    fn valid(&self) -> Option<Arc<Key>> {
        self.key.clone().filter(|key| key.expires.is_none_or(|end| SystemTime::now() < end))
    }

    fn is_fresh(&self, key: &Key) -> bool {
        let end = key.expires.map_or(key.fetched + LIFETIME, |end| end - MARGIN);
        SystemTime::now() < end || self.quiet_until.is_some_and(|until| Instant::now() < until)
    }
}

impl Key {
    fn new(secret: Secret) -> Result<Self, SendError> {
        let (proof, expires) = match &secret {
            Secret::Credentials(credentials) => {
                (AuthMaterial::Signature(credentials.clone().into()), credentials.expiry())
            }
            Secret::Token(token) => {
                (AuthMaterial::Bearer(bearer(token.token())?), token.expiration())
            }
        };
        Ok(Self { proof, secret, fetched: SystemTime::now(), expires })
    }
}

impl Secret {
    /// Whether AWS cannot tell it from the other.
    fn is(&self, other: &Self) -> bool {
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

impl From<Source> for Identity {
    fn from(source: Source) -> Self {
        Self(Arc::new(Cache {
            source,
            held: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }))
    }
}

fn bearer_of_environment(config: &SdkConfig) -> Option<String> {
    // Without a name for profiles: they hold no bearer keys.
    let key = ServiceConfigKey::builder().service_id("bedrock").env("AWS_BEARER_TOKEN").profile("");
    config.service_config()?.load_config(key.build().ok()?)
}

fn bearer(token: &str) -> Result<HeaderValue, SendError> {
    let mut header = HeaderValue::try_from(format!("Bearer {}", token.trim()))
        .map_err(|_| SendError::LostCredentials)?;
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

    async fn proof(identity: Identity) -> &'static str {
        match identity.key().await.map(|key| format!("{:?}", key.secret)) {
            Ok(secret) if secret.starts_with("Token") => "bearer",
            Ok(_) => "signature",
            Err(failure) => {
                assert_eq!(failure, SendError::NoCredentials);
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
            let who = proof(Identity::of(&config.build())).await;
            assert_eq!(who, expected, "{environment:?} {is_set} {token} {credentials}");
        }
    }

    #[tokio::test]
    async fn a_token_that_no_header_can_hold_is_lost() {
        let token = SharedTokenProvider::new(Token::new("two\nlines", None));
        assert_eq!(Identity::bearer(token).key().await.unwrap_err(), SendError::LostCredentials);
    }
}
