//! Signs requests by AWS Signature Version 4
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).
//!
//! The key that signs is derived from the secret by four HMACs, and is the same for a region and a
//! day, so it is kept. aws-sigv4 derives it for each request.

use aws_credential_types::Credentials;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, InvalidHeaderValue},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::{
    digest::{SHA256, digest},
    hmac,
};
use std::{
    fmt::Write as _,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};
use time::OffsetDateTime;
use url::Url;

/// The name of the service in both of Bedrock's APIs.
const SERVICE: &str = "bedrock";
/// The name of the signature's algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The header of the time of the signature.
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const SESSION_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// The characters that are not encoded in the signed path. A percent sign is encoded once more.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Credentials, and the keys that were derived from them today.
#[derive(Debug)]
pub(crate) struct Signer {
    credentials: Credentials,
    session_token: Option<HeaderValue>,
    keys: Mutex<Vec<SigningKey>>,
}

/// The key of one region and day.
#[derive(Debug)]
struct SigningKey {
    date: String,
    region: String,
    key: hmac::Key,
}

impl Signer {
    /// Creates a signer. It fails for a session token that no header can hold.
    pub fn new(credentials: Credentials) -> Result<Self, InvalidHeaderValue> {
        let session_token = credentials.session_token().map(HeaderValue::from_str).transpose()?;
        let session_token = session_token.map(|mut token| {
            token.set_sensitive(true);
            token
        });
        Ok(Self { credentials, session_token, keys: Mutex::default() })
    }

    /// Adds the headers that prove a POST request with these headers and this body.
    ///
    /// # Errors
    /// Returns an error if a header has characters that cannot be signed.
    pub fn sign(
        &self,
        headers: &mut HeaderMap,
        url: &Url,
        body: &[u8],
        region: &str,
        now: SystemTime,
    ) -> Result<(), InvalidHeaderValue> {
        let time = format_time(now);
        let (date, _) = time.split_once('T').unwrap_or_default();
        headers.insert(DATE, HeaderValue::from_str(&time)?);
        headers.extend(self.session_token.clone().map(|token| (SESSION_TOKEN, token)));
        let (signed_headers, request) = canonical_request(headers, url, body);
        let scope = format!("{date}/{region}/{SERVICE}/aws4_request");
        let digest = hex(digest(&SHA256, request.as_bytes()).as_ref());
        let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{digest}");
        let signature = hex(hmac::sign(&self.key(date, region), to_sign.as_bytes()).as_ref());
        let id = self.credentials.access_key_id();
        let mut authorization = HeaderValue::try_from(format!(
            "{ALGORITHM} Credential={id}/{scope}, SignedHeaders={signed_headers}, Signature={signature}"
        ))?;
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
        Ok(())
    }

    /// Returns the signing key of a day and a region, which is derived once.
    fn key(&self, date: &str, region: &str) -> hmac::Key {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = keys.iter().find(|key| key.region == region && key.date == date) {
            return known.key.clone();
        }
        keys.retain(|key| key.date == date);
        let key = derive_key(self.credentials.secret_access_key(), date, region);
        keys.push(SigningKey {
            date: date.to_owned(),
            region: region.to_owned(),
            key: key.clone(),
        });
        key
    }
}

fn derive_key(secret: &str, date: &str, region: &str) -> hmac::Key {
    let first = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{secret}").as_bytes());
    [date, region, SERVICE, "aws4_request"].into_iter().fold(first, |key, part| {
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref())
    })
}

