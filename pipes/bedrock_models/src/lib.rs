//! Every chat model of Amazon Bedrock, in one manifold.
//!
//! The models of several regions are listed in the background (`catalogue`); a chat becomes a Converse request that is written by us
//! (`converse`), and its answer an event stream that is read by us (`stream`). What lies between is the crate `bedrock-runtime`'s. The AWS
//! SDK lists, and knows where credentials come from.
//!
//! What is deliberately absent: no task answers a chat, so dropping the stream is the cancel; and nothing asks AWS before it has to,
//! so the host starts at once, with or without credentials.

mod account;
mod catalogue;
mod chain;
mod chat;
mod clients;
mod converse;
mod error;
mod family;
mod names;
mod stream;
mod valves;

pub use valves::{BedrockValves, BuiltinTools};

use account::Account;
use catalogue::{Catalogue, Search};
use clients::Clients;
use pipe_sdk::{Call, ChunkStream, Pipe, PipeError, Result, Serves};
use std::sync::Arc;
use tokio::time::timeout;

/// The manifold of Bedrock's chat models.
pub struct BedrockModels {
    valves: BedrockValves,
    clients: Arc<Clients>,
    catalogue: Catalogue,
}

impl Pipe for BedrockModels {
    const ID: &'static str = "bedrock_models";
    const NAME: &'static str = "Amazon Bedrock";
    type Valves = BedrockValves;

    async fn on_startup(valves: BedrockValves) -> Result<Self> {
        let clients = Arc::new(Clients::new(Arc::new(Account::new(&valves)), &valves));
        let catalogue = Catalogue::new(Arc::clone(&clients), &valves);
        Ok(Self { valves, clients, catalogue })
    }

    /// Keeps the open connections, and of the same account the credentials and the model list too.
    async fn on_valves_updated(&self, valves: BedrockValves) -> Result<Self> {
        let account = self.clients.account();
        if !account.is_of(&valves) {
            let clients = Arc::new(Clients::new(Arc::new(account.turned(&valves)), &valves));
            let catalogue = Catalogue::new(Arc::clone(&clients), &valves);
            return Ok(Self { valves, clients, catalogue });
        }
        let clients = Arc::new(Clients::new(Arc::clone(account), &valves));
        let catalogue = self.catalogue.turned(Arc::clone(&clients), &valves);
        Ok(Self { valves, clients, catalogue })
    }

    fn serves(&self) -> Serves {
        Serves::Manifold(self.catalogue.listing().models())
    }

    async fn discovered(&self) {
        self.catalogue.discovered().await;
    }

    fn trouble(&self) -> Option<String> {
        self.catalogue.listing().trouble().map(String::from)
    }

    async fn pipe(self: Arc<Self>, call: Call) -> Result<ChunkStream> {
        let mut listing = self.catalogue.listing();
        if matches!(listing.find(&call.model), Search::Unknown) {
            // At the start the list may still be on its way. When the wait is over, what is known has to do.
            _ = timeout(self.valves.list_timeout(), self.catalogue.discovered()).await;
            listing = self.catalogue.listing();
        }
        match listing.find(&call.model) {
            Search::Found(entry) => {
                chat::chat(&call.body, entry, &self.clients, &self.valves).await
            }
            Search::Missing(error) => Err(error),
            Search::Unknown => Err(PipeError::ModelNotFound(call.model)),
        }
    }
}
