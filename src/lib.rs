//! pipewright: the Open WebUI Pipelines host.
//!
//! [`app::App`] is the whole; [`http`] is what clients see, [`registry`] and [`slot`] hold the pipes, [`valves`] what admins turn. The contract
//! with pipes is the crate `pipe_sdk`; the list of pipes is [`pipes::PIPES`].

pub mod app;
pub mod books;
pub mod drain;
pub mod files;
pub mod http;
pub mod ledger;
pub mod log;
pub mod meter;
pub mod metrics;
mod panics;
pub mod pipes;
pub mod prices;
pub mod references;
pub mod registry;
mod replicas;
mod route;
pub mod settings;
pub mod slot;
pub mod tender;
pub mod traces;
pub mod valves;
