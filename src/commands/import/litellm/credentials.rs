//! The credentials of LiteLLM's deployments on Bedrock, of which one set is taken.

use super::{BEDROCK, Imported, Reader};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The parameters of Bedrock's models, and their valves.
const PARAMETERS: [(&str, &str); 7] = [
    ("aws_access_key_id", "aws_access_key_id"),
    ("aws_secret_access_key", "aws_secret_access_key"),
    ("aws_session_token", "aws_session_token"),
    ("aws_profile_name", "aws_profile"),
    ("aws_role_name", "aws_role_arn"),
    ("aws_session_name", "aws_role_session_name"),
    ("api_key", "bedrock_api_key"),
];

/// The credentials of each deployment on Bedrock, by the names of the valves.
#[derive(Default)]
pub struct DeploymentCredentials(Vec<Deployment>);

struct Deployment {
    /// The model's name for clients and for AWS.
    title: String,
    credentials: BTreeMap<&'static str, String>,
    has_region: bool,
}

/// Returns whether this parameter is a part of the credentials.
pub fn is_credential(parameter: &str) -> bool {
    PARAMETERS.iter().any(|(there, _)| *there == parameter)
}

impl DeploymentCredentials {
    /// Adds the credentials of a deployment.
    pub fn add<F: Fn(&str) -> Option<String>>(
        &mut self,
        title: String,
        parameters: &Value,
        reader: &Reader<F>,
        has_region: bool,
    ) {
        let read = |(there, valve): (&str, &'static str)| {
            let value = reader.text(&parameters[there]).filter(|value| !value.is_empty())?;
            Some((valve, value))
        };
        let credentials = PARAMETERS.into_iter().filter_map(read).collect();
        self.0.push(Deployment { title, credentials, has_region });
    }

    /// Sets the valves to the credentials of the first deployment that has any, and notes the
    /// deployments that have others.
    pub fn write(self, imported: &mut Imported) {
        self.note_default_regions(imported);
        let Some(taken) = self.0.iter().find(|one| !one.credentials.is_empty()) else { return };
        for (valve, value) in &taken.credentials {
            imported.set(BEDROCK, valve, value.clone());
        }
        let mut seen = BTreeSet::new();
        for deployment in &self.0 {
            let is_same = deployment.credentials == taken.credentials;
            if is_same || !seen.insert((&deployment.title, &deployment.credentials)) {
                continue;
            }
            let lost = if deployment.credentials.is_empty() {
                "AWS's default credentials are not used".to_owned()
            } else {
                let names: Vec<_> = PARAMETERS
                    .iter()
                    .filter(|(_, valve)| deployment.credentials.contains_key(valve))
                    .map(|(there, _)| *there)
                    .collect();
                format!("its own {} are not imported", names.join(", "))
            };
            imported.note(format!(
                "{}: {lost}; there is one account here, and it is called with the credentials of {}",
                deployment.title, taken.title
            ));
        }
    }

    /// Notes the deployments without a region, if others have set the valve.
    fn note_default_regions(&self, imported: &mut Imported) {
        if !self.0.iter().any(|one| one.has_region) {
            return;
        }
        let titles: BTreeSet<_> =
            self.0.iter().filter(|one| !one.has_region).map(|one| &one.title).collect();
        for title in titles {
            imported.note(format!(
                "{title}: names no region, and is asked for in those of other models; add the \
                 region of AWS_REGION to bedrock_models.regions if it is another"
            ));
        }
    }
}
