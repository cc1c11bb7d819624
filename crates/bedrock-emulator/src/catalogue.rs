//! The models, inference profiles and deployments an account can see, as data.

use crate::deployment::Deployment;
use crate::fault::Fault;
use serde::Deserialize;
use std::sync::LazyLock;

/// The account all ARNs name.
pub const ACCOUNT: &str = "123456789012";

/// What the control plane's lists tell, and what can be called.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The foundation models.
    pub models: Vec<Model>,
    /// The inference profiles.
    pub profiles: Vec<Profile>,
    /// What the account has of its own.
    #[serde(default)]
    pub deployments: Vec<Deployment>,
}

/// One foundation model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The base id, such as `amazon.nova-lite-v1:0`.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// Who made it.
    pub provider: String,
    /// The regions that list it.
    pub regions: Vec<String>,
    /// What it reads: `TEXT`, `IMAGE`, `SPEECH`, `VIDEO`.
    #[serde(default = "text")]
    pub input: Vec<String>,
    /// What it makes: `TEXT`, `IMAGE`, `EMBEDDING`.
    #[serde(default = "text")]
    pub output: Vec<String>,
    /// How it can be called: `ON_DEMAND`, `PROVISIONED`, `INFERENCE_PROFILE`.
    pub inference: Vec<String>,
    /// How it can be customised: `FINE_TUNING`, `CONTINUED_PRE_TRAINING`, `DISTILLATION`.
    #[serde(default)]
    pub customizations: Vec<String>,
    /// Whether it streams.
    #[serde(default = "yes")]
    pub streaming: bool,
    /// Whether it is on its way out.
    #[serde(default)]
    pub legacy: bool,
    /// What it can do, a letter each; see [`Model::can`].
    #[serde(default)]
    pub can: String,
}

/// One inference profile: another way to call models, across regions or for one's own accounting.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The id, such as `us.amazon.nova-lite-v1:0`; random letters for an application's own.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// Whether an application made it. Such a profile is called by its ARN alone.
    #[serde(default)]
    pub application: bool,
    /// The regions that list it.
    pub regions: Vec<String>,
    /// The base id of the model behind it.
    pub model: String,
    /// The regions it may send a call to.
    pub to: Vec<String>,
}

fn text() -> Vec<String> {
    vec!["TEXT".to_owned()]
}

fn yes() -> bool {
    true
}

static BUILT_IN: LazyLock<Catalogue> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is compiled in, and a test reads it")]
    Catalogue::from_json(include_str!("../catalogue.json")).expect("catalogue.json is a catalogue")
});

static EVERY: LazyLock<Catalogue> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is compiled in, and a test reads it")]
    Catalogue::from_json(include_str!("../every.json")).expect("every.json is a catalogue")
});

impl Default for Catalogue {
    /// Some thirty models over `us-east-1` and `us-west-2`, and their profiles.
    fn default() -> Self {
        BUILT_IN.clone()
    }
}

impl Catalogue {
    /// Reads a catalogue written as the crate's own `catalogue.json` is.
    pub fn from_json(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// Every chat model there is, each on demand wherever it can be, and a `us.` profile for each.
    ///
    /// What a model can do is what `docs/reference/bedrock.md`, "Model families" say. Where both are silent it cannot, but that
    /// Pixtral sees.
    pub fn every() -> Self {
        EVERY.clone()
    }

    /// The model of this base id, in whatever region.
    pub fn model(&self, id: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.id == id)
    }

    /// The model a call reaches, by base id, profile id or ARN.
    pub fn called(&self, region: &str, name: &str) -> Result<&Model, Fault> {
        if let Some(profile) = self.profile(region, name).filter(|profile| profile.answers_to(name))
        {
            return self.model(&profile.model).ok_or_else(no_such_model);
        }
        if let Some(own) =
            self.deployments.iter().find(|own| own.region == region && own.arn() == name)
        {
            return self.deployed(own);
        }
        let model = self.listed(region, name).ok_or_else(no_such_model)?;
        if model.on_demand() { Ok(model) } else { Err(on_demand_unsupported(name)) }
    }

