//! Valves are turned: checked, built from, saved and swapped, in this order, so that an error leaves all as it was.

use super::{
    fitting::{Fitting, State, told},
    settings::Settings,
};
use crate::{
    registry::Registry,
    valves::{Found, Posted, Update, Values},
};
use pipe_sdk::{Pipe, PipeError, Result};
use serde_json::Value;
use std::sync::Arc;

impl<P: Pipe> Fitting<P> {
    /// [`Slot::turn`](super::Slot::turn).
    pub(super) async fn turned(
        self: Arc<Self>,
        posted: Values,
        registry: Arc<Registry>,
    ) -> Result<Values> {
        let turning = Arc::clone(&self.turning).lock_owned().await;
        let state = self.state.load_full();
        let Settings { layers, saved, version, values, sources, .. } = &state.settings;
        let update = Update { spec: &self.spec, values, sources, saved };
        let Posted { saved, entered } = update.posted(posted).map_err(PipeError::BadValves)?;
        if saved == state.settings.saved && state.pipe.is_ok() && state.settings.trouble.is_none() {
            return Ok(self.spec.shown(values));
        }
        let next = Found { values: saved, version: *version, trouble: None };
        let settings = Settings::of(&self.spec, layers.clone(), next);
        let before = Some(&state.settings);
        let mut settings = settings.with_paths(&self.spec, &self.site, before).await?;
        let strayed = update.strayed(&settings.values, &entered);
        if !strayed.is_empty() {
            return Err(PipeError::BadValves(strayed));
        }
        // The form posts all valves: what was there before keeps no other valve from being turned.
        let is_turned = |valve: &str| values.get(valve) != settings.values.get(valve);
        let references = self.spec.references(&settings.values, is_turned);
        let lost = registry.check_references(references).await;
        if !lost.is_empty() {
            return Err(PipeError::BadValves(lost));
        }
        let pipe = self.next(&state, &settings).await?;
        let shown = self.spec.shown(&settings.values);
        let turned = differing(values, &settings.values);
        let slot = Arc::clone(&self);
        let finish = async move {
            let saved = settings.saved.clone();
            settings.version = slot.shelf.save(P::ID, saved, settings.version).await?;
            slot.state.store(Arc::new(State { settings, pipe: Ok(pipe) }));
            drop(turning);
            Ok(())
        };
        to_its_end(finish).await?;
        tracing::info!(pipe.id = P::ID, valves = turned, "Turned valves of `{}`.", P::ID);
        Ok(shown)
    }

    /// [`Slot::reload`](super::Slot::reload).
    pub(super) async fn reloaded(self: Arc<Self>) -> Result<()> {
        let _turning = self.turning.lock().await;
        let found = told::<P>(self.shelf.load(P::ID).await?);
        let layers = self.site.layers(P::ID, &self.spec);
        let settings = Settings::of(&self.spec, layers, found);
        let settings = settings.with_paths(&self.spec, &self.site, None).await?;
        let pipe = self.next(&self.state.load(), &settings).await?;
        self.state.store(Arc::new(State { settings, pipe: Ok(pipe) }));
        Ok(())
    }

    /// [`Slot::follow`](super::Slot::follow).
    pub(super) async fn followed(self: Arc<Self>) -> Result<()> {
        let _turning = self.turning.lock().await;
        let found = self.shelf.load(P::ID).await?;
        let state = self.state.load_full();
        let known = &state.settings;
        if found.version == known.version && known.trouble.is_none() {
            return Ok(());
        }
        let layers = known.layers.clone();
        let settings = Settings::of(&self.spec, layers, found);
        let mut settings = settings.with_paths(&self.spec, &self.site, None).await?;
        let turned = differing(&known.values, &settings.values);
        let pipe = match self.next(&state, &settings).await {
            Ok(pipe) => Ok(pipe),
            // What runs goes on; what stands there is shown, so that it can be mended.
            Err(error) => {
                let trouble =
                    format!("what was turned on another replica cannot be used here: {error}");
                tracing::error!(pipe.id = P::ID, "`{}` stays as it is: {trouble}.", P::ID);
                settings.trouble = Some(trouble);
                state.pipe.clone()
            }
        };
        self.state.store(Arc::new(State { settings, pipe }));
        tracing::info!(pipe.id = P::ID, valves = turned, "Followed the valves of `{}`.", P::ID);
        Ok(())
    }
}

/// The names of the valves that are not as they were, for the log.
fn differing(before: &Values, after: &Values) -> String {
    let differs = |(name, value): &(&String, &Value)| before.get(*name) != Some(*value);
    after.iter().filter(differs).map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Saving and swapping end together, even if the admin leaves meanwhile.
#[expect(
    clippy::disallowed_methods,
    reason = "it is awaited, and a shelf takes no longer than some seconds"
)]
async fn to_its_end(finish: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    tokio::spawn(finish).await.map_err(PipeError::internal)?
}
