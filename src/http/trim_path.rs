//! Path normalisation: `HEAD` is handled as `GET` without its body, and a trailing slash is
//! ignored.

use super::{PREFIXES, ROUTES, unprefixed};
use actix_web::{
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, Uri, uri::PathAndQuery},
    middleware::Next,
};

/// Normalises the request for all later handlers.
pub async fn trim_path(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if let Some(uri) = without_slash(request.uri()) {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
    // The server has seen the method before, and sends no body.
    if request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    next.call(request).await
}

/// Returns the URI without its trailing slash, if no route has that slash.
fn without_slash(uri: &Uri) -> Option<Uri> {
    let bare = uri.path().strip_suffix('/').filter(|bare| !bare.is_empty())?;
    let is_route = ROUTES.iter().any(|route| route.leads(unprefixed(uri.path())));
    if is_route && !PREFIXES.contains(&bare) {
        return None;
    }
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("{bare}{query}")).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_at_the_end_goes_unless_it_is_the_path() {
        for (sent, plain) in [
            ("/v1/models/?type=all", Some("/v1/models?type=all")),
            ("/v1/", Some("/v1")),
            ("/usage/", None),
            ("/v1/usage/", None),
            ("/rag/all/documents/https://a.b/c/", None),
            ("/", None),
            ("/v1/models", None),
        ] {
            let uri = without_slash(&sent.parse().unwrap());
            assert_eq!(uri.map(|uri| uri.to_string()).as_deref(), plain, "{sent}");
        }
    }
}
