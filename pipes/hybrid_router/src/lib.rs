//! One model out of two: a local one that is asked first, and one in the cloud for what it cannot do.
//!
//! What a chat needs and what the valves say make a plan (`needs`, `plan`); each side is a `Party` that is asked, by model id through the
//! host or at an address (`endpoint`), and whose health is remembered. The answer is whose first token comes (`spoken`): until then the other
//! side may still answer, after it nobody does.
//!
//! What is deliberately absent: no answer is begun anew once a token is out, nobody waits for a side that has failed to be tried
//! (`recovery` does that beside all chats), and nothing of a cloud's own: it is the model of another pipe.

mod chat;
mod endpoint;
mod failure;
mod hours;
mod needs;
mod party;
mod plan;
mod recovery;
mod spoken;
#[cfg(test)]
mod tests;
mod valves;

pub use valves::HybridValves;

use party::Party;
use pipe_sdk::{Body, Call, ChunkStream, Model, Pipe, PipeError, Result, Serves, UpstreamState};
use recovery::Recovery;
use std::sync::Arc;

/// The pipe's id.
const PIPE: &str = "hybrid_router";

const SMART: &str = "hybrid-smart";
const LOCAL: &str = "hybrid-local";
const CLOUD: &str = "hybrid-cloud";

/// What a local server at an address is known by.
const LOCAL_ID: &str = "hybrid_router.hybrid-local";

/// The router.
pub struct HybridRouter {
    valves: HybridValves,
    local: Arc<Party>,
    cloud: Option<Arc<Party>>,
    recovery: Recovery,
}

impl Pipe for HybridRouter {
    const ID: &'static str = PIPE;
    const NAME: &'static str = "Hybrid router";
    type Valves = HybridValves;

    async fn on_startup(valves: HybridValves) -> Result<Self> {
        let local = Arc::new(Party::local(&valves)?);
        Ok(Self::of(valves, local))
    }

    /// Keeps what is known of the local side, if that stays the same.
    async fn on_valves_updated(&self, valves: HybridValves) -> Result<Self> {
        let is_same = self.valves.has_local_side_of(&valves);
        let local =
            if is_same { Arc::clone(&self.local) } else { Arc::new(Party::local(&valves)?) };
        Ok(Self::of(valves, local))
    }

    async fn on_shutdown(&self) {
        self.recovery.end();
    }

    /// Nothing before anybody has set it up, so that no dead entries stand in the picker.
    fn serves(&self) -> Serves {
        let HybridValves { local_images, local_tools, .. } = self.valves;
        let has_cloud = self.cloud.is_some();
        let models = [
            Model::new(SMART, "Smart router")
                .with_description("Answers locally, and in the cloud what the local model cannot")
                .with_capability("vision", local_images || has_cloud)
                .with_capability("builtin_tools", local_tools),
            Model::new(LOCAL, "Local only")
                .with_description("Never leaves the house")
                .with_capability("vision", local_images)
                .with_capability("builtin_tools", local_tools),
            Model::new(CLOUD, "Cloud only").with_description("The model behind the smart router"),
        ];
        let is_there = |model: &Model| self.valves.is_set_up() && (has_cloud || model.id != CLOUD);
        Serves::manifold(models.into_iter().filter(is_there).collect::<Vec<_>>())
    }

    fn health_problem(&self) -> Option<String> {
        self.local.is_resting().then(|| "the local side does not answer".into())
    }

    fn upstream_states(&self) -> Vec<UpstreamState> {
        [Some(&self.local), self.cloud.as_ref()]
            .into_iter()
            .flatten()
            .map(|one| one.state())
            .collect()
    }

    async fn pipe(self: Arc<Self>, call: Call) -> Result<ChunkStream> {
        match call.model.as_str() {
            SMART => self.smart(&call).await,
            LOCAL => self.alone(&call, &self.local).await,
            CLOUD => self.alone(&call, self.cloud()?).await,
            other => Err(PipeError::ModelNotFound(format!("{PIPE}.{other}"))),
        }
    }

    /// As the model counts that is asked first; a server at an address does not count.
    async fn count_tokens(self: Arc<Self>, call: Call) -> Result<u64> {
        let local = self.local.model();
        let cloud = self.cloud.as_ref().and_then(|cloud| cloud.model());
        let model = match call.model.as_str() {
            SMART => local.or(cloud),
            LOCAL => local,
            CLOUD => self.cloud()?.model(),
            other => return Err(PipeError::ModelNotFound(format!("{PIPE}.{other}"))),
        };
        let model = model.ok_or_else(|| PipeError::uncounted(&call.body.model))?;
        call.host.count_tokens(Body { model: model.into(), ..call.body }).await
    }
}

impl HybridRouter {
    fn of(valves: HybridValves, local: Arc<Party>) -> Self {
        let cloud = Party::cloud(&valves).map(Arc::new);
        Self { valves, local, cloud, recovery: Recovery::default() }
    }

    fn cloud(&self) -> Result<&Arc<Party>> {
        self.cloud.as_ref().ok_or_else(|| PipeError::Unavailable {
            message: "no cloud model is set: an admin can name one in `cloud_model`".into(),
            retry_after: None,
        })
    }
}
