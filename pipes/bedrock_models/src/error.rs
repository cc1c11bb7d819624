//! What AWS says went wrong, in the words of the contract (`docs/reference/bedrock.md`, "Errors").

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
pub use bedrock_runtime::{SendError, ServiceError};
use pipe_sdk::PipeError;
use std::{error::Error, time::Duration};

/// What words of a validation error mean that the conversation is too long.
const TOO_LONG: &[&[&str]] = &[
    &["input is too long"],
    &["prompt is too long"],
    &["too many total text bytes"],
    &["input length and max_tokens exceed"],
    &["exceed", "context limit"],
    &["exceeds the maximum", "token"],
    &["exceeds the maximum", "context"],
    &["maximum context length"],
    &["context window"],
    &["prompt tokens", "exceed"],
    &["number of input tokens", "exceed"],
    &["exceeds", "maximum length"],
    &["exceed", "model maximum"],
    &["too many input tokens"],
];

const SOON: Duration = Duration::from_secs(5);
const AFTER_LOADING: Duration = Duration::from_secs(20);

/// Why the SDK's call has no answer.
pub fn of_sdk<E>(error: &SdkError<E, HttpResponse>) -> SendError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let Some(failure) = lost_identity(error) {
        return failure;
    }
    match error {
        SdkError::TimeoutError(_) => SendError::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => SendError::Timeout,
        SdkError::ServiceError(service) => SendError::Said(said(service.err(), service.raw())),
        SdkError::ResponseError(response) => {
            SendError::Said(ServiceError::in_stream("", "", response.raw().status().as_u16()))
        }
        _ => SendError::Unreachable,
    }
}

/// The SDK reports missing credentials as a failed dispatch; the reason is among its sources.
fn lost_identity(error: &(dyn Error + 'static)) -> Option<SendError> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref::<CredentialsError>() {
            Some(error) => return Some(SendError::from(error)),
            None => cause = error.source(),
        }
    }
    None
}

fn said(error: &impl ProvideErrorMetadata, response: &HttpResponse) -> ServiceError {
    let status = response.status().as_u16();
    let (code, message) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
    ServiceError::in_stream(code, message, status)
}

/// The error of a chat with this model in this region.
pub fn of_chat(failure: SendError, model: &str, region: &str) -> PipeError {
    match failure {
        SendError::NoCredentials => PipeError::Credentials(NO_CREDENTIALS.into()),
        SendError::LostCredentials => PipeError::Credentials(LOST_CREDENTIALS.into()),
        SendError::Timeout => {
            PipeError::Timeout(format!("Amazon Bedrock in {region} did not answer in time"))
        }
        SendError::Unreachable => {
            PipeError::Upstream(format!("Amazon Bedrock in {region} cannot be reached"))
        }
        SendError::Said(complaint) => of_complaint(&complaint, model, region),
    }
}

/// Whether another model, or the same one elsewhere, might answer where this failure came from (`docs/reference/bedrock.md`, "Choosing a model" and "Errors").
pub fn is_another_s_turn(failure: &SendError) -> bool {
    match failure {
        SendError::NoCredentials | SendError::LostCredentials => false,
        SendError::Timeout | SendError::Unreachable => true,
        SendError::Said(complaint) if complaint.is_about_credentials() => false,
        SendError::Said(complaint) => match complaint.code.as_str() {
            "ValidationException" => is_unreachable_so(complaint),
            "ModelErrorException" | "ModelStreamErrorException" => !is_model_s_refusal(complaint),
            "ServiceQuotaExceededException" => true,
            _ => match complaint.status {
                401 | 403 | 404 | 408 | 424 | 429 => true,
                400..=499 => false,
                _ => true,
            },
        },
    }
}

/// Whether the model is there, but not under this id or not in this region.
fn is_unreachable_so(complaint: &ServiceError) -> bool {
    complaint.says("on-demand throughput isn") || complaint.says("model identifier is invalid")
}

