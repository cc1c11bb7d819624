//! The user as signed by Open WebUI: a JSON Web Token in a header of its own
//! (`docs/reference/open-webui.md`, "User headers").

use super::{clock::unix_seconds, error::HttpError};
use actix_web::http::{StatusCode, header::HeaderMap};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use pipe_sdk::User;
use ring::hmac;
use serde::Deserialize;

/// The header with the token.
const HEADER: &str = "x-openwebui-user-jwt";

/// The accepted difference between two clocks, in seconds.
const SKEW: u64 = 30;

/// A verifier of Open WebUI's user tokens.
pub struct UserJwtVerifier(hmac::Key);

/// The header of a token.
#[derive(Deserialize)]
struct JwtHeader {
    alg: String,
}

/// The claims of a token, as Open WebUI writes them.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    iss: String,
    exp: u64,
    name: Option<String>,
    email: Option<String>,
    role: Option<String>,
}

impl UserJwtVerifier {
    /// Returns a verifier for this secret.
    pub fn new(secret: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
    }

    /// Returns the signed user. A token with a wrong signature, or an expired one, is refused.
    pub fn user(&self, headers: &HeaderMap) -> Result<Option<User>, HttpError> {
        let Some(token) = headers.get(HEADER) else { return Ok(None) };
        let claims = token.to_str().ok().and_then(|token| self.claims(token)).ok_or_else(|| {
            invalid_token_error(
                "is not signed with FORWARD_USER_INFO_HEADER_JWT_SECRET of this host",
            )
        })?;
        if claims.exp.saturating_add(SKEW) < unix_seconds() {
            return Err(invalid_token_error("is too old: check the clocks of both hosts"));
        }
        let Claims { sub: id, name, email, role, .. } = claims;
        Ok(Some(User { id, name, email, role }))
    }

    /// Returns the claims of an authentic token.
    fn claims(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (head, claims) = signed.split_once('.')?;
        let decoded = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
        hmac::verify(&self.0, signed.as_bytes(), &decoded(signature)?).ok()?;
        let head: JwtHeader = serde_json::from_slice(&decoded(head)?).ok()?;
        let claims: Claims = serde_json::from_slice(&decoded(claims)?).ok()?;
        let fits = head.alg == "HS256" && claims.iss == "open-webui" && !claims.sub.is_empty();
        fits.then_some(claims)
    }
}

/// Returns the error of a token that is not accepted.
fn invalid_token_error(why: &str) -> HttpError {
    HttpError::new(StatusCode::UNAUTHORIZED, format!("{HEADER}: {why}")).code("invalid_user")
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use serde_json::{Value, json};

    const SECRET: &str = "a secret of both";

    fn token(secret: &str, head: &Value, claims: &Value) -> String {
        let encoded = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encoded(head), encoded(claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, signed.as_bytes());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
    }

    fn claims(expires: u64) -> Value {
        json!({"sub": "anna", "iss": "open-webui", "exp": expires, "name": "Änna", "role": "admin"})
    }

    fn user(token: &str) -> Result<Option<User>, HttpError> {
        let request = TestRequest::default().insert_header((HEADER, token)).to_http_request();
        UserJwtVerifier::new(SECRET).user(request.headers())
    }

    #[test]
    fn who_was_signed_is_believed() {
        let token = token(SECRET, &json!({"alg": "HS256"}), &claims(unix_seconds() + 300));
        let user = user(&token).unwrap().unwrap();
        assert_eq!((user.id.as_str(), user.role.as_deref()), ("anna", Some("admin")));
        let bare = TestRequest::default().to_http_request();
        assert!(UserJwtVerifier::new(SECRET).user(bare.headers()).unwrap().is_none());
    }

    #[test]
    fn what_was_forged_changed_or_is_too_old_is_refused() {
        let later = unix_seconds() + 300;
        let head = json!({"alg": "HS256"});
        let good = token(SECRET, &head, &claims(later));
        let (signed, _) = good.rsplit_once('.').unwrap();
        let foreign = json!({"sub": "anna", "iss": "other", "exp": later});
        for forged in [
            token("another secret", &head, &claims(later)),
            token(SECRET, &json!({"alg": "none"}), &claims(later)),
            token(SECRET, &head, &foreign),
            token(SECRET, &head, &json!({"sub": "anna", "iss": "open-webui"})),
            format!("{signed}."),
            format!("x{good}"),
            "a.b.c".into(),
            String::new(),
        ] {
            assert!(user(&forged).err().unwrap().to_string().contains("is not signed"));
        }
        let old = token(SECRET, &head, &claims(unix_seconds() - 400));
        assert!(user(&old).err().unwrap().to_string().contains("too old"));
    }
}
