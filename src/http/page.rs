//! Pages of the host's own, which hold nothing but what they are made of: they ask for the rest
//! with the key that is typed in.

use actix_web::{HttpResponse, http::header};

/// The content security policy: a page may run its own script, and send requests to its own host.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:";

/// Returns this page.
pub fn page(html: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(html)
}
