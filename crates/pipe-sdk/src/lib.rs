//! The contract between the host and its pipes: what a pipe author needs, and nothing of HTTP.
//!
//! A **pipe** answers or filters chats. It is a type that implements [`Pipe`]; its settings, the
//! **valves**, are a second type that implements [`Valves`]. The host starts it, shows its valves
//! in Open WebUI, hands it chats and streams what it answers.
//!
//! ```
//! use pipe_sdk::{
//!     Call, Chunk, ChunkStream, FinishReason, Model, Pipe, Result, Serves, ValveError, Valves,
//! };
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use std::sync::Arc;
//!
//! /// The valves of the pipe. Doc comments become the help texts of the form.
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! #[serde(default)]
//! struct EchoValves {
//!     /// The text before every answer.
//!     prefix: String,
//! }
//! impl Default for EchoValves {
//!     fn default() -> Self {
//!         Self { prefix: "echo: ".into() }
//!     }
//! }
//! impl Valves for EchoValves {}
//!
//! struct Echo(EchoValves);
//!
//! impl Pipe for Echo {
//!     const ID: &'static str = "echo";
//!     type Valves = EchoValves;
//!
//!     async fn on_startup(valves: EchoValves) -> Result<Self> {
//!         Ok(Self(valves))
//!     }
//!     fn serves(&self) -> Serves {
//!         Serves::Model(Model::new(Self::ID, "Echo"))
//!     }
//!     async fn pipe(self: Arc<Self>, call: Call) -> Result<ChunkStream> {
//!         let question = call.body.last_user_text().unwrap_or_default();
//!         let text = format!("{}{question}", self.0.prefix);
//!         Ok(ChunkStream::from_chunks([Chunk::Content(text), Chunk::Finish(FinishReason::Stop)]))
//!     }
//! }
//! ```
//!
//! Three rules hold for every pipe:
//!
//! * **It knows no HTTP.** What went wrong is said with [`PipeError`]; the host decides the status.
//! * **It always streams**, and dropping its [`ChunkStream`] is the cancel: whatever answers a chat
//!   lives inside the stream. The host folds the chunks for callers that did not ask for a stream.
//! * **It knows no other pipe.** It answers through another model by [`Call::host`], by model id.
//!
//! A running pipe never changes. When its valves are turned, the host builds the next one with
//! [`Pipe::on_valves_updated`] and swaps it in whole; answers that have begun keep the pipe that
//! they began with.

mod admission;
mod body;
mod call_context;
mod caller_id;
mod caller_map;
mod chat_ref;
mod chunk;
mod context_length;
mod conversation;
mod demand_kind;
mod error;
mod filter;
mod glob;
mod hints;
mod host;
mod ledger;
pub mod library;
mod model;
mod part_text;
mod picker;
mod picture;
mod pipe;
mod quirks;
mod remaining_tokens;
mod secret;
mod side;
mod state;
mod surrogates;
mod task;
#[cfg(feature = "testing")]
pub mod testing;
mod trace;
mod upstream;
mod user;
mod valves;

pub use admission::Admission;
pub use body::{
    Body, Content, FunctionCall, FunctionTool, Message, Part, Role, StreamOptions, Tool, ToolCall,
};
pub use call_context::CallContext;
pub use caller_id::CallerId;
pub use caller_map::CallerMap;
pub use chat_ref::{ChatRef, ResponseRef};
pub use chunk::{
    Answer, Chunk, ChunkStream, Citation, Event, FinishReason, ReasoningDetail, ReasoningKind,
    STOP_SEQUENCE_FACT, TokenLogprob, ToolCallDelta, TopLogprob, Usage,
};
pub use context_length::is_context_overflow;
pub use conversation::{
    Conversation, ConversationKey, ConversationVersion, Conversations, SaveOptions, Summary,
};
pub use demand_kind::DemandKind;
pub use error::{PipeError, Result};
pub use filter::{AdmissionRequest, FilterBody, FilterCall, UsageReport};
pub use glob::matches_glob;
pub use hints::Hints;
pub use host::{
    Call, Demand, EmbedCall, EmbedInput, Embeddings, Host, HostBackend, Image, ImageCall,
    ImageFormat, ImageOptions, ImageQuality, ImageSize, Images, ModelCard, Rank, RerankCall,
    Reranked, Truncate,
};
pub use ledger::{Booking, Charge, Exceeded, Ledger, Window};
pub use model::{Model, ModelKind, ModelMetadata, ModelResolution, Serves};
pub use part_text::text_of_part;
pub use picker::{
    PICKER_WIDTH, PickerAudience, describe_context, fill_name, fill_name_shortened, shorten_name,
};
pub use picture::Picture;
pub use pipe::Pipe;
pub use quirks::{LearnedQuirks, QuirkState, without_quotes};
pub use remaining_tokens::{find_remaining_tokens, number_after};
pub use secret::Secret;
pub use side::Side;
pub use state::{Fingerprint, StateFolder};
pub use surrogates::{replace_lone_surrogates, without_lone_surrogates};
pub use task::Task;
pub use trace::TraceContext;
pub use upstream::{BreakerState, UpstreamState};
pub use user::User;
pub use valves::{ValveError, Valves, split_list};
