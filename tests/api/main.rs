//! The host from outside: through its front door, over a real socket.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

mod agents;
mod auth;
mod bedrock;
mod bedrock_answers;
mod bedrock_errors;
mod bedrock_fallbacks;
mod bedrock_resilience;
mod bodies;
mod catalogue;
mod chat;
mod contract;
mod conversation;
mod cors;
mod docs;
mod drain;
mod embedding_cache;
mod embeddings;
mod filters;
mod full_disk;
mod house;
mod hybrid;
mod images;
mod import;
mod invalid_bodies;
mod lambda;
mod layout;
mod limits;
mod log;
mod messages;
mod metrics;
mod models;
mod multimodal;
mod new_pipe;
mod openai_proxy;
mod openapi;
mod optimizer;
mod pages;
mod pipes;
mod poison;
mod process;
mod python;
mod rag;
mod references;
mod reload;
mod replica_processes;
mod replicas;
mod rerank;
mod responses;
mod rig;
mod saved_lists;
mod shell;
mod stream_formats;
mod support;
mod traces;
mod trust;
mod usage;
mod valve_form;
mod valves;
mod wire;
