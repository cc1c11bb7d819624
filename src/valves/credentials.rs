//! Finds credentials in values of valves that are not secrets by their kind: an address with a
//! password, a connection string, a header.

use serde_json::Value;
use url::Url;

/// Words that end in `=` or `:` before a password in a connection string, as in
/// `Server=db;Uid=me;Pwd=…`. `AccountKey` and `SharedAccessKey` are Azure's.
const PASSWORD_FIELDS: [&str; 7] =
    ["password", "passwd", "pwd", "secret", "accountkey", "accesskey", "sharedaccesskey"];

/// The schemes of `Authorization` headers (RFC 9110, section 11).
const SCHEMES: [&str; 3] = ["bearer ", "basic ", "token "];

/// Ends of the names of headers and of fields in JSON that hold credentials.
const FIELD_ENDS: [&str; 9] = [
    "authorization",
    "cookie",
    "apikey",
    "accesskey",
    "secretkey",
    "token",
    "secret",
    "password",
    "credentials",
];

/// The depth to which JSON is searched. What is nested deeper is taken for credentials.
const MAX_DEPTH: usize = 16;

/// Returns whether a value contains credentials, and so must not be shown.
pub fn holds_credentials(value: &Value) -> bool {
    holds_credentials_within(value, MAX_DEPTH)
}

fn holds_credentials_within(value: &Value, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return true };
    match value {
        Value::String(text) => text_holds_credentials(text),
        Value::Array(items) => items.iter().any(|item| holds_credentials_within(item, depth)),
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            let is_filled = value.as_str().is_some_and(|text| !text.is_empty());
            let name = name.to_lowercase().replace(['_', '-'], "");
            (is_filled && FIELD_ENDS.iter().any(|end| name.ends_with(end)))
                || holds_credentials_within(value, depth)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn text_holds_credentials(text: &str) -> bool {
    let lower = text.trim().to_lowercase();
    let has_scheme = SCHEMES.iter().any(|scheme| {
        let token = lower.strip_prefix(scheme).unwrap_or_default();
        // Not a sentence that begins with such a word.
        token.len() >= 8 && !token.contains(char::is_whitespace)
    });
    has_scheme || text.split([',', ' ', '\n']).any(has_userinfo) || has_password_field(&lower)
}

/// Returns whether a text is a URL with a password, or with a token in the place of the user.
fn has_userinfo(text: &str) -> bool {
    if !text.contains("://") {
        return false;
    }
    match Url::parse(text) {
        Ok(url) => url.password().is_some() || is_token(url.username()),
        // Not every connection string is a URL, as with several hosts.
        Err(_) => {
            let rest = text.split_once("://").map_or("", |(_, rest)| rest);
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
        }
    }
}

/// Returns whether the user of a URL looks like a token: names of people are shorter.
fn is_token(user: &str) -> bool {
    user.len() >= 20
}

/// Returns whether a connection string has a field with a password: `host=db password=…`,
/// `Server=db;Pwd=…`. `text` is in small letters.
fn has_password_field(text: &str) -> bool {
    text.split([';', ' ', '&', '?', '\n']).any(|field| {
        let (name, value) = field.split_once('=').unwrap_or_default();
        let name = name.trim().replace(['_', '-'], "");
        !value.trim().is_empty() && PASSWORD_FIELDS.iter().any(|end| name.ends_with(end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn credentials_are_found_and_plain_values_are_not() {
        for value in [
            json!("postgres://me:hunter2@db.example.com/x"),
            json!("redis://:hunter2@cache:6379"),
            json!("postgres://me:hunter2@one,two:5432/x"),
            json!("https://ghp_0123456789abcdefghij@github.com/x"),
            json!("http://a.example.com, http://me:pw@b.example.com"),
            json!("host=db user=me password=hunter2"),
            json!("Server=db;Database=x;User Id=me;Pwd=hunter2;"),
            json!("DefaultEndpointsProtocol=https;AccountKey=aGVsbG8=;"),
            json!("https://example.com/hook?client_secret=abc"),
            json!("Bearer sk-0123456789"),
            json!({"Authorization": "x"}),
            json!({"X-Api-Key": "abc", "accept": "*/*"}),
            json!([{"headers": {"Cookie": "a=b"}}]),
        ] {
            assert!(holds_credentials(&value), "{value}");
        }
        for value in [
            json!("https://api.example.com/v1"),
            json!("https://me@example.com/"),
            json!("postgres://me@db.example.com/x"),
            json!("mail me@example.com: it is = to that"),
            json!("Basic answers are enough"),
            json!("bearer"),
            json!("Server=db;Database=x;Integrated Security=true"),
            json!("password="),
            json!({"a": "b", "max_tokens": 5, "api_key": "", "primary_key": "id"}),
            json!(["a", "b"]),
            json!(true),
        ] {
            assert!(!holds_credentials(&value), "{value}");
        }
    }
}
