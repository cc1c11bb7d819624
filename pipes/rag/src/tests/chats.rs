//! The life of a chat.

use super::{GENERATOR, Rig, events, rig, rig_with, upload};
use pipe_sdk::{
    ChatRef, Chunk, Content, Embeddings, FinishReason, Message, Part, Pipe, PipeError, Rank,
    Reranked, Role, Serves, testing::ScriptedHost,
};
use serde_json::json;
use std::sync::Arc;

const LEAVE: &str = "# Leave\nParents get thirty weeks of leave, which they may share.\n";
const PARKING: &str = "# Parking\nThe garage opens at six; bicycles stand in the yard.\n";

async fn filled() -> Rig {
    let rig = rig().await;
    rig.put_documents(vec![upload("leave.md", LEAVE), upload("parking.md", PARKING)]).await;
    rig
}

#[tokio::test]
async fn each_generator_is_a_model() {
    let rig = rig().await;
    let Serves::Manifold(models) = rig.rag.serves() else { panic!("no manifold") };
    assert_eq!(models[0].id, GENERATOR);
    let mut other = rig.asks("hi");
    other.model = "cloud.other".into();
    let refused = Arc::clone(&rig.rag).pipe(other).await.unwrap_err();
    assert!(matches!(refused, PipeError::ModelNotFound(_)));
}

#[tokio::test]
async fn people_see_the_search_then_the_sources_and_only_then_the_answer() {
    let rig = filled().await;
    let chunks = rig.answer_of(rig.asks("How many weeks do parents get?")).await;
    let statuses = events(&chunks, "status");
    assert_eq!(statuses[0]["description"], "Searching the documents");
    assert_eq!((&statuses[0]["done"], &statuses[1]["done"]), (&json!(false), &json!(true)));
    let sources = events(&chunks, "source");
    assert_eq!(sources[0]["source"], json!({"id": "documents/leave.md", "name": "Leave"}));
    assert_eq!(sources[0]["document"], json!([LEAVE]));
    assert_eq!(sources[0]["metadata"][0]["source"], "documents/leave.md");
    // Words alone cannot tell how near a text is.
    assert_eq!(sources[0].get("distances"), None);
    let first_text = chunks.iter().position(|chunk| matches!(chunk, Chunk::Content(_))).unwrap();
    let last_event = chunks.iter().rposition(|chunk| matches!(chunk, Chunk::Event(_))).unwrap();
    assert!(last_event < first_text);
    let [.., Chunk::Citation(citation), Chunk::Finish(FinishReason::Stop)] = chunks.as_slice()
    else {
        panic!("no citation before the end: {chunks:?}")
    };
    assert_eq!(citation.title, "Leave");
}

#[tokio::test]
async fn the_generator_gets_numbered_sources_before_the_question() {
    let rig = filled().await;
    rig.answer_of(rig.asks("How many weeks do parents get?")).await;
    let asked = rig.scripted.calls().pop().unwrap();
    assert_eq!(asked.model, GENERATOR);
    let prompt = rig.prompt();
    assert!(
        prompt.contains("<source id=\"1\" name=\"Leave\">\n(Leave)\n# Leave")
            || prompt.contains("<source id=\"1\" name=\"Leave\">\n# Leave"),
        "{prompt}"
    );
    assert!(prompt.ends_with("Question: How many weeks do parents get?"), "{prompt}");
}

#[tokio::test]
async fn what_is_not_in_the_documents_is_to_be_said_plainly() {
    let rig = filled().await;
    let chunks = rig.answer_of(rig.asks("zebra xylophone?")).await;
    assert!(events(&chunks, "source").is_empty());
    assert!(!chunks.iter().any(|chunk| matches!(chunk, Chunk::Citation(_))));
    assert!(rig.prompt().contains("it is not in the sources"), "{}", rig.prompt());
}

