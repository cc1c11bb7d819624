//! Checks the signature or the bearer token of a request, as Bedrock does.

use crate::credential::{Credential, SigV4Header};
use crate::exception::BedrockException;
use crate::received_request::ReceivedRequest;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_types::date_time::{DateTime, Format};
use std::time::{Duration, SystemTime};

/// An access key that may sign requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// The access key id.
    pub id: String,
    /// The secret access key.
    pub secret: String,
    /// The session token of a temporary key.
    pub session_token: Option<String>,
}

/// The credentials that are accepted.
#[derive(Clone, Debug, Default)]
pub(crate) struct AcceptedCredentials {
    pub(crate) keys: Vec<AccessKey>,
    pub(crate) bearer_tokens: Vec<String>,
    pub(crate) expired: bool,
}

/// The largest difference between the clocks of client and service.
const MAX_SKEW: Duration = Duration::from_secs(5 * 60);

impl AcceptedCredentials {
    /// Checks the signature or the API key of a request.
    pub(crate) fn check(
        &self,
        call: &ReceivedRequest,
        now: SystemTime,
    ) -> Result<(), BedrockException> {
        if self.expired {
            return Err(BedrockException::from_name(
                "ExpiredTokenException",
                "The security token included in the request is expired",
            ));
        }
        match &call.credential {
            Credential::SigV4(signed) => self.check_signature(call, signed, now),
            Credential::Bearer(token) if self.bearer_tokens.contains(token) => Ok(()),
            Credential::Bearer(_) => Err(BedrockException::access_denied(
                "Authentication failed: Please make sure your API Key is valid.",
            )),
            Credential::Invalid => Err(incomplete(
                "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters.",
            )),
            Credential::None => Err(BedrockException::from_name(
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            )),
        }
    }

    fn check_signature(
        &self,
        call: &ReceivedRequest,
        signed: &SigV4Header,
        now: SystemTime,
    ) -> Result<(), BedrockException> {
        let key = self.keys.iter().find(|key| key.id == signed.key_id).ok_or_else(unrecognized)?;
        if key.session_token.as_deref() != header(call, "x-amz-security-token") {
            return Err(unrecognized());
        }
        if signed.service != "bedrock" {
            return Err(mismatch("Credential should be scoped to correct service: 'bedrock'."));
        }
        let time = signing_time(call)?;
        check_skew(time, now)?;
        if expected_signature(call, signed, key, time)? == signed.signature {
            Ok(())
        } else {
            Err(mismatch(WRONG_SIGNATURE))
        }
    }
}

const WRONG_SIGNATURE: &str = "The request signature we calculated does not match the signature you provided. Check \
    your AWS Secret Access Key and signing method. Consult the service documentation for details.";

/// Computes the expected signature of a request with AWS's own signer.
fn expected_signature(
    call: &ReceivedRequest,
    signed: &SigV4Header,
    key: &AccessKey,
    time: SystemTime,
) -> Result<String, BedrockException> {
    let identity: Identity =
        Credentials::new(&key.id, &key.secret, key.session_token.clone(), None, "emulator").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&signed.region)
        .name(&signed.service)
        .time(time)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| incomplete(error.to_string()))?
        .into();
    let uri = format!("http://{}{}", header(call, "host").unwrap_or("localhost"), call.uri);
    let headers =
        signed.headers.iter().filter_map(|name| Some((name.as_str(), header(call, name)?)));
    let request =
        SignableRequest::new(call.method.as_str(), uri, headers, SignableBody::Bytes(&call.body));
    let output = request
        .and_then(|request| sign(request, &params))
        .map_err(|error| incomplete(error.to_string()))?;
    Ok(output.signature().to_owned())
}

/// Returns the time at which a request was signed.
fn signing_time(call: &ReceivedRequest) -> Result<SystemTime, BedrockException> {
    let date = header(call, "x-amz-date").ok_or_else(|| {
        incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
        )
    })?;
    let part = |from: usize, to: usize| date.get(from..to).unwrap_or_default();
    let spelled = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(9, 11),
        part(11, 13),
        part(13, 15)
    );
    let time = DateTime::from_str(&spelled, Format::DateTime)
        .ok()
        .and_then(|time| SystemTime::try_from(time).ok());
    time.ok_or_else(|| {
        incomplete(format!("Date must be in ISO-8601 'basic format'. Got '{date}'."))
    })
}

/// Refuses a signature that is too old, or from the future.
fn check_skew(time: SystemTime, now: SystemTime) -> Result<(), BedrockException> {
    let stamp = |time: SystemTime| DateTime::from(time).fmt(Format::DateTime).unwrap_or_default();
    if now.duration_since(time).is_ok_and(|age| age > MAX_SKEW) {
        let message = format!(
            "Signature expired: {} is now earlier than {} ({} - 5 min.)",
            stamp(time),
            stamp(now - MAX_SKEW),
            stamp(now)
        );
        return Err(mismatch(message));
    }
    if time.duration_since(now).is_ok_and(|lead| lead > MAX_SKEW) {
        let message = format!(
            "Signature not yet current: {} is still later than {} ({} + 5 min.)",
            stamp(time),
            stamp(now + MAX_SKEW),
            stamp(now)
        );
        return Err(mismatch(message));
    }
    Ok(())
}

/// Returns the value of a request's header.
fn header<'a>(call: &'a ReceivedRequest, name: &str) -> Option<&'a str> {
    call.headers.get(name)?.to_str().ok()
}

/// Returns the error of credentials that AWS does not know.
fn unrecognized() -> BedrockException {
    BedrockException::from_name(
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    )
}

/// Returns the error of a signature that does not match.
fn mismatch(message: impl Into<String>) -> BedrockException {
    BedrockException::from_name("InvalidSignatureException", message)
}

/// Returns the error of a signature without all its parts.
fn incomplete(message: impl Into<String>) -> BedrockException {
    BedrockException::from_name("IncompleteSignatureException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_five_minutes_off_and_no_more() {
        let now = SystemTime::now();
        let off = |seconds| Duration::from_secs(seconds);
        for (time, taken) in [
            (now - off(299), true),
            (now + off(299), true),
            (now - off(301), false),
            (now + off(301), false),
        ] {
            assert_eq!(check_skew(time, now).is_ok(), taken);
        }
    }
}
