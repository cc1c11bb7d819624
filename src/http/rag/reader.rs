//! Whose eyes documents are looked for with.

use crate::http::{Error, asker::RequestContext, identity};
use actix_web::http::StatusCode;
use pipe_sdk::{Host, library::Reader};
use serde::Deserialize;
use serde_json::Value;

/// What a body says of who looks.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Said {
    user: Option<Value>,
    /// With the host's own key: everything is seen, as by whoever keeps the documents.
    everything: bool,
}

impl Said {
    /// Who looks, and the way to models for them. Nobody said, nobody is: then what everyone may see is seen.
    pub fn reader(self, asker: &RequestContext) -> Result<(Reader, Host), Error> {
        let host = asker.host_of(identity::asker(self.user, asker.headers()));
        let trail = host.trail();
        if self.everything && trail.key.is_some() {
            let message = "everything: needs the host's own key";
            return Err(Error::new(StatusCode::FORBIDDEN, message).param(Some("everything".into())));
        }
        let reader = if self.everything { Reader::Keeper } else { Reader::of(trail.user.as_ref()) };
        Ok((reader, host))
    }
}
