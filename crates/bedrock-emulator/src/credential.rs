//! Who a request says it is from, before anyone has checked.

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// What the `Authorization` header holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Credential {
    SigV4(Signed),
    Bearer(String),
    Unreadable,
    None,
}

/// The parts of a SigV4 header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Signed {
    pub(crate) key_id: String,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(crate) headers: Vec<String>,
    pub(crate) signature: String,
}

/// How a request proved who it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthKind {
    /// Signed with a key.
    SigV4,
    /// With a bearer token.
    Bearer,
    /// Not at all, or unreadably.
    None,
}

impl Credential {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let Some(header) = headers.get(AUTHORIZATION) else { return Self::None };
        let header = header.to_str().unwrap_or_default();
        if let Some(token) = header.strip_prefix("Bearer ") {
            return Self::Bearer(token.to_owned());
        }
        Signed::read(header).map_or(Self::Unreadable, Self::SigV4)
    }

    /// The region of the credential scope. A bearer token carries none.
    pub(crate) fn region(&self) -> Option<&str> {
        match self {
            Self::SigV4(signed) => Some(&signed.region),
            Self::Bearer(_) | Self::Unreadable | Self::None => None,
        }
    }

    pub(crate) fn kind(&self) -> AuthKind {
        match self {
            Self::SigV4(_) => AuthKind::SigV4,
            Self::Bearer(_) => AuthKind::Bearer,
            Self::Unreadable | Self::None => AuthKind::None,
        }
    }
}

impl Signed {
    fn read(header: &str) -> Option<Self> {
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

    fn of(header: &str) -> Credential {
        Credential::of(&HeaderMap::from_iter([(AUTHORIZATION, header.parse().unwrap())]))
    }

    #[test]
    fn the_region_is_that_of_the_credential_scope() {
        let header = "AWS4-HMAC-SHA256 Credential=AK/20260102/us-west-2/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature=ab";
        let credential = of(header);
        assert_eq!(credential.region(), Some("us-west-2"));
        assert_eq!(credential.kind(), AuthKind::SigV4);
    }

    #[test]
    fn other_headers_are_told_apart() {
        assert_eq!(of("Bearer abc"), Credential::Bearer("abc".into()));
        assert_eq!(of("AWS4-HMAC-SHA256 Credential=AK"), Credential::Unreadable);
        assert_eq!(Credential::of(&HeaderMap::new()), Credential::None);
    }
}
