//! The models of the host, as Python files ask them through the module `pipewright`.

use futures_util::{StreamExt, future::BoxFuture};
use pipe_sdk::{Body, Chunk, Host};
use python_worker::{HostCall, HostCallHandler, HostCallResponder};
use serde_json::Value;

/// Calls models on behalf of the user whose call the file answers.
pub struct HostModels(pub Host);

impl HostCallHandler for HostModels {
    fn answer(
        &self,
        host_call: HostCall,
        responder: HostCallResponder,
    ) -> BoxFuture<'static, Result<(), String>> {
        let host = self.0.clone();
        Box::pin(async move {
            match host_call.method.as_str() {
                "chat" => answer_chat(&host, host_call.body, &responder).await,
                "models" => {
                    for model in host.models() {
                        responder.send(model.id.into()).await;
                    }
                    Ok(())
                }
                other => Err(format!("pipewright has no function `{other}`")),
            }
        })
    }
}

/// Sends the text of an answer piece by piece.
async fn answer_chat(
    host: &Host,
    body: Value,
    responder: &HostCallResponder,
) -> Result<(), String> {
    let body: Body = serde_json::from_value(body)
        .map_err(|error| format!("the body is no chat completion request: {error}"))?;
    let mut chunks = host.pipe(body).await.map_err(|error| error.to_string())?;
    while let Some(chunk) = chunks.next().await {
        if let Chunk::Content(text) = chunk.map_err(|error| error.to_string())? {
            responder.send(text.into()).await;
        }
    }
    Ok(())
}
