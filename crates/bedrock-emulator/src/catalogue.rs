//! The models, inference profiles and deployments that an account can see, as data.

use crate::deployment::{ACCOUNT, Deployment};
use crate::exception::BedrockException;
use serde::Deserialize;
use std::sync::LazyLock;

/// The models, inference profiles and deployments that the control plane lists and the runtime
/// calls.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The foundation models.
    pub models: Vec<FoundationModel>,
    /// The inference profiles.
    pub profiles: Vec<InferenceProfile>,
    /// The account's own models, endpoints and routers.
    #[serde(default)]
    pub deployments: Vec<Deployment>,
}

/// A foundation model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundationModel {
    /// The base id, such as `amazon.nova-lite-v1:0`.
    pub id: String,
    /// The display name.
    pub name: String,
    /// The provider.
    pub provider: String,
    /// The regions that list it.
    pub regions: Vec<String>,
    /// The input modalities: `TEXT`, `IMAGE`, `SPEECH`, `VIDEO`.
    #[serde(default = "text")]
    pub input: Vec<String>,
    /// The output modalities: `TEXT`, `IMAGE`, `EMBEDDING`.
    #[serde(default = "text")]
    pub output: Vec<String>,
    /// The inference types: `ON_DEMAND`, `PROVISIONED`, `INFERENCE_PROFILE`.
    pub inference: Vec<String>,
    /// The supported customizations: `FINE_TUNING`, `CONTINUED_PRE_TRAINING`, `DISTILLATION`.
    #[serde(default)]
    pub customizations: Vec<String>,
    /// True if the model supports streaming.
    #[serde(default = "default_true")]
    pub streaming: bool,
    /// True if the model's lifecycle status is `LEGACY`.
    #[serde(default)]
    pub legacy: bool,
    /// The capabilities, a letter each; see [`FoundationModel::has_capability`].
    #[serde(default)]
    pub can: String,
}

/// An inference profile, which routes requests across regions or tracks the cost of an application.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InferenceProfile {
    /// The id, such as `us.amazon.nova-lite-v1:0`; random letters for an application inference
    /// profile.
    pub id: String,
    /// The display name.
    pub name: String,
    /// True for an application inference profile. Such a profile is called only by its ARN.
    #[serde(default)]
    pub application: bool,
    /// The regions that list it.
    pub regions: Vec<String>,
    /// The base id of its model.
    pub model: String,
    /// The regions to which it routes requests.
    pub to: Vec<String>,
}

/// Returns the modalities of a model of text alone, the default.
fn text() -> Vec<String> {
    vec!["TEXT".to_owned()]
}

/// Returns the default of fields that are true unless a model sets them.
fn default_true() -> bool {
    true
}

/// The models that the emulator has by default.
static BUILT_IN: LazyLock<Catalogue> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is compiled in, and a test reads it")]
    Catalogue::from_json(include_str!("../catalogue.json")).expect("catalogue.json is a catalogue")
});

/// All chat models of Bedrock.
static ALL_CHAT_MODELS: LazyLock<Catalogue> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is compiled in, and a test reads it")]
    Catalogue::from_json(include_str!("../every.json")).expect("every.json is a catalogue")
});

impl Default for Catalogue {
    /// Returns some thirty models in `us-east-1` and `us-west-2`, and their profiles.
    fn default() -> Self {
        BUILT_IN.clone()
    }
}

