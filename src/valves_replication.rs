//! Replication of saved valves between replicas that share a database.

use crate::{
    registry::Registry,
    slot::Registration,
    valves::{FileValveStore, ValveStore, migrate_file},
};
use futures_util::StreamExt;
use pipe_sdk::Task;
use std::sync::Arc;
use store::{SavedValves, Store, WatchEvent};

/// The saved valves in the shared database, and the files that held them before.
pub struct ValvesReplication {
    valves: SavedValves,
    files: FileValveStore,
    pipes: Vec<&'static str>,
    has_migrated: bool,
}

impl ValvesReplication {
    /// Returns the replication for this store, if it is a shared database; `files` held the valves
    /// before.
    pub fn for_store(store: &Store, files: FileValveStore, pipes: &[Registration]) -> Option<Self> {
        Some(Self {
            valves: store.saved_valves()?.clone(),
            files,
            pipes: pipes.iter().map(|pipe| pipe.id).collect(),
            has_migrated: false,
        })
    }

    /// Returns the store of the saved valves.
    pub fn valve_store(&self) -> Arc<dyn ValveStore> {
        Arc::new(self.valves.clone())
    }

    /// Copies the valves from files into the database, for pipes that have none there. It runs
    /// once.
    pub async fn migrate_files(&mut self) {
        if self.has_migrated {
            return;
        }
        for pipe in &self.pipes {
            if let Err(error) = migrate_file(pipe, &self.files, &self.valves).await {
                tracing::warn!(
                    pipe.id = pipe,
                    "The file of `{pipe}` is not in the database: {error}."
                );
                return;
            }
        }
        self.has_migrated = true;
    }

    /// Spawns a task that applies the valves that other replicas save.
    pub fn spawn(self, registry: &Arc<Registry>) -> Task {
        Task::spawn(self.run(Arc::clone(registry)))
    }

    /// Follows the changes of other replicas.
    async fn run(mut self, registry: Arc<Registry>) {
        let mut events = self.valves.watch();
        while let Some(event) = events.next().await {
            let changed: Vec<_> = match event {
                WatchEvent::Connected => {
                    tracing::info!("Changes of valves on other replicas are applied here.");
                    self.migrate_files().await;
                    registry.slots().to_vec()
                }
                WatchEvent::Changed(pipe) => registry.slot(&pipe).into_iter().collect(),
                WatchEvent::Disconnected(error) => {
                    tracing::warn!(%error, "Changes of valves on other replicas cannot be received.");
                    Vec::new()
                }
            };
            for slot in changed {
                let id = slot.id();
                if let Err(error) = slot.apply_replicated_valves().await {
                    tracing::error!(pipe.id = id, "`{id}` keeps its valves: {error}.");
                }
            }
        }
    }
}
