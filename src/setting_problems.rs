//! Settings that have no effect because their name is misspelt: tables and keys of `valves.toml`,
//! and environment variables.

use crate::{
    nearest_word::suggest,
    regular_file,
    settings::Settings,
    slot::{ConfigSources, Registration},
    valves::ValvesSpec,
};
use std::fmt;
use toml::de::{DeTable, DeValue};

/// A setting that has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    /// The place of the setting: a file with its line, or the environment.
    pub place: String,
    /// The sentence that says what is wrong.
    pub sentence: String,
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.sentence)
    }
}

/// The beginnings of the environment variables that the host reads.
const OWN_PREFIXES: [&str; 2] = ["PIPEWRIGHT_", "PIPELINES_"];
/// Variables that commands read.
const COMMAND_VARIABLES: [&str; 1] = ["PIPEWRIGHT_URL"];
/// Variables that begin like settings of the host, and are read elsewhere.
const OTHER_VARIABLES: [&str; 6] = [
    "PIPEWRIGHT_COMMIT",
    "PIPELINES_URLS",
    "PIPELINES_REQUIREMENTS_PATH",
    "PIPELINES_HOST",
    "PIPELINES_PORT",
    "PIPEWRIGHT_TEST_DATABASE",
];

/// Returns the settings of these sources that have no effect.
pub fn find_problems(sources: &ConfigSources, pipes: &[Registration]) -> Vec<SettingProblem> {
    let specs: Vec<_> = pipes.iter().map(|pipe| (pipe.id, (pipe.spec)())).collect();
    let mut problems = find_in_file(sources, &specs);
    let names = sources.environment.iter().filter(|(_, value)| !value.is_empty());
    problems.extend(names.filter_map(|(name, _)| find_in_variable(name, &specs)));
    problems
}

/// Finds tables that no pipe has, and keys that are no valves. A file that is no TOML is reported
/// by the pipes, which do not start with it.
fn find_in_file(sources: &ConfigSources, specs: &[(&str, ValvesSpec)]) -> Vec<SettingProblem> {
    let Ok(text) = regular_file::read_to_string(&sources.file) else { return Vec::new() };
    let Ok(document) = DeTable::parse(&text) else { return Vec::new() };
    let mut problems = Vec::new();
    for (table, values) in document.get_ref() {
        let name = table.get_ref().as_ref();
        let mut report = |start: usize, sentence: String| {
            let line = text.get(..start).unwrap_or_default().matches('\n').count() + 1;
            let place = format!("{}:{line}", sources.file.display());
            problems.push(SettingProblem { place, sentence });
        };
        let Some((_, spec)) = specs.iter().find(|(id, _)| *id == name) else {
            let nearest = suggest(name, specs.iter().map(|(id, _)| *id));
            report(table.span().start, format!("there is no pipe `{name}`{nearest}"));
            continue;
        };
        let DeValue::Table(values) = values.get_ref() else {
            let sentence = format!("`{name}` is a pipe, and its valves stand below `[{name}]`");
            report(table.span().start, sentence);
            continue;
        };
        for key in values.keys() {
            let valve = key.get_ref().as_ref();
            if spec.property(valve).is_none() {
                let nearest = suggest(valve, spec.properties().map(|one| one.name.as_str()));
                let sentence = format!("`{name}` has no valve `{valve}`{nearest}");
                report(key.span().start, sentence);
            }
        }
    }
    problems
}

fn find_in_variable(name: &str, specs: &[(&str, ValvesSpec)]) -> Option<SettingProblem> {
    let report = |sentence| Some(SettingProblem { place: "environment".into(), sentence });
    let variable =
        |pipe: &str, valve: &str| format!("{pipe}_{valve}").to_uppercase().replace('-', "_");
    let pipe = specs.iter().find(|(id, _)| name.starts_with(&variable(id, "")));
    if let Some((id, spec)) = pipe {
        let known: Vec<_> = spec.properties().map(|one| variable(id, &one.name)).collect();
        let plain = name.strip_suffix("_FILE").unwrap_or(name);
        if known.iter().any(|one| one == name || one == plain) {
            return None;
        }
        let nearest = suggest(plain, known.iter().map(String::as_str));
        return report(format!("{name} sets no valve of the pipe `{id}`{nearest}"));
    }
    if !OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || OTHER_VARIABLES.contains(&name)
    {
        return None;
    }
    let settings = Settings::variables();
    let known: Vec<_> = settings.iter().map(String::as_str).chain(COMMAND_VARIABLES).collect();
    if known.contains(&name) {
        return None;
    }
    let nearest = suggest(name, known);
    report(format!("{name} is no setting of pipewright{nearest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipes::PIPES;
    use std::{collections::BTreeMap, fs};

    #[test]
    fn misspelt_settings_are_found_with_their_line_and_the_nearest_word() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("valves.toml");
        fs::write(&file, "# mine\n[bedrock_models]\nregion = ['eu-west-1']\n\n[bedrok_models]\n")
            .unwrap();
        let variables = [
            ("BEDROCK_MODELS_REGION", "x"),
            ("BEDROCK_MODELS_REGIONS_FILE", "x"),
            ("RAG_TOP_K", "3"),
            ("PIPEWRIGHT_SECRETKEY", "x"),
            ("PIPELINES_API_KEY", "x"),
            ("PIPELINES_URLS", "x"),
            ("HYBRID_ROUTER_NOTHING", ""),
        ];
        let environment: BTreeMap<_, _> =
            variables.map(|(name, value)| (name.into(), value.into())).into();
        let sources = ConfigSources { file, environment, ..ConfigSources::default() };
        let found: Vec<_> =
            find_problems(&sources, PIPES).iter().map(ToString::to_string).collect();
        let place = sources.file.display();
        let expected = [
            format!("{place}:3: `bedrock_models` has no valve `region` (did you mean `regions`?)"),
            format!("{place}:5: there is no pipe `bedrok_models` (did you mean `bedrock_models`?)"),
            "environment: BEDROCK_MODELS_REGION sets no valve of the pipe `bedrock_models` (did you mean `BEDROCK_MODELS_REGIONS`?)".into(),
            "environment: PIPEWRIGHT_SECRETKEY is no setting of pipewright (did you mean `PIPEWRIGHT_SECRET_KEY`?)".into(),
        ];
        assert_eq!(found, expected);
    }
}
