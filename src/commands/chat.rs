//! `pipewright chat`: a chat in the terminal with a model of a running server.

use super::{models, server_client::ServerClient};
use anyhow::{Context, bail};
use futures_util::StreamExt;
use pipewright::cli::ChatArgs;
use reqwest::Method;
use serde_json::{Value, json};
use std::io::{self, BufRead, IsTerminal, Read, Write};

/// The maximum size of one line of an answer, in bytes.
const MAX_LINE_BYTES: usize = 16 << 20;

/// Chats until the end of the input.
pub async fn chat(server: &ServerClient, args: &ChatArgs) -> anyhow::Result<()> {
    let model = match &args.model {
        Some(model) => model.clone(),
        None => find_first_model(server).await?,
    };
    let system = args.system.iter().map(|text| json!({"role": "system", "content": text}));
    let mut messages: Vec<Value> = system.collect();
    if let Some(message) = &args.message {
        return answer(server, &model, &mut messages, message).await;
    }
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        let mut message = String::new();
        stdin.lock().read_to_string(&mut message).context("standard input is not UTF-8 text")?;
        return answer(server, &model, &mut messages, message.trim_end()).await;
    }
    writeln!(io::stderr(), "Chatting with `{model}`. Ctrl-D ends the chat.")?;
    loop {
        write!(io::stderr(), "> ")?;
        let mut line = String::new();
        if stdin.lock().read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line.trim().is_empty() {
            continue;
        }
        // A message that failed is not part of the chat; the next one may succeed.
        if let Err(error) = answer(server, &model, &mut messages, line.trim()).await {
            writeln!(io::stderr(), "Error: {error:#}")?;
            messages.pop();
        }
    }
}

async fn find_first_model(server: &ServerClient) -> anyhow::Result<String> {
    let models = models::fetch(server, "chat").await?;
    let model = models.into_iter().next().with_context(|| {
        format!("the server at {} has no chat models: run `pipewright check`", server.base())
    })?;
    Ok(model.id)
}

/// Sends a message with those before it, and prints the answer as it comes.
async fn answer(
    server: &ServerClient,
    model: &str,
    messages: &mut Vec<Value>,
    message: &str,
) -> anyhow::Result<()> {
    messages.push(json!({"role": "user", "content": message}));
    let body = json!({"model": model, "messages": messages, "stream": true});
    let request = server.request(Method::POST, "/v1/chat/completions");
    let request = request.header("content-type", "application/json").body(body.to_string());
    let mut chunks = server.send(request).await?.bytes_stream();
    let (mut buffer, mut text) = (Vec::new(), String::new());
    while let Some(chunk) = chunks.next().await {
        buffer.extend_from_slice(&chunk.context("the answer broke off")?);
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let piece = read_piece(&String::from_utf8_lossy(&line))?;
            let mut out = io::stdout().lock();
            out.write_all(piece.as_bytes())?;
            out.flush()?;
            text.push_str(&piece);
        }
        if buffer.len() > MAX_LINE_BYTES {
            bail!("the answer holds a line of more than 16 MiB");
        }
    }
    writeln!(io::stdout())?;
    messages.push(json!({"role": "assistant", "content": text}));
    Ok(())
}

/// Returns the text in a line of the stream.
fn read_piece(line: &str) -> anyhow::Result<String> {
    let Some(data) = line.trim_end().strip_prefix("data: ") else { return Ok(String::new()) };
    if data == "[DONE]" {
        return Ok(String::new());
    }
    let chunk: Value = serde_json::from_str(data).context("the answer holds invalid JSON")?;
    if let Some(message) = chunk["error"]["message"].as_str() {
        bail!("the answer broke off: {message}");
    }
    let content = &chunk["choices"][0]["delta"]["content"];
    Ok(content.as_str().unwrap_or_default().to_owned())
}
