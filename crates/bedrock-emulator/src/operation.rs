//! The operations of Bedrock, and their routes.

use http::Method;
use percent_encoding::percent_decode_str;

/// An operation of Bedrock.
#[expect(missing_docs, reason = "the names are Bedrock's own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    ListFoundationModels,
    GetFoundationModel,
    GetFoundationModelAvailability,
    ListInferenceProfiles,
    GetInferenceProfile,
    ListImportedModels,
    ListProvisionedModelThroughputs,
    ListMarketplaceModelEndpoints,
    ListCustomModelDeployments,
    ListPromptRouters,
    Converse,
    ConverseStream,
    InvokeModel,
    InvokeModelWithResponseStream,
    CountTokens,
    ApplyGuardrail,
}

use Operation::*;

/// The method and path of each operation. `*` matches one segment; the first such is the target.
const ROUTES: [(Operation, Method, &[&str]); 16] = [
    (ListFoundationModels, Method::GET, &["foundation-models"]),
    (GetFoundationModel, Method::GET, &["foundation-models", "*"]),
    (GetFoundationModelAvailability, Method::GET, &["foundation-model-availability", "*"]),
    (ListInferenceProfiles, Method::GET, &["inference-profiles"]),
    (GetInferenceProfile, Method::GET, &["inference-profiles", "*"]),
    (ListImportedModels, Method::GET, &["imported-models"]),
    (ListProvisionedModelThroughputs, Method::GET, &["provisioned-model-throughputs"]),
    (ListMarketplaceModelEndpoints, Method::GET, &["marketplace-model", "endpoints"]),
    (ListCustomModelDeployments, Method::GET, &["model-customization", "custom-model-deployments"]),
    (ListPromptRouters, Method::GET, &["prompt-routers"]),
    (Converse, Method::POST, &["model", "*", "converse"]),
    (ConverseStream, Method::POST, &["model", "*", "converse-stream"]),
    (InvokeModel, Method::POST, &["model", "*", "invoke"]),
    (InvokeModelWithResponseStream, Method::POST, &["model", "*", "invoke-with-response-stream"]),
    (CountTokens, Method::POST, &["model", "*", "count-tokens"]),
    (ApplyGuardrail, Method::POST, &["guardrail", "*", "version", "*", "apply"]),
];

impl Operation {
    /// Returns whether the operation belongs to the runtime endpoint and not to the control plane.
    pub fn is_runtime(self) -> bool {
        matches!(
            self,
            Converse
                | ConverseStream
                | InvokeModel
                | InvokeModelWithResponseStream
                | CountTokens
                | ApplyGuardrail
        )
    }

    /// Returns whether the response is an event stream.
    pub fn is_streaming(self) -> bool {
        matches!(self, ConverseStream | InvokeModelWithResponseStream)
    }

    /// Returns the operation of a method and path, and its target: a model, a profile or a
    /// guardrail.
    pub(crate) fn from_path(method: &Method, raw_path: &str) -> Option<(Self, Option<String>)> {
        let segments = decode_segments(raw_path);
        let (operation, _, pattern) = ROUTES
            .iter()
            .find(|(_, verb, pattern)| verb == method && matches_route(pattern, &segments))?;
        let target = pattern.iter().position(|part| *part == "*").map(|at| segments[at].clone());
        Some((*operation, target))
    }
}

// Splits before decoding, because the slashes within an ARN arrive as %2F.
fn decode_segments(raw_path: &str) -> Vec<String> {
    raw_path
        .split('/')
        .skip(1)
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect()
}

fn matches_route(pattern: &[&str], segments: &[String]) -> bool {
    pattern.len() == segments.len()
        && pattern.iter().zip(segments).all(|(part, given)| *part == "*" || part == given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_arn_is_one_segment() {
        let path = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc/converse";
        let (operation, target) = Operation::from_path(&Method::POST, path).unwrap();
        assert_eq!(operation, Converse);
        assert_eq!(
            target.unwrap(),
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
        );
    }

    #[test]
    fn the_method_and_the_whole_path_must_fit() {
        for (method, path, operation) in [
            (Method::GET, "/foundation-models", Some(ListFoundationModels)),
            (Method::POST, "/foundation-models", None),
            (Method::POST, "/model/a%3A0/converse-stream", Some(ConverseStream)),
            (Method::POST, "/model/a/b/converse", None),
            (Method::POST, "/guardrail/g1/version/DRAFT/apply", Some(ApplyGuardrail)),
        ] {
            assert_eq!(
                Operation::from_path(&method, path).map(|(operation, _)| operation),
                operation,
                "{method} {path}"
            );
        }
    }
}