#[tokio::test]
async fn pictures_stay_beside_the_question() {
    let rig = filled().await;
    let mut message = Message::new(Role::User, "");
    let picture =
        Part::ImageUrl { image_url: "data:image/png;base64,AA".into(), rest: Default::default() };
    message.content =
        Some(Content::Parts(vec![Part::from_text("parents leave?"), picture.clone()]));
    rig.answer_of(rig.call(vec![message])).await;
    let asked = rig.scripted.calls().pop().unwrap();
    let Some(Content::Parts(parts)) = &asked.body.messages[0].content else { panic!("no parts") };
    assert!(parts[0].text().unwrap().contains("thirty weeks"));
    assert_eq!(parts[1], picture);
}

#[tokio::test]
async fn background_tasks_and_chats_with_sources_go_on_as_they_are() {
    let rig = filled().await;
    let told =
        "<context>\n<source id=\"1\" name=\"a\">parents</source>\n</context>\n\nparents leave?";
    for text in ["### Task:\nName this chat about parents", told] {
        let chunks = rig.answer_of(rig.asks(text)).await;
        assert!(events(&chunks, "source").is_empty());
        assert_eq!(rig.prompt(), text);
    }
    let task = Some("title_generation".to_owned());
    let call = rig.asks("parents leave?");
    let chunks = rig
        .answer_of(pipe_sdk::Call { chat: ChatRef { task, ..ChatRef::default() }.into(), ..call })
        .await;
    assert!(events(&chunks, "status").is_empty());
    assert_eq!(rig.prompt(), "parents leave?");
}

#[tokio::test]
async fn while_tools_are_called_the_sources_stay_and_are_not_shown_again() {
    let rig = filled().await;
    let mut called = Message::new(Role::Assistant, "");
    called.tool_calls = vec![];
    let messages = vec![
        Message::new(Role::User, "parents leave?"),
        called,
        Message::new(Role::Tool, "thirty"),
    ];
    let chunks = rig.answer_of(rig.call(messages)).await;
    assert!(events(&chunks, "source").is_empty() && events(&chunks, "status").is_empty());
    assert!(rig.prompt().contains("thirty weeks"));
}

#[tokio::test]
async fn only_a_follow_up_is_made_a_question_of_its_own() {
    let mut rig = rig_with(|valves| valves.rewrite_model = Some("cloud.small".into())).await;
    rig.put_documents(vec![upload("leave.md", LEAVE), upload("parking.md", PARKING)]).await;
    let rewritten =
        [Chunk::Content(" When does the garage open? ".into()), Chunk::Finish(FinishReason::Stop)];
    rig.scripted = rig.scripted.answers("cloud.small", rewritten);
    rig.answer_of(rig.asks("Where is the garage?")).await;
    assert_eq!(rig.scripted.calls().len(), 1);
    let messages = vec![
        Message::new(Role::User, "Where is the garage?"),
        Message::new(Role::Assistant, "Below the yard."),
        Message::new(Role::User, "And when can I use it?"),
    ];
    let chunks = rig.answer_of(rig.call(messages)).await;
    let asked = rig.scripted.calls();
    assert_eq!(asked[1].model, "cloud.small");
    let wish = asked[1].body.last_user_text().unwrap();
    assert!(wish.contains("Person: Where is the garage?") && wish.contains("Assistant: Below"));
    assert_eq!(events(&chunks, "source")[0]["source"]["name"], "Parking");
    // The person's own words are what is answered.
    assert!(rig.prompt().ends_with("Question: And when can I use it?"));
}

#[tokio::test]
async fn a_rewriter_that_fails_leaves_the_question_as_it_is() {
    let rig = rig_with(|valves| valves.rewrite_model = Some("cloud.gone".into())).await;
    rig.put_documents(vec![upload("parking.md", PARKING)]).await;
    let messages = vec![
        Message::new(Role::User, "bicycles"),
        Message::new(Role::User, "where do bicycles stand?"),
    ];
    let chunks = rig.answer_of(rig.call(messages)).await;
    assert_eq!(events(&chunks, "source").len(), 1);
}

