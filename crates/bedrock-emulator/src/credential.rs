//! The credentials in a request, before they are checked.

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The credentials in the `Authorization` header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Credential {
    SigV4(SigV4Header),
    Bearer(String),
    Invalid,
    None,
}

/// The parts of a SigV4 `Authorization` header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SigV4Header {
    pub(crate) key_id: String,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(crate) headers: Vec<String>,
    pub(crate) signature: String,
}

/// The authentication scheme of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthKind {
    /// A signature with an access key.
    SigV4,
    /// A bearer token.
    Bearer,
    /// There is no header, or an invalid one.
    None,
}

impl Credential {
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let Some(header) = headers.get(AUTHORIZATION) else { return Self::None };
        let header = header.to_str().unwrap_or_default();
        if let Some(token) = header.strip_prefix("Bearer ") {
            return Self::Bearer(token.to_owned());
        }
        SigV4Header::parse(header).map_or(Self::Invalid, Self::SigV4)
    }

    /// Returns the region of the credential scope. A bearer token has none.
    pub(crate) fn region(&self) -> Option<&str> {
        match self {
            Self::SigV4(signed) => Some(&signed.region),
            Self::Bearer(_) | Self::Invalid | Self::None => None,
        }
    }

    /// Returns the kind of authentication.
    pub(crate) fn kind(&self) -> AuthKind {
        match self {
            Self::SigV4(_) => AuthKind::SigV4,
            Self::Bearer(_) => AuthKind::Bearer,
            Self::Invalid | Self::None => AuthKind::None,
        }
    }
}

impl SigV4Header {
    /// Parses the header `Authorization`.
    fn parse(header: &str) -> Option<Self> {
        let fields = header.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let field = |name: &str| {
            fields.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let mut scope = field("Credential")?.split('/');
        let (key_id, _date, region, service) =
            (scope.next()?, scope.next()?, scope.next()?, scope.next()?);
        Some(Self {
            key_id: key_id.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            headers: field("SignedHeaders")?.split(';').map(str::to_owned).collect(),
            signature: field("Signature")?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(header: &str) -> Credential {
        Credential::from_headers(&HeaderMap::from_iter([(AUTHORIZATION, header.parse().unwrap())]))
    }

    #[test]
    fn the_region_is_that_of_the_credential_scope() {
        let header = "AWS4-HMAC-SHA256 Credential=AK/20260102/us-west-2/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature=ab";
        let credential = parse(header);
        assert_eq!(credential.region(), Some("us-west-2"));
        assert_eq!(credential.kind(), AuthKind::SigV4);
    }

    #[test]
    fn other_headers_are_told_apart() {
        assert_eq!(parse("Bearer abc"), Credential::Bearer("abc".into()));
        assert_eq!(parse("AWS4-HMAC-SHA256 Credential=AK"), Credential::Invalid);
        assert_eq!(Credential::from_headers(&HeaderMap::new()), Credential::None);
    }
}
