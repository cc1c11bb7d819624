//! What an account has of its own beside profiles: imported models, provisioned throughput, deployments, endpoints, routers.

use crate::catalogue::ACCOUNT;
use serde::Deserialize;
use serde_json::{Value, json};

/// One model that an account has for itself. It is called by its ARN alone.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// What it is.
    pub kind: Kind,
    /// The last part of its ARN.
    pub id: String,
    /// The name its owner gave it.
    pub name: String,
    /// The one region that has it.
    pub region: String,
    /// The base ids of the models behind it. The first one answers.
    pub models: Vec<String>,
    /// Whether it is there already and can be called.
    #[serde(default = "yes")]
    pub ready: bool,
    /// Whether it takes conversations, and not only its own raw prompts.
    #[serde(default = "yes")]
    pub instruct: bool,
}

/// What a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Weights that the account has brought along.
    Imported,
    /// Throughput bought for a model.
    Provisioned,
    /// A customised model, deployed on demand.
    Custom,
    /// An endpoint of Amazon Bedrock Marketplace.
    Marketplace,
    /// A router between models that AWS has set up.
    DefaultRouter,
    /// A router between models that the account has set up.
    Router,
}

fn yes() -> bool {
    true
}

const CREATED: &str = "2025-01-01T00:00:00Z";
const UPDATED: &str = "2025-06-01T00:00:00.123456Z";

impl Deployment {
    /// What it is called by.
    pub fn arn(&self) -> String {
        let (service, resource) = match self.kind {
            Kind::Imported => ("bedrock", "imported-model"),
            Kind::Provisioned => ("bedrock", "provisioned-model"),
            Kind::Custom => ("bedrock", "custom-model-deployment"),
            Kind::Marketplace => ("sagemaker", "endpoint"),
            Kind::DefaultRouter => ("bedrock", "default-prompt-router"),
            Kind::Router => ("bedrock", "prompt-router"),
        };
        format!("arn:aws:{service}:{}:{ACCOUNT}:{resource}/{}", self.region, self.id)
    }

    /// Whether a list of this kind has it: both kinds of routers are in one.
    pub(crate) fn is_listed_as(&self, kind: Kind) -> bool {
        self.kind == kind || (self.kind, kind) == (Kind::DefaultRouter, Kind::Router)
    }

    /// What its list tells of it.
    pub(crate) fn summary(&self) -> Value {
        match self.kind {
            Kind::Imported => self.imported(),
            Kind::Provisioned => self.provisioned(),
            Kind::Custom => self.custom(),
            Kind::Marketplace => self.endpoint(),
            Kind::DefaultRouter | Kind::Router => self.router(),
        }
    }

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
            "type": if self.kind == Kind::Router { "custom" } else { "default" },
        })
    }

    /// The base id of the model that answers.
    pub(crate) fn first(&self) -> &str {
        self.models.first().map_or("", String::as_str)
    }

    fn foundation(&self, model: &str) -> String {
        format!("arn:aws:bedrock:{}::foundation-model/{model}", self.region)
    }
}
