//! pipewright: the Open WebUI Pipelines host.
//!
//! [`app::App`] is the whole; [`http`] is what clients see, [`registry`] and [`slot`] hold the
//! pipes, [`valves`] what admins turn. The contract with pipes is the crate `pipe_sdk`; the list of
//! pipes is [`pipes::PIPES`].

pub mod app;
pub mod background_jobs;
mod call_route;
pub mod drain;
pub mod http;
pub mod log;
pub mod meter;
pub mod metrics;
pub mod model_references;
mod panics;
pub mod pipes;
pub mod prices;
pub mod registry;
pub mod regular_file;
pub mod settings;
pub mod slot;
pub mod store_ledger;
pub mod traces;
pub mod usage_queue;
pub mod valves;
mod valves_replication;
