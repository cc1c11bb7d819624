//! Path normalisation: `HEAD` is handled as `GET` without its body, several slashes count as one, a
//! trailing slash is ignored, and a browser that leaves away the slash of a page is sent to the
//! page.

use super::{
    page,
    route::{Access, PREFIXES, ROUTES, strip_route_prefix},
};
use actix_web::{
    HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, Uri, header, uri::PathAndQuery},
    middleware::Next,
};

/// Normalises the request for all later handlers.
pub async fn trim_path(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if let Some(uri) = with_single_slashes(request.uri()) {
        set_uri(&mut request, uri);
    }
    if let Some(page) = page_of(&request) {
        let moved =
            HttpResponse::TemporaryRedirect().insert_header((header::LOCATION, page)).finish();
        return Ok(request.into_response(moved).map_into_left_body());
    }
    if let Some(uri) = without_slash(request.uri()) {
        set_uri(&mut request, uri);
    }
    // The server has seen the method before, and sends no body.
    if request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    next.call(request).await.map(ServiceResponse::map_into_right_body)
}

fn set_uri(request: &mut ServiceRequest, uri: Uri) {
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
}

/// Returns the URI with one slash in the place of several, if there are several in its path.
fn with_single_slashes(uri: &Uri) -> Option<Uri> {
    if !uri.path().contains("//") {
        return None;
    }
    let mut path = String::with_capacity(uri.path().len());
    for char in uri.path().chars() {
        if char != '/' || !path.ends_with('/') {
            path.push(char);
        }
    }
    with_path(uri, &path)
}

/// Returns where a browser finds the page that it asks for without its slash, as in `admin/`.
fn page_of(request: &ServiceRequest) -> Option<String> {
    let is_browser = request.method() == Method::GET
        && page::accepts_html(request.headers())
        && !request.headers().contains_key(header::AUTHORIZATION);
    let (_, name) = request.path().rsplit_once('/').filter(|_| is_browser)?;
    let path = format!("{}/", request.path());
    let mut pages = ROUTES.iter().filter(|route| route.access == Access::Open);
    let is_page = !name.is_empty() && pages.any(|route| route.path == strip_route_prefix(&path));
    is_page.then(|| format!("{name}/"))
}

/// Returns the URI without its trailing slash, if no route has that slash.
fn without_slash(uri: &Uri) -> Option<Uri> {
    let bare = uri.path().strip_suffix('/').filter(|bare| !bare.is_empty())?;
    let is_route = ROUTES.iter().any(|route| route.matches(strip_route_prefix(uri.path())));
    if is_route && !PREFIXES.contains(&bare) {
        return None;
    }
    with_path(uri, bare)
}

/// Returns the URI with another path, if that is one.
fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("{path}{query}")).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_slashes_count_as_one() {
        for (sent, plain) in [
            ("//v1///models//?q=a//b", Some("/v1/models/?q=a//b")),
            ("//", Some("/")),
            ("/v1/models?q=a//b", None),
        ] {
            let uri = with_single_slashes(&sent.parse().unwrap());
            assert_eq!(uri.map(|uri| uri.to_string()).as_deref(), plain, "{sent}");
        }
    }

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
