//! Parses files and prints them as Markdown: `document-parser a.pdf b.docx`.

use document_parser::{DocumentParser, Limits, worker};
use std::{
    env, fs,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

fn main() -> ExitCode {
    if env::args_os().nth(1).is_some_and(|argument| argument == "parse-document") {
        return worker::run();
    }
    match print(env::args_os().skip(1).map(PathBuf::from)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Parses files, and prints their text.
#[tokio::main(flavor = "current_thread")]
async fn print(files: impl Iterator<Item = PathBuf>) -> io::Result<()> {
    let parser = DocumentParser::from_current_program("parse-document")?;
    for file in files {
        let name = file.to_string_lossy();
        match parser.parse(&fs::read(&file)?, &name, &Limits::default()).await {
            Ok(document) => {
                for warning in &document.warnings {
                    writeln!(io::stderr(), "{name}: {warning}")?;
                }
                io::stdout().write_all(document.to_markdown().text.as_bytes())?;
            }
            Err(error) => writeln!(io::stderr(), "{error}")?,
        }
    }
    Ok(())
}
