//! The page on which documents are uploaded, listed and looked for.

use actix_web::{HttpResponse, http::header};

/// The page. It holds no documents: it asks for them with the key that is typed in.
const PAGE: &str = include_str!("page.html");

/// What the page may do: run its own script, and ask its own host.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:";

/// `GET /rag/`.
pub async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(PAGE)
}
