//! Translates AWS's errors into those of the contract (`docs/reference/bedrock.md`, "Errors").

mod bedrock_error;
mod credentials;

use crate::location::ModelLocation;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
pub use bedrock_error::BedrockError;
use bedrock_runtime::{OperationError, SendError, ServiceError};
pub use credentials::{missing_credentials, unavailable_credentials};
use pipe_sdk::{PipeError, is_context_overflow};
use std::{error::Error, time::Duration};

/// The time after which a client may try again.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// The time in which an imported model is loaded.
const RETRY_AFTER_LOADING: Duration = Duration::from_secs(20);

/// Converts an error of a client for lists.
pub fn from_sdk_error<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> SendError {
    match OperationError::from_sdk(error) {
        OperationError::Send(error) => error,
        OperationError::Body(_) => SendError::Unreachable,
        OperationError::Unreadable => {
            let status = error.raw_response().map_or(0, |response| response.status().as_u16());
            SendError::Service(ServiceError::new("", "", status))
        }
    }
}

/// Returns the error of a chat with this model in this region. People read its name.
pub fn to_pipe_error(error: SendError, location: &ModelLocation) -> PipeError {
    let region = &location.region;
    match error {
        SendError::NoCredentials => PipeError::Credentials(missing_credentials().into()),
        SendError::CredentialsUnavailable(fault) => {
            PipeError::Credentials(unavailable_credentials(fault))
        }
        SendError::Timeout => {
            PipeError::Timeout(format!("Amazon Bedrock in {region} did not answer in time"))
        }
        SendError::Unreachable => {
            PipeError::Upstream(format!("Amazon Bedrock in {region} cannot be reached"))
        }
        SendError::MetadataAddress => PipeError::Upstream(METADATA_ADDRESS_ADVICE.into()),
        SendError::Service(service_error) => service_error_to_pipe_error(&service_error, location),
    }
}

/// Returns whether another model, or the same one elsewhere, might answer where this error came
/// from (`docs/reference/bedrock.md`, "Choosing a model" and "Errors").
pub fn should_fall_back(error: &SendError) -> bool {
    match error {
        SendError::NoCredentials
        | SendError::CredentialsUnavailable(_)
        | SendError::MetadataAddress => false,
        SendError::Timeout | SendError::Unreachable => true,
        SendError::Service(service_error) if service_error.is_credentials_error() => false,
        SendError::Service(service_error) => match service_error.code.as_str() {
            "ValidationException" => needs_other_id(service_error),
            "ModelErrorException" | "ModelStreamErrorException" => !is_model_refusal(service_error),
            "ServiceQuotaExceededException" => true,
            _ => match service_error.status {
                401 | 403 | 404 | 408 | 424 | 429 => true,
                400..=499 => false,
                _ => true,
            },
        },
    }
}

/// Returns whether the model is there, but not under this id or not in this region.
fn needs_other_id(service_error: &ServiceError) -> bool {
    service_error.message_contains("on-demand throughput isn")
        || service_error.message_contains("model identifier is invalid")
}

/// Returns whether the model's own server blames the request.
pub fn is_model_refusal(service_error: &ServiceError) -> bool {
    let passing = [408, 424, 429];
    let status = service_error.original_status.filter(|status| !passing.contains(status));
    status.is_some_and(|status| (400..=499).contains(&status))
}

/// The advice for an endpoint whose name resolves to an address that is not connected to.
pub const METADATA_ADDRESS_ADVICE: &str = "the host of `endpoint_url` has a link-local address, which is not connected to because clouds \
     keep their secrets there: enter another endpoint in the valves of this pipe";

