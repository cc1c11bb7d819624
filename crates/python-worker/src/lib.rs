//! Runs Python pipelines of Open WebUI, each file in a process of its own.
//!
//! A [`Worker`] is one such process: it runs the runner of this crate (`runner/`), which
//! loads the file and answers calls with JSON frames over a socket pair. The process has limits,
//! an environment without the host's secrets, and a process group that is killed as a whole.
//!
//! A [`PipelineSource`] is what can be read of a file without running it: its front matter and its
//! imports. From these come its [`Requirements`], for which an [`Interpreter`] makes a virtual
//! environment once. [`YieldedItemDecoder`] turns what a pipe yields into chunks.

mod environment;
mod error;
mod frame;
mod interpreter;
mod item_decoder;
mod output;
mod packages;
mod process;
mod protocol;
mod requirements;
mod source;
mod system_calls;
mod worker;

pub use environment::{EnvironmentCache, PackageInstaller};
pub use error::WorkerError;
pub use interpreter::Interpreter;
pub use item_decoder::YieldedItemDecoder;
pub use output::{OutputSink, Redactor};
pub use process::{ProcessLimits, ProcessSettings, UserId};
pub use protocol::{Description, Item, ListedModel};
pub use requirements::Requirements;
pub use source::PipelineSource;
pub use worker::{CallStream, HostCall, HostCallHandler, HostCallResponder, Worker};
