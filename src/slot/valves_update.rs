//! Updates of valves: they are checked, the pipe is built, the valves are saved and the pipe is
//! swapped, in this order, so that an error changes nothing.

use super::{
    effective_valves::EffectiveValves,
    pipe_slot::{PipeSlot, PipeState, warn_if_unreadable},
};
use crate::valves::{CheckReferences, LoadedValves, ParsedUpdate, Values, ValvesUpdate};
use pipe_sdk::{Pipe, PipeError, Result};
use serde_json::Value;
use std::sync::Arc;

impl<P: Pipe> PipeSlot<P> {
    /// [`Slot::update_valves`](super::Slot::update_valves).
    pub(super) async fn apply_update(
        self: Arc<Self>,
        posted: Values,
        models: Arc<dyn CheckReferences>,
    ) -> Result<Values> {
        let guard = Arc::clone(&self.update_lock).lock_owned().await;
        let state = self.state.load_full();
        let EffectiveValves { layers, saved, version, values, sources, .. } = &state.settings;
        let update = ValvesUpdate { spec: &self.spec, values, sources, saved };
        let ParsedUpdate { saved, entered_secrets } =
            update.parse(posted).map_err(PipeError::BadValves)?;
        if saved == state.settings.saved && state.pipe.is_ok() && state.settings.problem.is_none() {
            return Ok(self.spec.mask_values(values));
        }
        let next = LoadedValves { values: saved, version: *version, problem: None };
        let settings = EffectiveValves::new(&self.spec, layers.clone(), next);
        let before = Some(&state.settings);
        let mut settings = settings.resolve_paths(&self.spec, &self.sources, before).await?;
        let unbound_secrets = update.check_secret_origins(&settings.values, &entered_secrets);
        if !unbound_secrets.is_empty() {
            return Err(PipeError::BadValves(unbound_secrets));
        }
        // The form posts all valves: what was there before keeps no other valve from being turned.
        let is_changed = |valve: &str| values.get(valve) != settings.values.get(valve);
        let references = self.spec.references(&settings.values, is_changed);
        let missing = models.check_references(references).await;
        if !missing.is_empty() {
            return Err(PipeError::BadValves(missing));
        }
        let pipe = self.build_next(&state, &settings).await?;
        let shown = self.spec.mask_values(&settings.values);
        let changed = changed_names(values, &settings.values);
        let slot = Arc::clone(&self);
        let finish = async move {
            let saved = settings.saved.clone();
            settings.version = slot.valve_store.save(P::ID, saved, settings.version).await?;
            slot.state.store(Arc::new(PipeState::new(settings, Ok(pipe))));
            drop(guard);
            Ok(())
        };
        run_to_completion(finish).await?;
        tracing::info!(pipe.id = P::ID, valves = changed, "Changed the valves of `{}`.", P::ID);
        Ok(shown)
    }

    /// [`Slot::reload`](super::Slot::reload).
    pub(super) async fn reload_valves(self: Arc<Self>) -> Result<()> {
        let _guard = self.update_lock.lock().await;
        let found = warn_if_unreadable::<P>(self.valve_store.load(P::ID).await?);
        let layers = self.sources.layers(P::ID, &self.spec);
        let settings = EffectiveValves::new(&self.spec, layers, found);
        let settings = settings.resolve_paths(&self.spec, &self.sources, None).await?;
        let pipe = self.build_next(&self.state.load(), &settings).await?;
        self.state.store(Arc::new(PipeState::new(settings, Ok(pipe))));
        Ok(())
    }

    /// [`Slot::apply_replicated_valves`](super::Slot::apply_replicated_valves).
    pub(super) async fn apply_replicated(self: Arc<Self>) -> Result<()> {
        let _guard = self.update_lock.lock().await;
        let found = self.valve_store.load(P::ID).await?;
        let state = self.state.load_full();
        let known = &state.settings;
        if found.version == known.version && known.problem.is_none() {
            return Ok(());
        }
        let layers = known.layers.clone();
        let settings = EffectiveValves::new(&self.spec, layers, found);
        let mut settings = settings.resolve_paths(&self.spec, &self.sources, None).await?;
        let changed = changed_names(&known.values, &settings.values);
        let pipe = match self.build_next(&state, &settings).await {
            Ok(pipe) => Ok(pipe),
            // The running pipe stays; the saved values are shown, so that they can be corrected.
            Err(error) => {
                let problem =
                    format!("the valves that another replica saved cannot be used here: {error}");
                tracing::error!(pipe.id = P::ID, "`{}` keeps its valves: {problem}.", P::ID);
                settings.problem = Some(problem);
                state.pipe.clone()
            }
        };
        self.state.store(Arc::new(PipeState::new(settings, pipe)));
        tracing::info!(pipe.id = P::ID, valves = changed, "Followed the valves of `{}`.", P::ID);
        Ok(())
    }
}

/// Returns the names of the valves that differ, for the log.
fn changed_names(before: &Values, after: &Values) -> String {
    let differs = |(name, value): &(&String, &Value)| before.get(*name) != Some(*value);
    after.iter().filter(differs).map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Runs the save and the swap to completion, even if the admin disconnects meanwhile.
#[expect(
    clippy::disallowed_methods,
    reason = "it is awaited, and a shelf takes no longer than some seconds"
)]
async fn run_to_completion(
    finish: impl Future<Output = Result<()>> + Send + 'static,
) -> Result<()> {
    tokio::spawn(finish).await.map_err(PipeError::internal)?
}
