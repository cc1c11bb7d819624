//! What replicas on one database share beside usage and limits: the saved valves, which each of them follows.

use crate::{
    registry::Registry,
    slot::Registration,
    valves::{Files, Shelf, move_in},
};
use futures_util::StreamExt;
use pipe_sdk::Task;
use std::{path::Path, sync::Arc};
use store::{SavedValves, Store, Watched};

/// The database that replicas share, and what this one's files held before there was one.
pub struct Replica {
    valves: SavedValves,
    files: Files,
    pipes: Vec<&'static str>,
    has_moved_in: bool,
}

impl Replica {
    /// One of those on this store, if it is shared.
    pub fn on(store: &Store, folder: &Path, pipes: &[Registration]) -> Option<Self> {
        Some(Self {
            valves: store.saved_valves()?.clone(),
            files: Files(folder.to_owned()),
            pipes: pipes.iter().map(|pipe| pipe.id).collect(),
            has_moved_in: false,
        })
    }

    /// Where saved valves stand.
    pub fn shelf(&self) -> Arc<dyn Shelf> {
        Arc::new(self.valves.clone())
    }

    /// Takes what the files hold into the database, where it has nothing of a pipe; once.
    pub async fn move_in(&mut self) {
        if self.has_moved_in {
            return;
        }
        for pipe in &self.pipes {
            if let Err(error) = move_in(pipe, &self.files, &self.valves).await {
                tracing::warn!(
                    pipe.id = pipe,
                    "The file of `{pipe}` is not in the database: {error}."
                );
                return;
            }
        }
        self.has_moved_in = true;
    }

    /// Turns the valves that are turned on other replicas, for as long as the task lives.
    pub fn follow(self, registry: &Arc<Registry>) -> Task {
        Task::spawn(self.followed(Arc::clone(registry)))
    }

    async fn followed(mut self, registry: Arc<Registry>) {
        let mut events = self.valves.watch();
        while let Some(event) = events.next().await {
            let turned: Vec<_> = match event {
                Watched::There => {
                    tracing::info!("Valves that are turned on other replicas are followed.");
                    self.move_in().await;
                    registry.slots().iter().collect()
                }
                Watched::Turned(pipe) => registry.slot(&pipe).into_iter().collect(),
                Watched::Away(error) => {
                    tracing::warn!(%error, "Valves that are turned on other replicas cannot be heard of.");
                    Vec::new()
                }
            };
            for slot in turned {
                if let Err(error) = Arc::clone(slot).follow().await {
                    tracing::error!(
                        pipe.id = slot.id(),
                        "`{}` stays as it is: {error}.",
                        slot.id()
                    );
                }
            }
        }
    }
}
