//! A router between two backends: a local model that is asked first, and a model in the cloud for
//! what the local one cannot do.
//!
//! The valves and the needs of a chat make a `RoutePlan`. A `Backend` is a
//! model of this host or a server at a URL (`Endpoint`), and has a circuit
//! breaker. The first backend to send a token answers (`StartedAnswer`):
//! until then the other one may still answer, after it no other one does.
//!
//! Deliberately absent: an answer is never started again after its first token; no chat waits to
//! find out whether a failing backend works again (`health_probe` does that beside all chats); and
//! there is no client of a cloud: the cloud is the model of another pipe.

mod backend;
mod backend_error;
mod chat;
mod cloud_budget;
mod endpoint;
mod health_probe;
mod local_limits;
mod pipe_id;
mod route_plan;
mod started_answer;
#[cfg(test)]
mod tests;
mod valves;

pub use valves::HybridValves;
use valves::LocalEndpoint;

use backend::Backend;
use health_probe::HealthProbe;
use pipe_id::PIPE_ID;
use pipe_sdk::{Body, Call, ChunkStream, Model, Pipe, PipeError, Result, Serves, UpstreamState};
use std::sync::Arc;

/// The id of the model that chooses between local and cloud.
const SMART: &str = "hybrid-smart";
/// The id of the local model.
const LOCAL: &str = "hybrid-local";
/// The id of the cloud model.
const CLOUD: &str = "hybrid-cloud";

/// The router.
pub struct HybridRouter {
    valves: HybridValves,
    local: Arc<Backend>,
    cloud: Option<Arc<Backend>>,
    health_probe: HealthProbe,
    models: Arc<[Model]>,
}

impl Pipe for HybridRouter {
    const ID: &'static str = PIPE_ID;
    const NAME: &'static str = "Hybrid router";
    type Valves = HybridValves;

    async fn on_startup(valves: HybridValves) -> Result<Self> {
        let local = Arc::new(Backend::local(&valves)?);
        Ok(Self::new(valves, local))
    }

    /// Keeps the health of the local backend, if its valves stay the same.
    async fn on_valves_updated(&self, valves: HybridValves) -> Result<Self> {
        let is_same = self.valves.has_same_local_backend(&valves);
        let local =
            if is_same { Arc::clone(&self.local) } else { Arc::new(Backend::local(&valves)?) };
        Ok(Self::new(valves, local))
    }

    async fn on_shutdown(&self) {
        self.health_probe.stop();
    }

    fn serves(&self) -> Serves {
        Serves::Manifold(Arc::clone(&self.models))
    }

    fn health_problem(&self) -> Option<String> {
        self.local.is_failing().then(|| "the local side does not answer".into())
    }

    fn upstream_states(&self) -> Vec<UpstreamState> {
        let backends = [Some(&self.local), self.cloud.as_ref()].into_iter().flatten();
        backends.map(|backend| backend.state()).collect()
    }

    async fn pipe(self: Arc<Self>, call: Call) -> Result<ChunkStream> {
        match call.model.as_str() {
            SMART => self.answer_smart(call).await,
            LOCAL => self.answer_by(&call, &self.local).await,
            CLOUD => self.answer_by(&call, self.cloud()?).await,
            other => Err(PipeError::ModelNotFound(format!("{PIPE_ID}.{other}"))),
        }
    }

    /// Counts as the model that is asked first does; a server at a URL cannot count.
    async fn count_tokens(self: Arc<Self>, call: Call) -> Result<u64> {
        let local = self.local.model();
        let cloud = self.cloud.as_ref().and_then(|cloud| cloud.model());
        let model = match call.model.as_str() {
            SMART => local.or(cloud),
            LOCAL => local,
            CLOUD => self.cloud()?.model(),
            other => return Err(PipeError::ModelNotFound(format!("{PIPE_ID}.{other}"))),
        };
        let model = model.ok_or_else(|| PipeError::uncounted(&call.body.model))?;
        call.host.count_tokens(Body { model: model.into(), ..call.body }).await
    }
}

impl HybridRouter {
    fn new(valves: HybridValves, local: Arc<Backend>) -> Self {
        let cloud = Backend::cloud(&valves).map(Arc::new);
        let models = models(&valves, cloud.is_some()).into();
        Self { valves, local, cloud, health_probe: HealthProbe::default(), models }
    }

    /// Returns the cloud backend, or an error that names the valve to set.
    fn cloud(&self) -> Result<&Arc<Backend>> {
        self.cloud.as_ref().ok_or_else(|| PipeError::Unavailable {
            message: "no cloud model is set: ask an admin to set *Cloud · Model*".into(),
            retry_after: None,
        })
    }
}

/// Returns the names of the smart router, of which the first one that is short enough is shown.
fn smart_names(local: Option<&str>, cloud: Option<&str>) -> Vec<String> {
    let Some(cloud) = cloud else { return Vec::new() };
    let local = local.unwrap_or("local");
    vec![format!("Smart: {local} → {cloud}"), format!("Smart: {cloud}")]
}

/// Returns the models to list; none before the router is set up, so that the model picker has no
/// dead entries.
fn models(valves: &HybridValves, has_cloud: bool) -> Vec<Model> {
    let HybridValves { local_images, local_tools, .. } = *valves;
    let local = match (&valves.local_model, valves.local_endpoint.parse()) {
        (_, Ok(LocalEndpoint::Model(id))) => Some(format!("{{{id}}}")),
        (Some(name), _) => Some(format!("{{{name}}}")),
        (None, _) => None,
    };
    let cloud = format!("{{{}}}", valves.cloud_model.as_deref().unwrap_or_default());
    let models = [
        Model::new(SMART, "Smart router")
            .with_name_templates(smart_names(local.as_deref(), has_cloud.then_some(&*cloud)))
            .with_description(
                "Answers locally, and in the cloud what the local model cannot answer.",
            )
            .with_tag("local")
            .with_capability("usage", true)
            .with_capability("vision", local_images || has_cloud)
            .with_capability("builtin_tools", local_tools),
        Model::new(LOCAL, "Local only")
            .with_name_templates(local.iter().map(|local| format!("Local: {local}")))
            .with_description("Answers locally; nothing is sent to the cloud.")
            .with_tag("local")
            .with_capability("usage", true)
            .with_capability("vision", local_images)
            .with_capability("builtin_tools", local_tools),
        Model::new(CLOUD, "Cloud only")
            .with_name_templates([format!("Cloud: {cloud}")])
            .with_description("Answers in the cloud, by the model behind the smart router.")
            .with_capability("usage", true),
    ];
    let is_listed = |model: &Model| valves.is_set_up() && (has_cloud || model.id != CLOUD);
    models.into_iter().filter(is_listed).collect()
}
