//! The number of the attempt, which the SDK knows only where it retries itself.

use crate::Attempt;
use aws_sdk_bedrockruntime::{
    config::{ConfigBag, Intercept, RuntimeComponents},
    error::BoxError,
};
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;

/// Tells the service the number of the attempt, as chats do. The header is not signed.
#[derive(Clone, Copy, Debug)]
pub struct AttemptHeader(pub Attempt);

impl Intercept for AttemptHeader {
    fn name(&self) -> &'static str {
        "AttemptHeader"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Self(attempt) = self;
        context.request_mut().headers_mut().insert("amz-sdk-request", attempt.to_string());
        Ok(())
    }
}
