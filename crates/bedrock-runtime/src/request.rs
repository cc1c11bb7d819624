//! A request as it leaves: its path, its headers, and who it is from (`docs/reference/bedrock.md`,
//! "Endpoints and operations" and "Signing").

use crate::{
    CredentialsFault, SendError,
    identity::{AuthKey, AuthMaterial},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::{fmt, time::SystemTime};
use url::Url;
use uuid::Uuid;

/// The error of credentials that no header can hold.
const UNSIGNABLE: SendError = SendError::CredentialsUnavailable(CredentialsFault::Unknown);

/// One request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The region, as in `us-east-1`.
    pub region: &'a str,
    /// The operation, and the model that it calls.
    pub operation: Operation<'a>,
    /// The body: JSON, except for models that accept something else.
    pub body: Bytes,
    /// Headers beside those that every request has. They are signed.
    pub headers: HeaderMap,
    /// The number of this attempt.
    pub attempt: Attempt,
}

/// A chat operation of the runtime API, with the model that it calls: the model's id, or the ARN of
/// a model or a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Answers a chat in one piece, in Bedrock's format for all models.
    Converse(&'a str),
    /// Answers a chat as a stream of events.
    ConverseStream(&'a str),
}

/// The number of an attempt, and the number of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The number of this attempt, from 1.
    pub number: u32,
    /// The largest number of attempts.
    pub max: u32,
}

/// The characters that AWS does not encode within a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The header that tells the service the number of the attempt.
const ATTEMPT: HeaderName = HeaderName::from_static("amz-sdk-request");
/// The header that tells the service which attempts belong together.
const INVOCATION: HeaderName = HeaderName::from_static("amz-sdk-invocation-id");

impl Request<'_> {
    /// Returns the request as it goes to this endpoint, proven by this key.
    pub(crate) fn into_http(
        self,
        endpoint: &Url,
        key: &AuthKey,
        now: SystemTime,
    ) -> Result<reqwest::Request, SendError> {
        let mut url = endpoint.clone();
        url.set_path(&format!("{}{}", endpoint.path().trim_end_matches('/'), self.operation));
        let mut headers = self.headers;
        headers.entry(CONTENT_TYPE).or_insert(JSON);
        match &key.auth {
            AuthMaterial::Bearer(token) => {
                headers.insert(AUTHORIZATION, token.clone());
            }
            AuthMaterial::SigV4(signer) => {
                let signed = signer.sign(&mut headers, &url, &self.body, self.region, now);
                signed.map_err(|_| UNSIGNABLE)?;
            }
        }
        headers.insert(INVOCATION, header_value(Uuid::new_v4())?);
        headers.insert(ATTEMPT, header_value(self.attempt)?);
        let mut request = reqwest::Request::new(Method::POST, url);
        *request.headers_mut() = headers;
        *request.body_mut() = Some(self.body.into());
        Ok(request)
    }
}

fn header_value(value: impl fmt::Display) -> Result<HeaderValue, SendError> {
    HeaderValue::try_from(value.to_string()).map_err(|_| UNSIGNABLE)
}

impl fmt::Display for Operation<'_> {
    /// Returns the path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let segment = |text| utf8_percent_encode(text, SEGMENT);
        match *self {
            Self::Converse(model) => write!(f, "/model/{}/converse", segment(model)),
            Self::ConverseStream(model) => write!(f, "/model/{}/converse-stream", segment(model)),
        }
    }
}

impl fmt::Display for Attempt {
    /// Writes the value of `amz-sdk-request`, as AWS's SDKs do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt={}; max={}", self.number, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_its_path() {
        for (operation, path) in [
            (
                Operation::Converse("amazon.nova-lite-v1:0"),
                "/model/amazon.nova-lite-v1%3A0/converse",
            ),
            (Operation::ConverseStream("m_~.-"), "/model/m_~.-/converse-stream"),
            (Operation::Converse("arn:a b/c"), "/model/arn%3Aa%20b%2Fc/converse"),
        ] {
            assert_eq!(operation.to_string(), path);
        }
    }
}