impl Catalogue {
    /// Parses a catalogue in the format of the crate's own `catalogue.json`.
    pub fn from_json(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// Returns all chat models, each on demand wherever possible and with a `us.` profile.
    ///
    /// The capabilities follow `docs/reference/bedrock.md`, "Model families". A capability that is
    /// not documented there is absent, except for images with Pixtral.
    pub fn all_chat_models() -> Self {
        ALL_CHAT_MODELS.clone()
    }

    /// Returns whether a region lists any model.
    pub(crate) fn has_region(&self, region: &str) -> bool {
        self.models.iter().any(|model| model.regions.iter().any(|listed| listed == region))
    }

    /// Returns the model with this base id, in any region.
    pub fn model(&self, id: &str) -> Option<&FoundationModel> {
        self.models.iter().find(|model| model.id == id)
    }

    /// Resolves the base id, profile id or ARN of a request to its model.
    pub fn resolve_model(
        &self,
        region: &str,
        name: &str,
    ) -> Result<&FoundationModel, BedrockException> {
        if let Some(profile) =
            self.find_profile(region, name).filter(|profile| profile.is_callable_as(name))
        {
            return self.model(&profile.model).ok_or_else(unknown_model);
        }
        if let Some(own) =
            self.deployments.iter().find(|own| own.region == region && own.arn() == name)
        {
            return self.resolve_deployment(own);
        }
        let model = self.find_listed_model(region, name).ok_or_else(unknown_model)?;
        if model.on_demand() { Ok(model) } else { Err(on_demand_unsupported(name)) }
    }

    /// Resolves a deployment to its model, if the deployment is ready.
    fn resolve_deployment(&self, own: &Deployment) -> Result<&FoundationModel, BedrockException> {
        if !own.ready {
            return Err(BedrockException::from_name(
                "ModelNotReadyException",
                "The model is not ready to serve requests.",
            ));
        }
        if !own.instruct {
            return Err(BedrockException::validation(
                "This model doesn't support the Converse API.",
            ));
        }
        self.model(own.first()).ok_or_else(unknown_model)
    }

    /// Finds the model that a region lists under this base id or ARN.
    pub(crate) fn find_listed_model(&self, region: &str, name: &str) -> Option<&FoundationModel> {
        let id = resource_id(region, name, "")?;
        self.model(id).filter(|model| model.regions.iter().any(|listed| listed == region))
    }

    /// Finds the profile that a region lists under this id or ARN.
    pub(crate) fn find_profile(&self, region: &str, name: &str) -> Option<&InferenceProfile> {
        let id = resource_id(region, name, ACCOUNT)?;
        self.profiles.iter().find(|profile| {
            profile.id == id && profile.regions.iter().any(|listed| listed == region)
        })
    }
}

/// Returns the resource id of an ARN in this region and account, or a name that is not an ARN as it
/// is.
fn resource_id<'a>(region: &str, name: &'a str, state: &str) -> Option<&'a str> {
    let Some(arn) = name.strip_prefix("arn:aws:bedrock:") else { return Some(name) };
    let resource =
        arn.strip_prefix(region)?.strip_prefix(':')?.strip_prefix(state)?.strip_prefix(':')?;
    let (_kind, id) = resource.split_once('/')?;
    Some(id)
}

/// Returns Bedrock's error for an unknown model name.
pub(crate) fn unknown_model() -> BedrockException {
    BedrockException::validation("The provided model identifier is invalid.")
}

/// Returns the exception of a model that is called without an inference profile.
fn on_demand_unsupported(name: &str) -> BedrockException {
    BedrockException::validation(format!(
        "Invocation of model ID {name} with on-demand throughput isn’t supported. Retry your request with the ID or \
         ARN of an inference profile that contains this model."
    ))
}

impl FoundationModel {
    /// Returns whether the model has the capability of this letter.
    ///
    /// `T` tools, `C` `toolChoice`, `Y` system prompt, `V` images, `P` documents, `K` `cachePoint`,
    /// `R` reasoning, `A` prefill of the answer, `J` JSON schema of the answer.
    pub fn has_capability(&self, letter: char) -> bool {
        self.can.contains(letter)
    }

    /// Returns whether the model can be called by its base id.
    pub fn on_demand(&self) -> bool {
        self.inference.iter().any(|kind| kind == "ON_DEMAND")
    }

    /// Returns whether the model accepts an input modality such as `VIDEO`.
    pub(crate) fn accepts_input(&self, modality: &str) -> bool {
        self.input.iter().any(|kind| kind == modality)
    }

    /// Returns the ARN of the model in a region.
    pub(crate) fn arn(&self, region: &str) -> String {
        format!("arn:aws:bedrock:{region}::foundation-model/{}", self.id)
    }
}

impl InferenceProfile {
    /// Returns the ARN in this region.
    pub fn arn(&self, region: &str) -> String {
        let kind =
            if self.application { "application-inference-profile" } else { "inference-profile" };
        format!("arn:aws:bedrock:{region}:{ACCOUNT}:{kind}/{}", self.id)
    }

