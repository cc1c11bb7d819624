//! Parsing: empty variables count as unset, and an error that a variable causes names it.

use super::Cli;
use clap::{
    Arg, ArgMatches, Command, CommandFactory, Error, FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};
use std::ffi::OsString;

/// A parsed command line, with the source of each setting.
pub struct ParsedCli {
    /// The command and the settings.
    pub cli: Cli,
    /// The settings as they are shown.
    pub settings: Vec<ShownSetting>,
}

/// The place where a setting is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingSource {
    /// A flag of the command line.
    Flag,
    /// An environment variable.
    Variable,
    /// Nowhere.
    Default,
}

impl ParsedCli {
    /// Returns whether this setting is set by its flag.
    pub fn is_flag(&self, flag: &str) -> bool {
        let mut settings = self.settings.iter();
        settings.any(|setting| setting.flag == flag && setting.source == SettingSource::Flag)
    }
}

/// One setting as `pipewright config` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownSetting {
    /// The flag, without its dashes.
    pub flag: String,
    /// The environment variable.
    pub variable: String,
    /// The value; a secret is masked.
    pub value: Option<String>,
    /// The place where it is set.
    pub source: SettingSource,
}

/// The text that is shown in place of a secret.
const MASK: &str = "********";

/// Parses these arguments, of which the first is the name of the program, and the environment.
///
/// # Errors
/// The arguments or variables that are invalid, or the help text that was asked for.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<ParsedCli, Error> {
    let mut command = without_empty_variables(Cli::command());
    let matches = command
        .try_get_matches_from_mut(arguments)
        .map_err(|error| with_variable(error, command.clone()))?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    check_url(&cli, &matches).map_err(|text| command.error(ErrorKind::ArgumentConflict, text))?;
    let settings = list_settings(&command, &matches);
    Ok(ParsedCli { cli, settings })
}

/// Refuses a URL of a running server where none is asked. A variable may be set for other commands.
fn check_url(cli: &Cli, matches: &ArgMatches) -> Result<(), &'static str> {
    let is_flag = matches.value_source("url") == Some(ValueSource::CommandLine);
    match &cli.command {
        None if cli.url.is_some() => {
            Err("`--url` (PIPEWRIGHT_URL) names a running server for a command such as `chat`; \
             without a command it means nothing")
        }
        Some(command) if is_flag && !command.asks_server() => {
            Err("`--url` names a running server, and this command asks none: remove it")
        }
        _ => Ok(()),
    }
}

/// Makes arguments forget the variables that are set to nothing.
fn without_empty_variables(command: Command) -> Command {
    let is_empty =
        |arg: &Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| if is_empty(&arg) { arg.env(None::<&'static str>) } else { arg })
        .mut_subcommands(without_empty_variables)
}

/// Adds the name of the variable to an error about a value that comes from one.
fn with_variable(error: Error, mut command: Command) -> Error {
    // The arguments of commands that were not parsed have no names before.
    command.build();
    let context = (error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidValue));
    let (Some(ContextValue::String(arg)), Some(ContextValue::String(value))) = context else {
        return error;
    };
    let args =
        command.get_arguments().chain(command.get_subcommands().flat_map(Command::get_arguments));
    let variable = args
        .filter(|candidate| candidate.to_string() == *arg)
        .filter_map(|candidate| candidate.get_env()?.to_str())
        .find(|name| std::env::var(name).is_ok_and(|set| set == *value));
    let Some(variable) = variable else { return error };
    let text = error.to_string();
    let text = text.trim_start_matches("error: ").trim_end();
    let text = format!("{text}\n\nThe value comes from the environment variable {variable}.");
    Error::raw(error.kind(), format!("{text}\n"))
}

/// Returns the settings with their values and sources, in the order of the help text.
pub fn list_settings(command: &Command, matches: &ArgMatches) -> Vec<ShownSetting> {
    let is_setting = |arg: &&Arg| {
        arg.get_long().is_some() && !["url", "help", "version"].contains(&arg.get_id().as_str())
    };
    // An empty variable was taken from its argument, but the setting still has its name.
    let named = Cli::command();
    let variable = |id: &str| {
        let arg = named.get_arguments().find(|arg| arg.get_id() == id);
        arg.and_then(|arg| arg.get_env()?.to_str()).unwrap_or_default().to_owned()
    };
    let args = command.get_arguments().filter(is_setting);
    args.filter_map(|arg| {
        let id = arg.get_id().as_str();
        let source = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => SettingSource::Flag,
            Some(ValueSource::EnvVariable) => SettingSource::Variable,
            _ => SettingSource::Default,
        };
        let raw = matches.try_get_raw(id).ok()?;
        let values = raw.into_iter().flatten().map(|value| value.to_string_lossy());
        let value = values.collect::<Vec<_>>().join(",");
        let is_secret = arg.is_hide_env_values_set() && source != SettingSource::Default;
        let value = if is_secret { MASK.to_owned() } else { value };
        Some(ShownSetting {
            flag: arg.get_long()?.to_owned(),
            variable: variable(id),
            value: Some(value).filter(|value| !value.is_empty()),
            source,
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_of_a_flag_is_an_error_of_one_sentence() {
        for args in [
            vec!["--port", "abc"],
            vec!["--port", "99999"],
            vec!["--log-level", "chatty"],
            vec!["--trusted-proxies", "foo"],
            vec!["completions", "foo"],
            vec!["models", "fetch", "nosuch"],
        ] {
            let arguments = [vec!["pipewright"], args].concat().into_iter().map(OsString::from);
            let Err(error) = parse(arguments) else { panic!("it was accepted") };
            assert!(error.to_string().contains("invalid value"), "{error}");
        }
    }

    #[test]
    fn settings_are_listed_with_their_sources_and_without_secrets() {
        let args = ["pipewright", "--port", "7", "--api-key", "hidden", "config"];
        let ParsedCli { settings, .. } = parse(args.map(OsString::from)).unwrap();
        let find = |flag: &str| settings.iter().find(|one| one.flag == flag).unwrap();
        assert_eq!(find("port").value.as_deref(), Some("7"));
        assert_eq!(find("port").source, SettingSource::Flag);
        assert_eq!(find("api-key").value.as_deref(), Some(MASK));
        assert_eq!(find("usage-days").source, SettingSource::Default);
        assert!(settings.iter().all(|one| !["help", "version", "url"].contains(&&*one.flag)));
    }
}
