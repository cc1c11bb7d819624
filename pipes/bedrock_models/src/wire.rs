//! Our bytes out, and the answer's bytes in: what goes past the SDK's own types.
//!
//! The SDK resolves the endpoint, signs, retries and reads errors. The body of a request is ours (see [`crate::converse`]), and so is the
//! body of an answer (see [`crate::stream`]).

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{
                BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
            },
            dyn_dispatch_hint,
        },
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{body::SdkBody, config_bag::ConfigBag};
use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// The bodies of one call.
#[derive(Clone, Debug)]
pub struct Wire {
    request: Bytes,
    answer: Arc<Mutex<Option<SdkBody>>>,
}

impl Wire {
    /// A call with this body.
    pub fn new(request: Vec<u8>) -> Self {
        Self { request: request.into(), answer: Arc::default() }
    }

    /// The answer's body, once the call has succeeded.
    pub fn answer(&self) -> Option<SdkBody> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[dyn_dispatch_hint]
impl Intercept for Wire {
    fn name(&self) -> &'static str {
        "Wire"
    }

    /// Runs on each attempt, before it is signed.
    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request.headers_mut().insert("content-length", self.request.len().to_string());
        request.headers_mut().insert("content-type", "application/json");
        *request.body_mut() = SdkBody::from(self.request.clone());
        Ok(())
    }

    /// Runs when the headers are there. The SDK gets to see an empty stream, which it does not mind.
    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        if response.status().is_success() {
            let body = std::mem::replace(response.body_mut(), SdkBody::empty());
            *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
        Ok(())
    }
}
