//! Cross-origin resource sharing (<https://fetch.spec.whatwg.org/#http-cors-protocol>): no web page
//! may read answers unless an operator allows its origin, and none those of the routes for admins.
//!
//! Access is allowed without credentials: a page must hold the key, as any client.

use super::{
    route::{Access, Route, routes_at},
    state::HostState,
};
use actix_web::{
    HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderMap, HeaderValue},
    },
    middleware::Next,
    web,
};

/// The time for which a browser may cache the response to a preflight request, in seconds.
const MAX_AGE_SECONDS: &str = "600";

/// The headers that a page may read.
const EXPOSED_HEADERS: &str =
    "request-id, retry-after, x-pipewright-model, x-pipewright-side, x-request-id";

/// Adds the headers that tell browsers which pages may read a response, and answers preflight
/// requests.
pub async fn cross_origin(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(state) = request.app_data::<web::Data<HostState>>().cloned() else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    let shared = if state.origins.allows_none() { Vec::new() } else { cors_routes(request.path()) };
    if shared.is_empty() {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    }
    let granted = state.origins.allow_origin(request.headers().get(header::ORIGIN));
    if let Some(origin) = granted.as_ref().filter(|_| is_preflight(&request)) {
        let answer = preflight_response(request.headers(), &shared, origin);
        return Ok(request.into_response(answer));
    }
    match next.call(request).await {
        Ok(mut response) => {
            add_cors_headers(response.headers_mut(), granted);
            Ok(response.map_into_boxed_body())
        }
        Err(error) => {
            let mut response = error.error_response();
            add_cors_headers(response.headers_mut(), granted);
            Err(actix_web::error::InternalError::from_response(error, response).into())
        }
    }
}

/// Returns the routes at this path that pages may use.
fn cors_routes(path: &str) -> Vec<&'static Route> {
    routes_at(path).filter(|route| route.access == Access::Models).collect()
}

fn is_preflight(request: &ServiceRequest) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight_response(
    headers: &HeaderMap,
    routes: &[&Route],
    origin: &HeaderValue,
) -> HttpResponse {
    let methods: Vec<_> = routes.iter().map(|route| route.method.as_str()).collect();
    let mut answer = HttpResponse::NoContent();
    answer
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()))
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, methods.join(", ")))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS))
        .insert_header((
            header::VARY,
            "origin, access-control-request-method, access-control-request-headers",
        ));
    // SDKs send dozens of headers of their own, and `*` would not allow the header of the key.
    if let Some(headers) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        answer.insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, headers.clone()));
    }
    answer.finish()
}

fn add_cors_headers(headers: &mut HeaderMap, granted: Option<HeaderValue>) {
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    let Some(origin) = granted else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers
        .insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_routes_of_clients_are_shared() {
        for (path, is_shared) in [
            ("/models", true),
            ("/v1/models", true),
            ("/api/v1/models/a.b/c:d", true),
            ("/chat/completions", true),
            ("/models/x/valves", true),
            ("/models/", false),
            ("/x/valves", false),
            ("/x/filter/inlet", false),
            ("/pipelines", false),
            ("/health", false),
            ("/nothing", false),
        ] {
            assert_eq!(!cors_routes(path).is_empty(), is_shared, "{path}");
        }
    }
}
