//! Changes the valves of a Python file, and those of its process.

use super::{FileCommand, HOOK_LIMIT, PythonSlot};
use crate::{
    python::form::{self, is_host_valve},
    slot::EffectiveValves,
    valves::{LoadedValves, ParsedUpdate, Values, ValvesUpdate},
};
use pipe_sdk::{PipeError, Result};
use python_worker::Worker;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::oneshot;

impl PythonSlot {
    /// Checks posted valves, sets them in the process, and saves them. On an error nothing changes.
    pub(super) async fn apply_update(self: Arc<Self>, posted: Values) -> Result<Values> {
        let guard = self.valve_store.lock().await;
        let valve_store = guard.as_ref().ok_or_else(|| self.deleted_error())?;
        let before = self.settings.load_full();
        let EffectiveValves { layers, saved, version, values, sources, .. } = &*before;
        let update = ValvesUpdate { spec: &self.spec, values, sources, saved };
        let ParsedUpdate { saved, entered_secrets } =
            update.parse(posted).map_err(PipeError::BadValves)?;
        let next = LoadedValves { values: saved, version: *version, problem: None };
        let mut next = EffectiveValves::new(&self.spec, layers.clone(), next);
        next.check()?;
        let unbound = update.check_secret_origins(&next.values, &entered_secrets);
        if !unbound.is_empty() {
            return Err(PipeError::BadValves(unbound));
        }
        // A process that does not run may run with other valves.
        let is_host_valve_changed = next
            .values
            .iter()
            .any(|(name, value)| is_host_valve(name) && values.get(name) != Some(value));
        let worker = self.running_worker().filter(|_| !is_host_valve_changed);
        self.redactor.set_secrets(form::secrets(&self.spec, &next.values));
        if let Some(worker) = &worker {
            self.set_valves(worker, &next.values).await?;
        }
        let saving = valve_store.save(self.stem, next.saved.clone(), next.version).await;
        match (saving, &worker) {
            (Ok(version), _) => next.version = version,
            (Err(error), Some(worker)) => {
                self.set_valves(worker, values).await?;
                return Err(error);
            }
            (Err(error), None) => return Err(error),
        }
        let shown = self.spec.mask_values(&next.values);
        self.settings.store(Arc::new(next));
        // The task that loads the file may be waiting for the lock, to delete the valves.
        drop(guard);
        match worker {
            Some(worker) => {
                self.describe(&worker).await.map_err(|error| self.worker_error(error))?;
            }
            None => _ = self.load_file().await?,
        }
        tracing::info!(pipe.id = self.id, "Changed the valves of `{}`.", self.id);
        Ok(shown)
    }

    async fn set_valves(&self, worker: &Worker, values: &Values) -> Result<()> {
        let values = form::file_values(&self.spec, values);
        let arguments = json!({"values": values, "notifies": true});
        let set = worker.request::<Value>("valves", arguments, HOOK_LIMIT).await;
        set.map(|_| ()).map_err(|error| self.worker_error(error))
    }

    /// Has the file loaded again.
    async fn load_file(&self) -> Result<&'static str> {
        let (reply, loaded) = oneshot::channel();
        let gone = || self.deleted_error();
        let load = FileCommand::Load { content: None, is_forced: true, reply };
        self.commands.send(load).await.map_err(|_| gone())?;
        loaded.await.map_err(|_| gone())?
    }

    /// Deletes what was saved of the valves. From then on nothing is saved.
    pub async fn delete_saved_valves(&self) -> Result<()> {
        let mut guard = self.valve_store.lock().await;
        if let Some(valve_store) = &*guard {
            valve_store.delete(self.stem).await?;
            *guard = None;
        }
        Ok(())
    }

    fn deleted_error(&self) -> PipeError {
        PipeError::Unavailable {
            message: format!("`{}` is being deleted", self.id),
            retry_after: None,
        }
    }

    /// Takes over valves that were saved elsewhere, if they have changed.
    pub(super) async fn reload_valves(self: Arc<Self>) -> Result<()> {
        let guard = self.valve_store.lock().await;
        let Some(valve_store) = &*guard else { return Ok(()) };
        let found = valve_store.load(self.stem).await?;
        let layers = self.sources.layers(self.id, &self.spec);
        let next = EffectiveValves::new(&self.spec, layers, found);
        next.check()?;
        if let Some(worker) = self.running_worker()
            && next.values != self.settings.load().values
        {
            self.set_valves(&worker, &next.values).await?;
            self.describe(&worker).await.map_err(|error| self.worker_error(error))?;
        }
        self.redactor.set_secrets(form::secrets(&self.spec, &next.values));
        self.settings.store(Arc::new(next));
        Ok(())
    }
}