/// Whether the model's own server says that the request is at fault.
pub fn is_model_s_refusal(complaint: &ServiceError) -> bool {
    let passing = [408, 424, 429];
    let status = complaint.original_status.filter(|status| !passing.contains(status));
    status.is_some_and(|status| (400..=499).contains(&status))
}

/// What to do when there are no credentials.
pub const NO_CREDENTIALS: &str = "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, a role or a \
     Bedrock API key, in the environment or as valves of this pipe";

/// What to do when the source of the credentials fails.
pub const LOST_CREDENTIALS: &str = "the AWS credentials could not be loaded: check the profile, the role or the SSO session that \
     they come from";

/// The error of a chat, out of AWS's own words.
pub fn of_complaint(complaint: &ServiceError, model: &str, region: &str) -> PipeError {
    if complaint.is_about_credentials() {
        let code = &complaint.code;
        return PipeError::Credentials(format!(
            "AWS does not accept the credentials ({code}): renew them, or check the clock of this machine"
        ));
    }
    let status = complaint.original_status.unwrap_or(complaint.status);
    match (complaint.code.as_str(), status) {
        ("ValidationException", _) => of_validation(complaint, model),
        ("AccessDeniedException", _) | ("", 401 | 403) => PipeError::Denied(format!(
            "this AWS account may not use `{model}` in {region}: allow bedrock:InvokeModel and bedrock:InvokeModelWithResponseStream, and request access to \
             the model in the Bedrock console ({})",
            quoted(complaint)
        )),
        ("ResourceNotFoundException", _) if !complaint.message.is_empty() => {
            PipeError::ModelGone { model: model.into(), reason: quoted(complaint) }
        }
        ("ResourceNotFoundException", _) | ("", 404) => PipeError::ModelNotFound(model.into()),
        ("ThrottlingException" | "ServiceQuotaExceededException", _) | ("", 429) => {
            throttled(complaint, model)
        }
        ("ModelNotReadyException", _) => PipeError::NotReady {
            message: format!("`{model}` is being loaded by Amazon Bedrock: {}", quoted(complaint)),
            retry_after: complaint.retry_after.unwrap_or(AFTER_LOADING),
        },
        ("ModelTimeoutException", _) | ("", 408) => {
            PipeError::Timeout(format!("`{model}` took too long to answer: {}", quoted(complaint)))
        }
        ("ServiceUnavailableException", _) => PipeError::Unavailable {
            message: format!("Amazon Bedrock in {region} is not available: {}", quoted(complaint)),
            retry_after: complaint.retry_after.or(Some(SOON)),
        },
        ("ConflictException", _) => PipeError::Conflict(quoted(complaint)),
        ("ModelErrorException" | "ModelStreamErrorException", 400..=499) if status != 424 => {
            of_model(complaint, status, model)
        }
        (_, 400..=499) if status != 424 => refused(complaint, status),
        _ => {
            PipeError::Upstream(format!("Amazon Bedrock in {region} failed: {}", quoted(complaint)))
        }
    }
}

/// What the service, or what stands before it, will not take.
fn refused(complaint: &ServiceError, status: u16) -> PipeError {
    let message = format!("Amazon Bedrock refuses the request: {}", quoted(complaint));
    match status {
        413 => PipeError::Refused { status, message, retry_after: None },
        _ => PipeError::bad_request(message),
    }
}

/// What the model's own server says keeps its status.
fn of_model(complaint: &ServiceError, status: u16, model: &str) -> PipeError {
    let message = format!("`{model}` refuses the request: {}", quoted(complaint));
    match status {
        400 => PipeError::BadRequest { message, param: None, code: length_code(complaint) },
        429 => throttled(complaint, model),
        _ => PipeError::Refused { status, message, retry_after: complaint.retry_after },
    }
}

fn of_validation(complaint: &ServiceError, model: &str) -> PipeError {
    if complaint.says("model identifier is invalid") {
        return PipeError::ModelNotFound(model.into());
    }
    if complaint.says("on-demand throughput isn") {
        return PipeError::bad_request(format!(
            "`{model}` can only be reached through an inference profile: pick its entry with a prefix such as `us.` or `global.` ({})",
            quoted(complaint)
        ));
    }
    if complaint.says("content filters") {
        let reason = quoted(complaint);
        return PipeError::against_policy(format!("`{model}` refuses the request: {reason}"));
    }
    PipeError::BadRequest {
        message: format!("Amazon Bedrock refuses the request: {}", quoted(complaint)),
        param: None,
        code: length_code(complaint),
    }
}

