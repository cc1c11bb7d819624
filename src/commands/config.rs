//! `pipewright config`: the settings of the server with their values and sources.

use super::print;
use crate::dotenv::LoadedVariables;
use pipewright::cli::{SettingSource, ShownSetting};
use std::fmt::Write;

/// Prints every setting as a variable, which can be copied into `.env`. Secrets are masked;
/// `loaded` are the variables of that file.
pub fn print_config(settings: &[ShownSetting], loaded: &LoadedVariables) -> anyhow::Result<()> {
    let mut text = String::new();
    for setting in settings {
        let ShownSetting { flag, variable, value, source } = setting;
        let name = if variable.is_empty() { format!("--{flag}") } else { variable.clone() };
        let source = match source {
            SettingSource::Flag => format!("--{flag}"),
            SettingSource::Variable if loaded.contains(variable) => ".env".to_owned(),
            SettingSource::Variable => "environment".to_owned(),
            SettingSource::Default if value.is_none() => "not set".to_owned(),
            SettingSource::Default => "default".to_owned(),
        };
        let line = format!("{name}={}", value.as_deref().unwrap_or_default());
        writeln!(text, "{line:<52} # {source}")?;
    }
    print(&text)
}
