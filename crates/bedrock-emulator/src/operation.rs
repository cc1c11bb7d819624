//! The operations there are, and which of them a method and a path mean.

use http::Method;
use percent_encoding::percent_decode_str;

/// One of Bedrock's operations.
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

/// Method and path of each operation; `*` takes one segment, the first of which is the call's target.
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
    /// Whether it runs a model, and so belongs to the runtime endpoint and not to the control plane.
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

    /// Whether it answers in frames.
    pub fn streams(self) -> bool {
        matches!(self, ConverseStream | InvokeModelWithResponseStream)
    }

    /// The operation behind a method and a raw path, and what it is about: a model, a profile, a guardrail.
    pub(crate) fn of(method: &Method, raw_path: &str) -> Option<(Self, Option<String>)> {
        let segments = segments(raw_path);
        let (operation, _, pattern) =
            ROUTES.iter().find(|(_, verb, pattern)| verb == method && fits(pattern, &segments))?;
        let target = pattern.iter().position(|part| *part == "*").map(|at| segments[at].clone());
        Some((*operation, target))
    }
}

// Split first and decoded after: an ARN's own slashes arrive as %2F.
fn segments(raw_path: &str) -> Vec<String> {
    raw_path
        .split('/')
        .skip(1)
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect()
}

fn fits(pattern: &[&str], segments: &[String]) -> bool {
    pattern.len() == segments.len()
        && pattern.iter().zip(segments).all(|(part, given)| *part == "*" || part == given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_arn_is_one_segment() {
        let path = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc/converse";
        let (operation, target) = Operation::of(&Method::POST, path).unwrap();
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
                Operation::of(&method, path).map(|(operation, _)| operation),
                operation,
                "{method} {path}"
            );
        }
    }
}
