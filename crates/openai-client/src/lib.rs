//! A client of OpenAI-compatible servers: OpenAI, Azure, vLLM, Ollama, llama.cpp, LM Studio,
//! OpenRouter, TEI and others.
//!
//! A [`Server`] has a [`BaseUrl`], [`Credentials`] and a [`resilience::Upstream`], which adds
//! time-outs, retries and a circuit breaker. A chat is written field by field (`request`), and its
//! answer is decoded field by field (`sse`, `completion`, `answer_decoder`). An [`OpenAiError`]
//! knows the error that a client gets ([`OpenAiError::into_pipe_error`]), whether another model
//! might answer ([`OpenAiError::should_fall_back`]), and whether the server is at fault.
//!
//! ```no_run
//! # async fn example() -> pipe_sdk::Result<()> {
//! use http_client::{HttpClient, HttpVersion};
//! use openai_client::{Credentials, Server};
//! use pipe_sdk::{Body, CallContext, Message, Role};
//! use resilience::{Limits, Upstream};
//! use std::sync::Arc;
//!
//! let limits = Limits::default();
//! let http_client = HttpClient::new(limits.connect, HttpVersion::Http2Preferred);
//! let base_url = "http://127.0.0.1:11434/v1".parse().unwrap();
//! let upstream = Arc::new(Upstream::new("ollama", limits));
//! let server = Server::new(base_url, &Credentials::default(), http_client, upstream);
//! let body = Body::new("x.llama3", vec![Message::new(Role::User, "hi")]);
//! let answer = server.chat("llama3", &body, &CallContext::default()).await;
//! let answer = answer.map_err(|error| error.into_pipe_error("llama3"))?;
//! let chunks = answer.into_chunks("x.llama3".into(), "llama3".into());
//! # Ok(())
//! # }
//! ```
//!
//! Deliberately absent: no field of an answer is passed on that `completion` does not name, because
//! Open WebUI would act on some of them.

mod answer_decoder;
mod api_error;
mod base_url;
mod call_ids;
mod chat_answer;
mod completion;
mod embed;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod generate;
mod model_list;
mod quirks;
mod reasoning;
mod request;
mod rerank;
#[cfg(test)]
mod resolver_tests;
mod response_body;
mod server;
mod sse;
mod tool_calls;

pub use api_error::ApiError;
pub use base_url::BaseUrl;
pub use chat_answer::{AnswerStream, ChatAnswer};
pub use error::OpenAiError;
pub use model_list::ModelListEntry;
pub use server::{Credentials, DEFAULT_STREAM_ABOVE_MAX_TOKENS, Server};
