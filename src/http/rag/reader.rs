//! Whose eyes documents are looked for with.

use crate::http::{Error, asker::RequestContext, identity};
use actix_web::http::StatusCode;
use pipe_sdk::{Demand, Host, library::Reader};
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
    /// Who looks in this library, and the way to models for them, if no filter refuses the search. Nobody said, nobody is: then what everyone may see is seen.
    pub async fn admit(
        self,
        asker: &RequestContext,
        library: &str,
    ) -> Result<(Reader, Host), Error> {
        if self.everything && asker.key().is_some() {
            let message = "everything: needs the host's own key";
            return Err(Error::new(StatusCode::FORBIDDEN, message).param(Some("everything".into())));
        }
        let user = identity::asker(self.user, asker.headers());
        let host = asker.admit(user, library, Demand::search()).await?;
        let user = host.trail().user.as_ref();
        let reader = if self.everything { Reader::Keeper } else { Reader::of(user) };
        Ok((reader, host))
    }
}
