//! What replicas on one database share beside usage and limits: where saved valves stand, and how each follows the others.

use crate::{
    registry::Registry,
    slot::{Registration, Site},
    valves::{Files, Shelf, move_in},
};
use futures_util::StreamExt;
use pipe_sdk::Task;
use pipewright_store::{SavedValves, Store, Watched};
use std::sync::Arc;

/// Where saved valves are kept. A database that has none takes those of the files.
pub async fn shelf(store: &Store, site: &Site, pipes: &[Registration]) -> Arc<dyn Shelf> {
    let files = Files(site.folder.clone());
    let Some(database) = store.saved_valves() else { return Arc::new(files) };
    for pipe in pipes {
        if let Err(error) = move_in(pipe.id, &files, database).await {
            tracing::error!(
                pipe.id = pipe.id,
                "The file of `{}` stays where it is: {error}.",
                pipe.id
            );
            break;
        }
    }
    Arc::new(database.clone())
}

/// Turns the valves that are turned on other replicas, for as long as the task lives.
pub fn follow(store: &Store, registry: &Arc<Registry>) -> Option<Task> {
    let valves = store.saved_valves()?.clone();
    Some(Task::spawn(followed(Arc::clone(registry), valves)))
}

async fn followed(registry: Arc<Registry>, valves: SavedValves) {
    let mut events = valves.watch();
    while let Some(event) = events.next().await {
        let turned: Vec<_> = match event {
            Watched::There => {
                tracing::info!("Valves that are turned on other replicas are followed.");
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
                tracing::error!(pipe.id = slot.id(), "`{}` stays as it is: {error}.", slot.id());
            }
        }
    }
}