/// Returns the error of a chat, out of AWS's own words.
pub fn service_error_to_pipe_error(
    service_error: &ServiceError,
    location: &ModelLocation,
) -> PipeError {
    let ModelLocation { model, name, region } = location;
    if service_error.is_credentials_error() {
        let code = &service_error.code;
        return PipeError::Credentials(format!(
            "AWS does not accept the credentials ({code}): renew them, or check the clock of this machine"
        ));
    }
    let status = service_error.original_status.unwrap_or(service_error.status);
    match (service_error.code.as_str(), status) {
        ("ValidationException", _) => validation_error(service_error, location),
        ("AccessDeniedException", _) | ("", 401 | 403) => PipeError::Denied(format!(
            "this AWS account may not use {name} in {region}: allow bedrock:InvokeModel and bedrock:InvokeModelWithResponseStream; the first call of another vendor's model also \
             needs aws-marketplace:Subscribe and aws-marketplace:ViewSubscriptions, and Anthropic's use case form in the Bedrock console ({})",
            message_for_client(service_error)
        )),
        ("ResourceNotFoundException", _) if !service_error.message.is_empty() => {
            PipeError::ModelGone {
                model: model.to_string(),
                reason: message_for_client(service_error),
            }
        }
        ("ResourceNotFoundException", _) | ("", 404) => PipeError::ModelNotFound(model.to_string()),
        ("ThrottlingException" | "ServiceQuotaExceededException", _) | ("", 429) => {
            throttling_error(service_error, name)
        }
        ("ModelNotReadyException", _) => PipeError::NotReady {
            message: format!(
                "{name} is being loaded by Amazon Bedrock: {}",
                message_for_client(service_error)
            ),
            retry_after: service_error.retry_after.unwrap_or(RETRY_AFTER_LOADING),
        },
        ("ModelTimeoutException", _) | ("", 408) => PipeError::Timeout(format!(
            "{name} took too long to answer: {}",
            message_for_client(service_error)
        )),
        ("ServiceUnavailableException", _) => PipeError::Unavailable {
            message: format!(
                "Amazon Bedrock in {region} is not available: {}",
                message_for_client(service_error)
            ),
            retry_after: service_error.retry_after.or(Some(RETRY_AFTER)),
        },
        ("ConflictException", _) => PipeError::Conflict(message_for_client(service_error)),
        ("ModelErrorException" | "ModelStreamErrorException", 400..=499) if status != 424 => {
            model_error(service_error, status, name)
        }
        (_, 400..=499) if status != 424 => build_rejection(service_error, status),
        _ => PipeError::Upstream(format!(
            "Amazon Bedrock in {region} failed: {}",
            message_for_client(service_error)
        )),
    }
}

/// Returns the error of a request that the service, or a gateway before it, rejects.
fn build_rejection(service_error: &ServiceError, status: u16) -> PipeError {
    let message =
        format!("Amazon Bedrock refuses the request: {}", message_for_client(service_error));
    match status {
        413 => PipeError::Refused { status, message, retry_after: None },
        _ => PipeError::bad_request(message),
    }
}

/// Keeps the status that the model's own server gives.
fn model_error(service_error: &ServiceError, status: u16, name: &str) -> PipeError {
    let message = format!("{name} refuses the request: {}", message_for_client(service_error));
    match status {
        400 => {
            PipeError::BadRequest { message, param: None, code: context_length_code(service_error) }
        }
        429 => throttling_error(service_error, name),
        _ => PipeError::Refused { status, message, retry_after: service_error.retry_after },
    }
}

fn validation_error(service_error: &ServiceError, location: &ModelLocation) -> PipeError {
    let ModelLocation { model, name, .. } = location;
    if service_error.message_contains("model identifier is invalid") {
        return PipeError::ModelNotFound(model.to_string());
    }
    if service_error.message_contains("on-demand throughput isn") {
        return PipeError::bad_request(format!(
            "{name} can only be reached through an inference profile: pick its entry with a prefix such as `us.` or `global.` ({})",
            message_for_client(service_error)
        ));
    }
    if service_error.message_contains("content filters") {
        let reason = message_for_client(service_error);
        return PipeError::against_policy(format!("{name} refuses the request: {reason}"));
    }
    PipeError::BadRequest {
        message: format!(
            "Amazon Bedrock refuses the request: {}",
            message_for_client(service_error)
        ),
        param: None,
        code: context_length_code(service_error),
    }
}

/// Returns OpenAI's code for a prompt that is too long, if the service says that it is.
fn context_length_code(service_error: &ServiceError) -> Option<&'static str> {
    is_context_overflow(&service_error.message).then_some("context_length_exceeded")
}

fn throttling_error(service_error: &ServiceError, name: &str) -> PipeError {
    // Waiting a few seconds does not help against a limit for the day, or against a quota.
    let is_long_term = service_error.message_contains("per day")
        || service_error.code == "ServiceQuotaExceededException";
    let default = (!is_long_term).then_some(RETRY_AFTER);
    PipeError::Throttled {
        message: format!("Amazon Bedrock limits {name}: {}", message_for_client(service_error)),
        retry_after: service_error.retry_after.or(default),
    }
}

