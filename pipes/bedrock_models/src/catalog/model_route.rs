//! Routes to a model beside its own id: inference profiles, and the account's own deployments.

use crate::{family::base_id, valves::BedrockValves};
use aws_sdk_bedrock::types::{
    CustomModelDeploymentSummary, ImportedModelSummary, InferenceProfileSummary,
    InferenceProfileType, MarketplaceModelEndpointSummary, PromptRouterSummary,
    ProvisionedModelSummary,
};
use serde::{Deserialize, Serialize};

/// A list of AWS that has routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteList {
    /// Inference profiles, AWS's own and those of applications.
    Profiles,
    /// Weights that the account has brought along.
    Imported,
    /// Throughput bought for a model.
    Provisioned,
    /// Customised models, deployed on demand.
    Deployed,
    /// Endpoints of Amazon Bedrock Marketplace.
    Marketplace,
    /// Prompt routers.
    Routers,
}

/// A route to a model: the id that clients use, and the id that Bedrock gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRoute {
    /// The id in the model list, by which clients call the model.
    pub id: String,
    /// The model id of requests to Bedrock: the same id, or the ARN that it means.
    pub model_id: String,
    /// The name for people.
    pub name: String,
    /// The id of the model behind it, or a word for what is known of it.
    pub base: String,
    /// `true` if the account has set it up itself, unlike inference profiles: then the model's end
    /// of life is not checked.
    pub is_own: bool,
}

impl RouteList {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::Profiles,
        Self::Imported,
        Self::Provisioned,
        Self::Deployed,
        Self::Marketplace,
        Self::Routers,
    ];

    /// Returns whether these valves want it. Each costs a call.
    pub fn is_wanted(self, valves: &BedrockValves) -> bool {
        match self {
            Self::Profiles => valves.inference_profiles,
            Self::Imported => valves.imported_models,
            Self::Provisioned => valves.provisioned_models,
            Self::Deployed => valves.deployed_models,
            Self::Marketplace => valves.marketplace_models,
            Self::Routers => valves.prompt_routers,
        }
    }

    /// Returns the IAM action that lists it.
    pub fn action(self) -> &'static str {
        match self {
            Self::Profiles => "bedrock:ListInferenceProfiles",
            Self::Imported => "bedrock:ListImportedModels",
            Self::Provisioned => "bedrock:ListProvisionedModelThroughputs",
            Self::Deployed => "bedrock:ListCustomModelDeployments",
            Self::Marketplace => "bedrock:ListMarketplaceModelEndpoints",
            Self::Routers => "bedrock:ListPromptRouters",
        }
    }
}

impl ModelRoute {
    /// Returns the route to an inference profile; `None` if the profile is not active.
    pub fn from_inference_profile(summary: &InferenceProfileSummary) -> Option<Self> {
        if summary.status().as_str() != "ACTIVE" {
            return None;
        }
        let (id, name) = (summary.inference_profile_id(), summary.inference_profile_name());
        let behind = summary.models().iter().find_map(|model| model.model_arn());
        let base = base_id(behind.unwrap_or(id));
        Some(match summary.r#type() {
            InferenceProfileType::Application => Self {
                is_own: false,
                ..Self::for_account_resource(
                    "app",
                    name,
                    summary.inference_profile_arn(),
                    base.into(),
                )
            },
            _ => Self {
                id: id.into(),
                model_id: id.into(),
                name: name.into(),
                base: base.into(),
                is_own: false,
            },
        })
    }

    /// Returns the route to an imported model; `None` if the model accepts raw prompts alone.
    pub fn from_imported_model(summary: &ImportedModelSummary) -> Option<Self> {
        // It is not known what an architecture takes through Converse, so it has no family.
        let architecture = summary.model_architecture().unwrap_or("model");
        let base = format!("imported.{architecture}");
        (summary.instruct_supported() != Some(false)).then(|| {
            Self::for_account_resource("imported", summary.model_name(), summary.model_arn(), base)
        })
    }

    /// Returns the route to a provisioned throughput; `None` if it is not in service.
    pub fn from_provisioned_model(summary: &ProvisionedModelSummary) -> Option<Self> {
        let (name, arn) = (summary.provisioned_model_name(), summary.provisioned_model_arn());
        let base = base_id(summary.foundation_model_arn());
        (summary.status().as_str() == "InService")
            .then(|| Self::for_account_resource("provisioned", name, arn, base.into()))
    }

    /// Returns the route to a deployment of a custom model; `None` if it is not active.
    pub fn from_custom_deployment(summary: &CustomModelDeploymentSummary) -> Option<Self> {
        let (name, arn) =
            (summary.custom_model_deployment_name(), summary.custom_model_deployment_arn());
        (summary.status().as_str() == "Active").then(|| {
            Self::for_account_resource("custom", name, arn, base_id(summary.model_arn()).into())
        })
    }

    /// Returns the route to a Marketplace endpoint; `None` if Bedrock cannot use the endpoint.
    pub fn from_marketplace_endpoint(summary: &MarketplaceModelEndpointSummary) -> Option<Self> {
        let arn = summary.endpoint_arn();
        let (_, name) = arn.rsplit_once('/')?;
        // As in `…:hub-content/SageMakerPublicHub/Model/<name>/<version>`.
        let (_, model) =
            summary.model_source_identifier().split_once("/Model/").unwrap_or_default();
        let base = format!("marketplace.{}", model.split('/').next().unwrap_or_default());
        (summary.status()?.as_str() == "REGISTERED")
            .then(|| Self::for_account_resource("marketplace", name, arn, base))
    }

    /// Returns the route to a prompt router; `None` if the router cannot be called. It accepts what
    /// its fallback model accepts.
    pub fn from_prompt_router(summary: &PromptRouterSummary) -> Option<Self> {
        let models = summary.fallback_model().into_iter().chain(summary.models());
        let base = models.filter_map(|model| model.model_arn()).map(base_id).next()?;
        let (name, arn) = (summary.prompt_router_name(), summary.prompt_router_arn());
        (summary.status().as_str() == "AVAILABLE")
            .then(|| Self::for_account_resource("router", name, arn, base.into()))
    }

    /// Returns the route to a resource of the account, which has a name beside its ARN.
    fn for_account_resource(kind: &str, name: &str, arn: &str, base: String) -> Self {
        let id = format!("{kind}/{}", name.replace(|c: char| !is_url_safe(c), "-"));
        Self { id, model_id: arn.into(), name: name.into(), base, is_own: true }
    }
}

/// Returns whether a path and a list of ids can contain a character unescaped.
fn is_url_safe(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}
