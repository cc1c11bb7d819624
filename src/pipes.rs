//! The one list of pipes.

use crate::slot::Registration;
use bedrock_models::BedrockModels;
use conversation::ConversationPipe;
use hybrid_router::HybridRouter;
use multimodal::Multimodal;
use openai_proxy::OpenAiProxy;
use optimizer::Optimizer;
use rag::Rag;
use rate_limit::RateLimit;

/// Every pipe, in the order in which `/models` lists them.
pub const PIPES: &[Registration] = &[
    Registration::for_pipe::<BedrockModels>(),
    Registration::for_pipe::<ConversationPipe>(),
    Registration::for_pipe::<HybridRouter>(),
    Registration::for_pipe::<Multimodal>(),
    Registration::for_pipe::<OpenAiProxy>(),
    Registration::for_pipe::<Optimizer>(),
    Registration::for_pipe::<Rag>(),
    Registration::for_pipe::<RateLimit>(),
];
