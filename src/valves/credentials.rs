//! Finds credentials in values of valves that are not secrets by their kind: an address with a
//! password, a connection string, a header.

use serde_json::Value;
use url::Url;

/// The schemes of `Authorization` headers (RFC 9110, section 11).
const SCHEMES: [&str; 3] = ["bearer ", "basic ", "token "];

/// Ends of the names of fields that hold credentials: of headers, of JSON, of connection strings as
/// in `Server=db;Uid=me;Pwd=…`, and of a URL's query and fragment. `AccountKey`,
/// `SharedAccessKey` and `sig` are Azure's.
const FIELD_ENDS: [&str; 15] = [
    "authorization",
    "cookie",
    "apikey",
    "accesskey",
    "accountkey",
    "secretkey",
    "subscriptionkey",
    "token",
    "secret",
    "password",
    "passwd",
    "pwd",
    "credentials",
    "signature",
    "sig",
];

/// Prefixes of tokens: of OpenAI and Anthropic, GitHub, GitLab, Slack, Hugging Face, Groq, Google,
/// `PyPI` and npm, and of every JWT.
const TOKEN_PREFIXES: [&str; 14] = [
    "sk-",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "hf_",
    "gsk_",
    "AIza",
    "pypi-",
    "npm_",
    "eyJ",
];

/// The least length of a token, in bytes.
const MIN_TOKEN: usize = 20;

/// The depth to which JSON is searched. What is nested deeper is taken for credentials.
const MAX_DEPTH: usize = 16;

/// Returns whether a value contains credentials, and so must not be shown.
pub fn holds_credentials(value: &Value) -> bool {
    holds_credentials_within(value, MAX_DEPTH)
}

fn holds_credentials_within(value: &Value, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return true };
    match value {
        Value::String(text) => text_holds_credentials(text, depth),
        Value::Array(items) => items.iter().any(|item| holds_credentials_within(item, depth)),
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            value.as_str().is_some_and(|text| is_credential_field(name, text))
                || holds_credentials_within(value, depth)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn text_holds_credentials(text: &str, depth: usize) -> bool {
    let text = text.trim();
    if text.starts_with(['{', '['])
        && let Ok(value) = serde_json::from_str(text)
    {
        return holds_credentials_within(&value, depth);
    }
    let mut words = text.split(|c: char| c.is_whitespace() || ",;|\"'".contains(c));
    has_scheme(text)
        || words.any(|word| has_userinfo(word) || is_token(word))
        || text.lines().any(is_header)
        || has_credential_field(text)
}

/// Returns whether a text begins with a scheme of `Authorization` and a token.
fn has_scheme(text: &str) -> bool {
    let lower = text.to_lowercase();
    SCHEMES.iter().any(|scheme| {
        let token = lower.strip_prefix(scheme).unwrap_or_default();
        // Not a sentence that begins with such a word.
        token.len() >= 8 && !token.contains(char::is_whitespace)
    })
}

/// Returns whether the field of this name has a value, and is one that holds credentials.
fn is_credential_field(name: &str, value: &str) -> bool {
    let name = name.trim().to_lowercase().replace(['_', '-'], "");
    !value.trim().is_empty() && FIELD_ENDS.iter().any(|end| name.ends_with(end))
}

/// Returns whether a line is a header with credentials, as in `X-Api-Key: abc`.
fn is_header(line: &str) -> bool {
    let (name, value) = line.split_once(": ").unwrap_or_default();
    !name.contains(char::is_whitespace) && is_credential_field(name, value)
}

/// Returns whether a text has a field with credentials, as connection strings and the queries of
/// URLs have: `host=db password=…`, `Server=db;Pwd=…`, `?api_key=…`.
fn has_credential_field(text: &str) -> bool {
    text.split([';', ' ', '&', '?', '#', ',', '\n']).any(|field| {
        let (name, value) = field.split_once('=').unwrap_or_default();
        is_credential_field(name, value)
    })
}

/// Returns whether a word is a token of a well-known kind.
fn is_token(word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.+/=".contains(c);
    word.len() >= MIN_TOKEN
        && TOKEN_PREFIXES.iter().any(|prefix| word.starts_with(prefix))
        && word.chars().all(is_part)
        && word.contains(|c: char| c.is_ascii_digit())
}

/// Returns whether a text is a URL with a password, or with a token in the place of the user,
/// which is longer than names of people are.
fn has_userinfo(text: &str) -> bool {
    if !text.contains("://") {
        return false;
    }
    match Url::parse(text) {
        Ok(url) => url.password().is_some() || url.username().len() >= MIN_TOKEN,
        // Not every connection string is a URL, as with several hosts.
        Err(_) => {
            let rest = text.split_once("://").map_or("", |(_, rest)| rest);
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
        }
    }
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
            json!("https://example.com/v1?api_key=abc"),
            json!("https://x.blob.core.windows.net/c?sv=2024&sig=abc%3D"),
            json!("https://example.com/#access_token=abc"),
            json!("X-Api-Key: abc"),
            json!("accept: */*\nAuthorization: Token abc"),
            json!(r#"{"headers": {"x-api-key": "abc"}}"#),
            json!(["plain", "sk-proj-0123456789abcdef"]),
            json!("ghp_0123456789abcdefghij"),
            json!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"),
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
            json!("Note: the token limit is 5"),
            json!("max_tokens=5, temperature=0"),
            json!("sk-learn"),
            json!("a key: value"),
            json!("[not JSON"),
            json!(true),
        ] {
            assert!(!holds_credentials(&value), "{value}");
        }
    }
}
