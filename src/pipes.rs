//! The one list of pipes.

use crate::slot::Registration;
use bedrock_models::BedrockModels;
use hybrid_router::HybridRouter;
use openai_proxy::OpenAiProxy;
use optimizer::Optimizer;
use rag::Rag;
use rate_limit::RateLimit;

/// Every pipe, in the order in which `/models` lists them.
pub const PIPES: &[Registration] = &[
<<<<<<< HEAD
    Registration::of::<BedrockModels>(),
    Registration::of::<HybridRouter>(),
    Registration::of::<OpenAiProxy>(),
    Registration::of::<Optimizer>(),
    Registration::of::<Rag>(),
    Registration::of::<RateLimit>(),
=======
    Registration::for_pipe::<BedrockModels>(),
    Registration::for_pipe::<HybridRouter>(),
    Registration::for_pipe::<OpenAiProxy>(),
    Registration::for_pipe::<Rag>(),
    Registration::for_pipe::<RateLimit>(),
>>>>>>> words-c
];
