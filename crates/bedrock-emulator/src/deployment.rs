//! An account's own models, endpoints and routers.

use serde::Deserialize;
use serde_json::{Value, json};

/// The account id in all ARNs.
pub const ACCOUNT: &str = "123456789012";

/// A model, endpoint or router of the account, which is called only by its ARN.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// The kind of deployment.
    pub kind: DeploymentKind,
    /// The resource id, the last part of the ARN.
    pub id: String,
    /// The name that the owner chose.
    pub name: String,
    /// The region of the deployment.
    pub region: String,
    /// The base ids of its models. The first one answers.
    pub models: Vec<String>,
    /// True once the deployment can be called.
    #[serde(default = "default_true")]
    pub ready: bool,
    /// True if the model supports the Converse API.
    #[serde(default = "default_true")]
    pub instruct: bool,
}

/// The kind of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentKind {
    /// An imported model (Custom `FoundationModel` Import).
    Imported,
    /// Provisioned Throughput of a model.
    Provisioned,
    /// A custom model that is deployed on demand.
    Custom,
    /// An endpoint of Amazon Bedrock Marketplace.
    Marketplace,
    /// A default prompt router of AWS.
    DefaultRouter,
    /// A prompt router of the account.
    Router,
}

/// Returns the default of fields that are true unless a deployment sets them.
fn default_true() -> bool {
    true
}

/// The time at which every deployment was created.
const CREATED: &str = "2025-01-01T00:00:00Z";
/// The time at which every deployment was changed.
const UPDATED: &str = "2025-06-01T00:00:00.123456Z";

impl Deployment {
    /// Returns the ARN.
    pub fn arn(&self) -> String {
        let (service, resource) = match self.kind {
            DeploymentKind::Imported => ("bedrock", "imported-model"),
            DeploymentKind::Provisioned => ("bedrock", "provisioned-model"),
            DeploymentKind::Custom => ("bedrock", "custom-model-deployment"),
            DeploymentKind::Marketplace => ("sagemaker", "endpoint"),
            DeploymentKind::DefaultRouter => ("bedrock", "default-prompt-router"),
            DeploymentKind::Router => ("bedrock", "prompt-router"),
        };
        format!("arn:aws:{service}:{}:{ACCOUNT}:{resource}/{}", self.region, self.id)
    }

    /// Returns whether the list of this kind contains the deployment. One list has both kinds of
    /// routers.
    pub(crate) fn is_listed_as(&self, kind: DeploymentKind) -> bool {
        self.kind == kind
            || (self.kind, kind) == (DeploymentKind::DefaultRouter, DeploymentKind::Router)
    }

    /// Returns the summary in its list.
    pub(crate) fn summary(&self) -> Value {
        match self.kind {
            DeploymentKind::Imported => self.imported(),
            DeploymentKind::Provisioned => self.provisioned(),
            DeploymentKind::Custom => self.custom(),
            DeploymentKind::Marketplace => self.endpoint(),
            DeploymentKind::DefaultRouter | DeploymentKind::Router => self.router(),
        }
    }

    /// Returns the summary of an imported model.
    fn imported(&self) -> Value {
        let architecture = self.first().split(['.', '-']).nth(1);
        json!({
            "modelArn": self.arn(),
            "modelName": self.name,
            "creationTime": CREATED,
            "instructSupported": self.instruct,
            "modelArchitecture": architecture,
        })
    }

    /// Returns the summary of a provisioned model throughput.
    fn provisioned(&self) -> Value {
        let model = self.foundation(self.first());
        json!({
            "provisionedModelName": self.name,
            "provisionedModelArn": self.arn(),
            "modelArn": model,
            "desiredModelArn": model,
            "foundationModelArn": model,
            "modelUnits": 1,
            "desiredModelUnits": 1,
            "status": if self.ready { "InService" } else { "Creating" },
            "creationTime": CREATED,
            "lastModifiedTime": UPDATED,
        })
    }

    /// Returns the summary of a deployment of a custom model.
    fn custom(&self) -> Value {
        let Self { region, id, .. } = self;
        let model =
            format!("arn:aws:bedrock:{region}:{ACCOUNT}:custom-model/{}/{id}", self.first());
        json!({
            "customModelDeploymentArn": self.arn(),
            "customModelDeploymentName": self.name,
            "modelArn": model,
            "createdAt": CREATED,
            "status": if self.ready { "Active" } else { "Creating" },
            "lastUpdatedAt": UPDATED,
        })
    }

    /// Returns the summary of a Marketplace endpoint.
    fn endpoint(&self) -> Value {
        let hub = format!("arn:aws:sagemaker:{}:aws:hub-content/SageMakerPublicHub", self.region);
        let model = self.first().replace('.', "-");
        json!({
            "endpointArn": self.arn(),
            "modelSourceIdentifier": format!("{hub}/Model/{model}/1.0.0"),
            "status": if self.ready { "REGISTERED" } else { "INCOMPATIBLE_ENDPOINT" },
            "statusMessage": "",
            "createdAt": CREATED,
            "updatedAt": UPDATED,
        })
    }

    /// Returns the summary of a prompt router.
    fn router(&self) -> Value {
        let target = |model: &String| json!({ "modelArn": self.foundation(model) });
        json!({
            "promptRouterName": self.name,
            "routingCriteria": { "responseQualityDifference": 0.25 },
            "description": format!("Routes requests among {}.", self.models.join(", ")),
            "createdAt": CREATED,
            "updatedAt": UPDATED,
            "promptRouterArn": self.arn(),
            "models": self.models.iter().map(target).collect::<Vec<_>>(),
            "fallbackModel": self.models.first().map(target),
            "status": "AVAILABLE",
            "type": if self.kind == DeploymentKind::Router { "custom" } else { "default" },
        })
    }

    /// Returns the base id of the model that answers.
    pub(crate) fn first(&self) -> &str {
        self.models.first().map_or("", String::as_str)
    }

    /// Returns the ARN of a foundation model in the region of the deployment.
    fn foundation(&self, model: &str) -> String {
        format!("arn:aws:bedrock:{}::foundation-model/{model}", self.region)
    }
}