#[tokio::test]
async fn the_meaning_finds_what_the_words_do_not() {
    let mut rig = rig_with(|valves| valves.embedding_model = "cloud.vectors".into()).await;
    rig.put_documents(vec![upload("leave.md", LEAVE)]).await;
    let vectors = Embeddings { vectors: vec![vec![1.0, 0.0]], prompt_tokens: 3 };
    rig.scripted = rig.scripted.embeds("cloud.vectors", vectors);
    let chunks = rig.answer_of(rig.asks("Elternzeit")).await;
    assert!(events(&chunks, "source").is_empty());
    assert_eq!(
        events(&chunks, "status")[1]["description"],
        "Nothing found in the documents, by words alone"
    );
    rig.library().run_background_jobs(rig.scripted.host()).await;
    let chunks = rig.answer_of(rig.asks("Elternzeit")).await;
    assert_eq!(events(&chunks, "source")[0]["source"]["name"], "Leave");
    assert_eq!(events(&chunks, "status")[1]["description"], "Found 1 document");
}

#[tokio::test]
async fn a_reranker_has_the_last_word_on_the_order() {
    let mut rig = rig_with(|valves| {
        valves.reranker = Some("cloud.ranks".into());
        valves.top_k = 1;
    })
    .await;
    rig.put_documents(vec![
        upload("a.md", "garage garage garage"),
        upload("b.md", "the garage of the yard"),
    ])
    .await;
    let first =
        events(&rig.answer_of(rig.asks("garage")).await, "source")[0]["source"]["id"].clone();
    let ranks = vec![Rank { index: 1, score: 0.9 }, Rank { index: 0, score: 0.1 }];
    rig.scripted = rig.scripted.ranks("cloud.ranks", Reranked { ranks, prompt_tokens: 0 });
    let second =
        events(&rig.answer_of(rig.asks("garage")).await, "source")[0]["source"]["id"].clone();
    assert_ne!(first, second);
}

#[tokio::test]
async fn what_a_reranker_leaves_out_comes_last_even_if_its_scores_are_negative() {
    let mut rig = rig_with(|valves| valves.reranker = Some("cloud.ranks".into())).await;
    rig.put_documents(vec![
        upload("a.md", "garage garage garage"),
        upload("b.md", "the garage of the yard"),
    ])
    .await;
    let source_ids = |answer: &[Chunk]| -> Vec<serde_json::Value> {
        let sources = events(answer, "source");
        sources.iter().map(|source| source["source"]["id"].clone()).collect()
    };
    let before = source_ids(&rig.answer_of(rig.asks("garage")).await);
    let ranks = vec![Rank { index: 1, score: -4.5 }];
    rig.scripted = rig.scripted.ranks("cloud.ranks", Reranked { ranks, prompt_tokens: 0 });
    let after = source_ids(&rig.answer_of(rig.asks("garage")).await);
    assert_eq!([&after[0], &after[1]], [&before[1], &before[0]]);
}

#[tokio::test]
async fn a_template_of_ones_own_is_what_the_generator_gets() {
    let rig =
        rig_with(|valves| valves.prompt_template = Some("{{question}} <- {{sources}}".into()))
            .await;
    rig.put_documents(vec![upload("leave.md", LEAVE)]).await;
    rig.answer_of(rig.asks("parents?")).await;
    assert!(rig.prompt().starts_with("parents? <- <source id=\"1\""), "{}", rig.prompt());
}

#[tokio::test]
async fn a_generator_that_is_not_there_is_told_as_such() {
    use futures_util::TryStreamExt;
    let mut rig = filled().await;
    rig.scripted = ScriptedHost::new();
    let stream = Arc::clone(&rig.rag).pipe(rig.asks("parents?")).await.unwrap();
    let error = stream.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(error, PipeError::ModelNotFound(model) if model == GENERATOR));
}

