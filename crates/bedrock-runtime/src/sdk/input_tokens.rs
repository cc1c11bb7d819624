//! The number of input tokens, which AWS reports in a header that is no field of the SDK's outputs.

use aws_sdk_bedrockruntime::{
    config::{ConfigBag, Intercept, RuntimeComponents},
    error::BoxError,
};
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// The header in which AWS reports the tokens of the input.
const INPUT_TOKENS_HEADER: &str = "x-amzn-bedrock-input-token-count";

/// The value that stands for no report.
const NONE: u64 = u64::MAX;

/// Reads the number of input tokens from the response of one call. Clones share the number.
#[derive(Clone, Debug)]
pub struct InputTokens(Arc<AtomicU64>);

impl InputTokens {
    /// Returns the number; `None` if AWS has not reported it.
    pub fn get(&self) -> Option<u64> {
        Some(self.0.load(Relaxed)).filter(|count| *count != NONE)
    }
}

impl Default for InputTokens {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(NONE)))
    }
}

impl Intercept for InputTokens {
    fn name(&self) -> &'static str {
        "InputTokens"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let count = context.response().headers().get(INPUT_TOKENS_HEADER);
        if let Some(count) = count.and_then(|count| count.parse().ok()) {
            self.0.store(count, Relaxed);
        }
        Ok(())
    }
}
