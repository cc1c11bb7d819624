//! The user on whose behalf documents are searched.

use crate::http::{error::HttpError, identity, request_context::RequestContext};
use actix_web::http::StatusCode;
use pipe_sdk::{Demand, Host, library::Reader};
use serde::Deserialize;
use serde_json::Value;

/// The fields of a body that say on whose behalf documents are searched.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct OnBehalfOf {
    user: Option<Value>,
    /// `true` if the request asks for all documents, which only the host's own key may.
    #[serde(rename = "everything")]
    all_documents: bool,
}

impl OnBehalfOf {
    /// Returns the reader and the host for a search, if no filter refuses it. Without a user, only
    /// documents that everyone may see are searched.
    pub async fn admit(
        self,
        context: &RequestContext,
        library: &str,
    ) -> Result<(Reader, Host), HttpError> {
        if self.all_documents && context.key().is_some() {
            let message = "everything: needs the host's own key";
            return Err(
                HttpError::new(StatusCode::FORBIDDEN, message).param(Some("everything".into()))
            );
        }
        let user = identity::parse_user(self.user, context.headers());
        let host = context.admit(user, library, Demand::search()).await?.into_host();
        let user = host.context().user.as_deref();
        let reader = if self.all_documents { Reader::Admin } else { Reader::from_user(user) };
        Ok((reader, host))
    }
}
