//! The pipe alone, with a scripted host around it.

mod access;
mod chats;
mod filter;
mod library;
mod planted;
mod watched_folder;

use crate::{Rag, RagValves};
use pipe_sdk::{
    Body, Call, ChatRef, Chunk, FinishReason, Hints, Message, Pipe, Role, User,
    library::{Audience, Content, IngestResult, Library, Upload},
    testing::ScriptedHost,
};
use serde_json::{Map, Value};
use std::sync::Arc;
use tempfile::TempDir;

const GENERATOR: &str = "cloud.big";

/// A running pipe and the host that it asks.
struct Rig {
    rag: Arc<Rag>,
    scripted: ScriptedHost,
    folder: TempDir,
}

fn valves(folder: &TempDir) -> RagValves {
    RagValves {
        generators: Some(GENERATOR.into()),
        index_file: folder.path().join("index.db").to_string_lossy().into_owned(),
        ..RagValves::default()
    }
}

async fn rig() -> Rig {
    rig_with(|_| {}).await
}

/// Returns a rig with these valves beside the usual ones.
async fn rig_with(turn: impl FnOnce(&mut RagValves)) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let mut valves = valves(&folder);
    turn(&mut valves);
    let rag = Arc::new(Rag::on_startup(valves).await.unwrap());
    let answer = [Chunk::Content("So it is [1].".into()), Chunk::Finish(FinishReason::Stop)];
    Rig { rag, scripted: ScriptedHost::new().answers(GENERATOR, answer), folder }
}

fn upload(id: &str, text: &str) -> Upload {
    Upload {
        id: id.into(),
        title: None,
        url: None,
        audience: Audience::Everyone,
        metadata: Map::new(),
        content: Content::Text(text.into()),
    }
}

fn user(id: &str, role: &str) -> User {
    User { id: id.into(), role: Some(role.into()), ..User::default() }
}

impl Rig {
    fn library(&self) -> Arc<dyn Library> {
        self.rag.library().unwrap()
    }

    async fn put_documents(&self, uploads: Vec<Upload>) -> Vec<IngestResult> {
        self.library().put_documents("documents".into(), uploads).await.unwrap()
    }

    /// A chat of these messages, by nobody in particular.
    fn call(&self, messages: Vec<Message>) -> Call {
        Call {
            model: GENERATOR.into(),
            body: Body::new("rag.cloud.big", messages),
            user: None,
            chat: ChatRef::default().into(),
            hints: Hints::default(),
            host: self.scripted.host(),
        }
    }

    fn asks(&self, text: &str) -> Call {
        self.call(vec![Message::new(Role::User, text)])
    }

    /// Returns all chunks of the answer.
    async fn answer_of(&self, call: Call) -> Vec<Chunk> {
        use futures_util::TryStreamExt;
        let rag = Arc::clone(&self.rag);
        rag.pipe(call).await.unwrap().try_collect().await.unwrap()
    }

    /// Returns the last prompt of the generator.
    fn prompt(&self) -> String {
        self.scripted.calls().last().unwrap().body.last_user_text().unwrap()
    }
}

/// The data of events of this kind.
fn events<'a>(chunks: &'a [Chunk], kind: &str) -> Vec<&'a Value> {
    let event = |chunk: &'a Chunk| match chunk {
        Chunk::Event(event) if event.kind == kind => Some(&event.data),
        _ => None,
    };
    chunks.iter().filter_map(event).collect()
}