/// Returns the names of the signed headers, and the text that is signed.
fn canonical_request(headers: &HeaderMap, url: &Url, body: &[u8]) -> (String, String) {
    let mut host = url.host_str().unwrap_or_default().to_owned();
    if let Some(port) = url.port() {
        // A text can always be written to.
        _ = write!(host, ":{port}");
    }
    let text = |value| String::from_utf8_lossy(HeaderValue::as_bytes(value));
    let mut signed: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
    signed.push(("host", host.into()));
    signed.sort_by_key(|(name, _)| *name);
    let (mut names, mut request) = (String::new(), String::from("POST\n"));
    request.extend(utf8_percent_encode(url.path(), PATH));
    request.push('\n');
    request.push_str(url.query().unwrap_or_default());
    request.push('\n');
    for values in signed.chunk_by(|(one, _), (next, _)| one == next) {
        let name = values.first().map_or("", |(name, _)| name);
        if !names.is_empty() {
            names.push(';');
        }
        names.push_str(name);
        request.push_str(name);
        let mut separator = ':';
        for (_, value) in values {
            request.push(separator);
            request.extend(value.split_ascii_whitespace().flat_map(|word| [" ", word]).skip(1));
            separator = ',';
        }
        request.push('\n');
    }
    let hash = hex(digest(&SHA256, body).as_ref());
    _ = write!(request, "\n{names}\n{hash}");
    (names, request)
}

/// Returns a time as in `20130524T000000Z`.
fn format_time(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    format!("{year:04}{:02}{day:02}T{hour:02}{minute:02}{second:02}Z", u8::from(month))
}

/// Returns bytes as lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sigv4::{
        http_request::{SignableBody, SignableRequest, SigningSettings, sign},
        sign::v4::SigningParams,
    };
    use proptest::prelude::*;
    use std::time::Duration;

    /// Returns the headers that AWS's own crate adds.
    fn reference(
        credentials: Credentials,
        headers: &HeaderMap,
        url: &Url,
        body: &[u8],
        region: &str,
        now: SystemTime,
    ) -> HeaderMap {
        let identity = credentials.into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(SERVICE)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let signed = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        let body = SignableBody::Bytes(body);
        let request = SignableRequest::new("POST", url.as_str(), signed, body).unwrap();
        let (instructions, _) = sign(request, &params.into()).unwrap().into_parts();
        let mut all = headers.clone();
        for header in instructions.into_parts().0 {
            all.insert(header.name(), header.value().parse().unwrap());
        }
        all
    }

    proptest! {
        #[test]
        fn a_request_is_signed_as_aws_signs_it(
            path in "(/[a-zA-Z0-9:%._~ @!-]{1,20}){0,3}",
            port in proptest::option::of(1024..60_000_u16),
            value in "[!-~]([ -~]{0,20}[!-~])?",
            body in proptest::collection::vec(any::<u8>(), 0..200),
            secret in "[a-zA-Z0-9+/]{1,40}",
            token in proptest::option::of("[a-zA-Z0-9+/=]{1,60}"),
            seconds in 0..4_000_000_000_u64,
        ) {
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            let mut url = Url::parse(&format!("https://bedrock.example{port}")).unwrap();
            url.set_path(&format!("{path}/model/amazon.nova-lite-v1%3A0/converse"));
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static("application/json"));
            headers.insert("x-amzn-bedrock-trace", value.parse().unwrap());
            let credentials = Credentials::new("AKID", secret, token, None, "test");
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let expected =
                reference(credentials.clone(), &headers, &url, &body, "us-east-1", now);
            let signer = Signer::new(credentials).unwrap();
            signer.sign(&mut headers, &url, &body, "us-east-1", now).unwrap();
            prop_assert_eq!(headers, expected);
        }
    }

    #[test]
    fn keys_are_those_of_the_region_and_the_day() {
        let credentials = Credentials::new("AKID", "secret", None, None, "test");
        let signer = Signer::new(credentials.clone()).unwrap();
        let url = Url::parse("https://bedrock.example/model/m/converse").unwrap();
        for (day, region) in
            [(0, "us-east-1"), (0, "us-west-2"), (0, "us-east-1"), (1, "us-east-1")]
        {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(day * 86_400);
            let expected =
                reference(credentials.clone(), &HeaderMap::new(), &url, b"{}", region, now);
            let mut headers = HeaderMap::new();
            signer.sign(&mut headers, &url, b"{}", region, now).unwrap();
            assert_eq!(headers, expected, "{day} {region}");
        }
        assert_eq!(signer.keys.lock().unwrap().len(), 1, "those of the day before are let go");
    }

    #[test]
    fn a_token_that_no_header_can_hold_is_refused() {
        let token = Some("two\nlines".into());
        assert!(Signer::new(Credentials::new("AKID", "secret", token, None, "test")).is_err());
    }
}
