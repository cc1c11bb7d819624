//! pipewright: an OpenAI-compatible model server and Open WebUI Pipelines host.
//!
//! [`app::App`] is the host; [`http`] holds its API, [`registry`] and [`slot`] its pipes,
//! [`valves`] the settings that admins change, [`settings`] and [`cli`] those of the operator. The
//! crate `pipe_sdk` is the contract with pipes; [`pipes::PIPES`] lists them.

pub mod app;
pub mod background_jobs;
mod blocking;
mod call_route;
pub mod cli;
pub mod drain;
mod embedding_cache;
pub mod failed_requests;
mod host_backend;
pub mod http;
pub mod log;
pub mod meter;
pub mod metrics;
mod model_call;
pub mod model_references;
mod nearest_word;
mod panics;
pub mod pipes;
pub mod prices;
pub mod python;
pub mod registry;
pub mod regular_file;
pub mod setting_problems;
pub mod settings;
pub mod slot;
mod store_conversations;
pub mod store_ledger;
pub mod traces;
mod truncate;
pub mod usage_queue;
mod usage_worker;
pub mod valve_saves;
pub mod valves;
mod valves_replication;