/// OpenAI's word for a prompt that is too long, if the service says that it is.
fn length_code(complaint: &ServiceError) -> Option<&'static str> {
    let said = complaint.message.replace('`', "").to_ascii_lowercase();
    let too_long = TOO_LONG.iter().any(|words| words.iter().all(|word| said.contains(word)));
    too_long.then_some("context_length_exceeded")
}

fn throttled(complaint: &ServiceError, model: &str) -> PipeError {
    // Waiting a few seconds does not help against a limit for the day, or against a quota.
    let lasts = complaint.says("per day") || complaint.code == "ServiceQuotaExceededException";
    let soon = (!lasts).then_some(SOON);
    PipeError::Throttled {
        message: format!("Amazon Bedrock limits `{model}`: {}", quoted(complaint)),
        retry_after: complaint.retry_after.or(soon),
    }
}

fn quoted(complaint: &ServiceError) -> String {
    match (complaint.message.trim(), complaint.code.as_str()) {
        ("", "") => format!("it answered with status {}", complaint.status),
        ("", code) => format!("it answered with {code}"),
        (message, _) => without_values(&without_arns(message)).chars().take(600).collect(),
    }
}

/// What was wrong is quoted by AWS between these; it is the chat's own words, which have no place in a log.
fn without_values(message: &str) -> String {
    let (mut told, mut rest) = (String::new(), message);
    while let Some((before, quoted)) = rest.split_once("Value '")
        && let Some((_, after)) = quoted.split_once("' at '")
    {
        told.push_str(before);
        told.push_str("A value at '");
        rest = after;
    }
    told + rest
}

/// ARNs hold the number of the account and the names of its roles, which are not for everyone who chats.
fn without_arns(message: &str) -> String {
    let word = |word: &str| if word.contains("arn:aws") { "(an ARN)" } else { word }.to_owned();
    message.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(code: &str, message: &str, status: u16) -> String {
        let complaint = ServiceError::in_stream(code, message, status);
        let error = of_complaint(&complaint, "m", "us-east-1");
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
            assert_eq!(told(code, "words", status), kind, "{code} {status}");
        }
    }

    #[test]
    fn a_model_that_aws_does_not_know_is_not_found() {
        let words = "The provided model identifier is invalid.";
        assert_eq!(told("ValidationException", words, 400), "ModelNotFound");
    }

    #[test]
    fn a_conversation_that_is_too_long_has_its_own_code() {
        let complaint =
            ServiceError::in_stream("ValidationException", "Input is too long for it", 400);
        let error = of_complaint(&complaint, "m", "r");
        assert!(matches!(
            error,
            PipeError::BadRequest { code: Some("context_length_exceeded"), .. }
        ));
    }

    #[test]
    fn a_limit_for_the_day_says_no_time_to_come_back() {
        for (words, soon) in [("Too many tokens per day", false), ("Too many requests", true)] {
            let complaint = ServiceError::in_stream("ThrottlingException", words, 429);
            let PipeError::Throttled { retry_after, .. } = of_complaint(&complaint, "m", "r")
            else {
                panic!("not throttled")
            };
            assert_eq!(retry_after.is_some(), soon);
        }
    }

    #[test]
    fn no_arn_is_told() {
        let words = "User: arn:aws:sts::123456789012:assumed-role/x is not authorized";
        assert_eq!(without_arns(words), "User: (an ARN) is not authorized");
    }

    #[test]
    fn no_value_is_quoted() {
        let words = "1 error: Value '[a, ' at b]' at 'x.y' failed; Value 'z' at 'w' too";
        assert_eq!(without_values(words), "1 error: A value at 'x.y' failed; A value at 'w' too");
    }
}