#[tokio::test]
async fn only_the_sources_that_the_answer_cites_are_cited() {
    let mut rig = filled().await;
    let answer = [
        Chunk::Content("Bicycles stand there [".into()),
        Chunk::Content("2], I say [7].".into()),
        Chunk::Content(" Yes [2].".into()),
        Chunk::Finish(FinishReason::Stop),
    ];
    rig.scripted = rig.scripted.answers(GENERATOR, answer);
    let chunks = rig.answer_of(rig.asks("Where do bicycles of parents stand?")).await;
    assert_eq!(events(&chunks, "source").len(), 2);
    let citations: Vec<_> = chunks
        .iter()
        .enumerate()
        .filter_map(|(at, chunk)| match chunk {
            Chunk::Citation(citation) => Some((at, citation.location.clone().unwrap())),
            _ => None,
        })
        .collect();
    let [(at, location)] = citations.as_slice() else { panic!("{citations:?}") };
    assert_eq!(location["number"], 2);
    assert_eq!(chunks[at - 1], Chunk::Content("2], I say [7].".into()));
}

#[tokio::test]
async fn a_follow_up_is_searched_with_the_questions_before_it() {
    let rig = filled().await;
    let messages = vec![
        Message::new(Role::User, "Where is the garage?"),
        Message::new(Role::Assistant, "Below the yard."),
        Message::new(Role::User, "And in winter?"),
    ];
    let chunks = rig.answer_of(rig.call(messages)).await;
    assert_eq!(events(&chunks, "source")[0]["source"]["name"], "Parking");
    assert!(rig.prompt().ends_with("Question: And in winter?"));
}

#[tokio::test]
async fn a_question_on_another_subject_is_found_by_itself() {
    let rig = rig_with(|valves| valves.top_k = 1).await;
    rig.put_documents(vec![upload("leave.md", LEAVE), upload("parking.md", PARKING)]).await;
    let messages = vec![
        Message::new(Role::User, "Where is the garage, and where do bicycles stand?"),
        Message::new(Role::Assistant, "Below the yard."),
        Message::new(Role::User, "When is the garage open to bicycles?"),
        Message::new(Role::Assistant, "Always."),
        Message::new(Role::User, "How many weeks do parents get?"),
    ];
    let chunks = rig.answer_of(rig.call(messages)).await;
    assert_eq!(events(&chunks, "source")[0]["source"]["name"], "Leave");
}

#[tokio::test]
async fn a_question_of_one_word_is_found_with_those_before_it_first() {
    let rig = rig_with(|valves| valves.top_k = 1).await;
    rig.put_documents(vec![
        upload("leave.md", LEAVE),
        upload("winter.md", "# Winter\nSnow lies in the yard.\n"),
        upload("parking.md", "# Parking\nThe garage opens at six, in winter at seven.\n"),
    ])
    .await;
    let messages = vec![
        Message::new(Role::User, "When does the garage open?"),
        Message::new(Role::Assistant, "At six."),
        Message::new(Role::User, "And in winter?"),
    ];
    let chunks = rig.answer_of(rig.call(messages)).await;
    assert_eq!(events(&chunks, "source")[0]["source"]["name"], "Parking");
}

#[tokio::test]
async fn a_greeting_gets_neither_sources_nor_instructions() {
    let rig = filled().await;
    let chunks = rig.answer_of(rig.asks("Hello there!")).await;
    assert!(events(&chunks, "source").is_empty());
    assert_eq!(rig.prompt(), "Hello there!");
}

#[tokio::test]
async fn thanks_for_an_answer_are_not_searched_with_the_question_before_them() {
    let rig = filled().await;
    let question = "How many weeks do parents get?";
    let mut messages = vec![
        Message::new(Role::User, question),
        Message::new(Role::Assistant, "Thirty [1]."),
        Message::new(Role::User, "Thanks a lot!"),
    ];
    let chunks = rig.answer_of(rig.call(messages.clone())).await;
    assert!(events(&chunks, "status").is_empty() && events(&chunks, "source").is_empty());
    assert_eq!(rig.prompt(), "Thanks a lot!");
    messages.extend([
        Message::new(Role::Assistant, "You are welcome."),
        Message::new(Role::User, "And may they share them?"),
    ]);
    let chunks = rig.answer_of(rig.call(messages)).await;
    assert_eq!(events(&chunks, "source")[0]["source"]["name"], "Leave");
}