    /// The model behind a deployment, if it answers.
    fn deployed(&self, own: &Deployment) -> Result<&Model, Fault> {
        if !own.ready {
            return Err(Fault::of(
                "ModelNotReadyException",
                "The model is not ready to serve requests.",
            ));
        }
        if !own.instruct {
            return Err(Fault::validation("This model doesn't support the Converse API."));
        }
        self.model(own.first()).ok_or_else(no_such_model)
    }

    /// The model a region lists under this base id or ARN.
    pub(crate) fn listed(&self, region: &str, name: &str) -> Option<&Model> {
        let id = local(region, name, "")?;
        self.model(id).filter(|model| model.regions.iter().any(|listed| listed == region))
    }

    /// The profile a region lists under this id or ARN.
    pub(crate) fn profile(&self, region: &str, name: &str) -> Option<&Profile> {
        let id = local(region, name, ACCOUNT)?;
        self.profiles.iter().find(|profile| {
            profile.id == id && profile.regions.iter().any(|listed| listed == region)
        })
    }
}

/// The last part of an ARN of this region and account; a name that is no ARN is its own last part.
fn local<'a>(region: &str, name: &'a str, account: &str) -> Option<&'a str> {
    let Some(arn) = name.strip_prefix("arn:aws:bedrock:") else { return Some(name) };
    let resource =
        arn.strip_prefix(region)?.strip_prefix(':')?.strip_prefix(account)?.strip_prefix(':')?;
    let (_kind, id) = resource.split_once('/')?;
    Some(id)
}

/// What Bedrock says of a name it does not know.
pub(crate) fn no_such_model() -> Fault {
    Fault::validation("The provided model identifier is invalid.")
}

fn on_demand_unsupported(name: &str) -> Fault {
    Fault::validation(format!(
        "Invocation of model ID {name} with on-demand throughput isn’t supported. Retry your request with the ID or \
         ARN of an inference profile that contains this model."
    ))
}

impl Model {
    /// Whether it can do what a letter stands for.
    ///
    /// `T` tools, `C` `toolChoice`, `Y` system prompt, `V` images, `P` documents, `K` `cachePoint`, `R` reasoning,
    /// `A` prefill of the answer, `J` JSON schema of the answer.
    pub fn can(&self, letter: char) -> bool {
        self.can.contains(letter)
    }

    /// Whether it can be called by its base id.
    pub fn on_demand(&self) -> bool {
        self.inference.iter().any(|kind| kind == "ON_DEMAND")
    }

    /// Whether it reads a modality such as `VIDEO`.
    pub(crate) fn reads(&self, modality: &str) -> bool {
        self.input.iter().any(|kind| kind == modality)
    }

    pub(crate) fn arn(&self, region: &str) -> String {
        format!("arn:aws:bedrock:{region}::foundation-model/{}", self.id)
    }
}

impl Profile {
    /// The ARN by which this region knows it.
    pub fn arn(&self, region: &str) -> String {
        let kind =
            if self.application { "application-inference-profile" } else { "inference-profile" };
        format!("arn:aws:bedrock:{region}:{ACCOUNT}:{kind}/{}", self.id)
    }

    fn answers_to(&self, name: &str) -> bool {
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
            .called(region, name)
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
        let catalogue = Catalogue::every();
        let mut ids = HashSet::new();
        for id in catalogue.models.iter().map(|model| &model.id) {
            assert!(ids.insert(id), "{id}");
            assert!(catalogue.profile("us-west-2", &format!("us.{id}")).is_some(), "{id}");
        }
        for profile in &catalogue.profiles {
            assert!(ids.contains(&profile.model), "{}", profile.id);
            assert!(!ids.contains(&profile.id), "{}", profile.id);
        }
        assert!(ids.len() > 120, "{}", ids.len());
    }

    #[test]
    fn of_every_chat_model_one_alone_is_reached_by_its_profiles_only() {
        let catalogue = Catalogue::every();
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
        for model in Catalogue::every().models.iter().chain(&Catalogue::default().models) {
            assert!(model.can.chars().all(|letter| "TCYVPKRAJ".contains(letter)), "{}", model.id);
            assert_eq!(
                model.can('V'),
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
        assert!(
            catalogue
                .profiles
                .iter()
                .any(|profile| catalogue.listed(&profile.regions[0], &profile.model).is_none())
        );
    }
}