fn message_for_client(service_error: &ServiceError) -> String {
    match (service_error.message.trim(), service_error.code.as_str()) {
        ("", "") => format!("it answered with status {}", service_error.status),
        ("", code) => format!("it answered with {code}"),
        (message, _) => redact_values(&redact_arns(message)).chars().take(600).collect(),
    }
}

/// Removes the quoted values from an error message of AWS: they are parts of the chat, which have
/// no place in a log.
fn redact_values(message: &str) -> String {
    let (mut redacted, mut rest) = (String::new(), message);
    while let Some((before, quoted)) = rest.split_once("Value '")
        && let Some((_, after)) = quoted.split_once("' at '")
    {
        redacted.push_str(before);
        redacted.push_str("A value at '");
        rest = after;
    }
    redacted + rest
}

/// Replaces the ARNs in a message: they have the account's number and the names of its roles, which
/// not everyone who chats may see.
fn redact_arns(message: &str) -> String {
    let word = |word: &str| if word.contains("arn:aws") { "(an ARN)" } else { word }.to_owned();
    message.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location() -> ModelLocation {
        ModelLocation { model: "m".into(), name: "M".into(), region: "us-east-1".into() }
    }

    fn kind_of(code: &str, message: &str, status: u16) -> String {
        let service_error = ServiceError::new(code, message, status);
        let error = service_error_to_pipe_error(&service_error, &location());
        let kind = format!("{error:?}");
        kind.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
    }

    #[test]
    fn each_error_of_aws_becomes_one_of_ours() {
        for (code, status, kind) in [
            ("ValidationException", 400, "BadRequest"),
            ("validationException", 0, "BadRequest"),
            ("AccessDeniedException", 403, "Denied"),
            ("UnrecognizedClientException", 403, "Credentials"),
            ("com.amazon.coral#ExpiredTokenException", 403, "Credentials"),
            ("InvalidSignatureException:http://x", 403, "Credentials"),
            ("ResourceNotFoundException", 404, "ModelGone"),
            ("ThrottlingException", 429, "Throttled"),
            ("ServiceQuotaExceededException", 400, "Throttled"),
            ("ModelNotReadyException", 429, "NotReady"),
            ("ModelTimeoutException", 408, "Timeout"),
            ("ModelErrorException", 424, "Upstream"),
            ("modelStreamErrorException", 400, "BadRequest"),
            ("modelStreamErrorException", 500, "Upstream"),
            ("InternalServerException", 500, "Upstream"),
            ("ServiceUnavailableException", 503, "Unavailable"),
            ("ConflictException", 400, "Conflict"),
            ("", 502, "Upstream"),
            ("SomethingNewException", 418, "BadRequest"),
            ("", 400, "BadRequest"),
            ("", 413, "Refused"),
        ] {
            assert_eq!(kind_of(code, "words", status), kind, "{code} {status}");
        }
    }

    #[test]
    fn a_model_that_aws_does_not_know_is_not_found() {
        let words = "The provided model identifier is invalid.";
        assert_eq!(kind_of("ValidationException", words, 400), "ModelNotFound");
    }

    #[test]
    fn a_conversation_that_is_too_long_has_its_own_code() {
        let service_error =
            ServiceError::new("ValidationException", "Input is too long for it", 400);
        let error = service_error_to_pipe_error(&service_error, &location());
        assert!(matches!(
            error,
            PipeError::BadRequest { code: Some("context_length_exceeded"), .. }
        ));
    }

    #[test]
    fn a_limit_for_the_day_says_no_time_to_come_back() {
        for (words, soon) in [("Too many tokens per day", false), ("Too many requests", true)] {
            let service_error = ServiceError::new("ThrottlingException", words, 429);
            let PipeError::Throttled { retry_after, .. } =
                service_error_to_pipe_error(&service_error, &location())
            else {
                panic!("not throttled")
            };
            assert_eq!(retry_after.is_some(), soon);
        }
    }

    #[test]
    fn arns_are_redacted() {
        let words = "User: arn:aws:sts::123456789012:assumed-role/x is not authorized";
        assert_eq!(redact_arns(words), "User: (an ARN) is not authorized");
    }

    #[test]
    fn no_value_is_message_for_client() {
        let words = "1 error: Value '[a, ' at b]' at 'x.y' failed; Value 'z' at 'w' too";
        assert_eq!(redact_values(words), "1 error: A value at 'x.y' failed; A value at 'w' too");
    }
}