    fn is_callable_as(&self, name: &str) -> bool {
        !self.application || name.starts_with("arn:")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn called(region: &str, name: &str) -> Result<String, String> {
        let catalogue = Catalogue::default();
        catalogue
            .resolve_model(region, name)
            .map(|model| model.id.clone())
            .map_err(|fault| fault.message().to_owned())
    }

    #[test]
    fn a_model_is_reached_by_base_id_profile_or_arn() {
        let haiku = "anthropic.claude-3-haiku-20240307-v1:0";
        let sonnet = "anthropic.claude-sonnet-4-5-20250929-v1:0";
        for (name, id) in [
            (haiku.to_owned(), haiku),
            (format!("arn:aws:bedrock:us-east-1::foundation-model/{haiku}"), haiku),
            (format!("us.{sonnet}"), sonnet),
            (format!("arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.{sonnet}"), sonnet),
        ] {
            assert_eq!(called("us-east-1", &name).as_deref(), Ok(id), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_called_says_so() {
        let profile_only =
            called("us-east-1", "anthropic.claude-sonnet-4-5-20250929-v1:0").unwrap_err();
        assert!(profile_only.contains("on-demand throughput isn’t supported"), "{profile_only}");
        for name in
            ["amazon.nothing", "arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0"]
        {
            assert_eq!(
                called("us-east-1", name).unwrap_err(),
                "The provided model identifier is invalid.",
                "{name}"
            );
        }
    }

    #[test]
    fn every_chat_model_is_there_once_and_behind_each_profile_stands_one() {
        let catalogue = Catalogue::all_chat_models();
        let mut ids = HashSet::new();
        for id in catalogue.models.iter().map(|model| &model.id) {
            assert!(ids.insert(id), "{id}");
            assert!(catalogue.find_profile("us-west-2", &format!("us.{id}")).is_some(), "{id}");
        }
        for profile in &catalogue.profiles {
            assert!(ids.contains(&profile.model), "{}", profile.id);
            assert!(!ids.contains(&profile.id), "{}", profile.id);
        }
        assert!(ids.len() > 120, "{}", ids.len());
    }

    #[test]
    fn of_every_chat_model_one_alone_is_reached_by_its_profiles_only() {
        let catalogue = Catalogue::all_chat_models();
        let not_on_demand: Vec<_> = catalogue
            .models
            .iter()
            .filter(|model| !model.on_demand())
            .map(|model| &model.id)
            .collect();
        assert_eq!(not_on_demand, ["deepseek.r1-v1:0"]);
    }

    #[test]
    fn what_a_model_can_do_is_written_in_known_letters() {
        for model in Catalogue::all_chat_models().models.iter().chain(&Catalogue::default().models)
        {
            assert!(model.can.chars().all(|letter| "TCYVPKRAJ".contains(letter)), "{}", model.id);
            assert_eq!(
                model.has_capability('V'),
                model.input.iter().any(|kind| kind == "IMAGE") && !model.can.is_empty(),
                "{}",
                model.id
            );
        }
    }

    #[test]
    fn an_application_profile_is_called_by_its_arn_alone() {
        let catalogue = Catalogue::default();
        let profile = catalogue.profiles.iter().find(|profile| profile.application).unwrap();
        let region = &profile.regions[0];
        assert!(called(region, &profile.id).is_err());
        assert_eq!(called(region, &profile.arn(region)), Ok(profile.model.clone()));
    }

    #[test]
    fn a_deployment_is_called_by_its_arn_in_its_region_when_it_is_ready() {
        let catalogue = Catalogue::default();
        for own in &catalogue.deployments {
            let reached = called(&own.region, &own.arn());
            assert_eq!(reached.is_ok(), own.ready && own.instruct, "{}: {reached:?}", own.name);
            assert!(
                called("eu-west-1", &own.arn()).is_err() && called(&own.region, &own.id).is_err()
            );
        }
    }

    #[test]
    fn every_profile_has_its_model_and_one_stands_for_a_model_its_region_does_not_list() {
        let catalogue = Catalogue::default();
        for profile in &catalogue.profiles {
            assert!(catalogue.model(&profile.model).is_some(), "{}", profile.id);
        }
        for own in &catalogue.deployments {
            assert!(
                own.models.iter().all(|model| catalogue.model(model).is_some()),
                "{}",
                own.name
            );
        }
        assert!(catalogue.profiles.iter().any(|profile| {
            catalogue.find_listed_model(&profile.regions[0], &profile.model).is_none()
        }));
    }
}
