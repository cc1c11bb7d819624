//! The conversation as turns: system prompts, blank texts, whose turn is first and whose is last.

use super::*;

/// Returns the roles and the contents of these turns, without cache points.
fn turns(body: &Value) -> Value {
    let mut turns = body["messages"].clone();
    for turn in turns.as_array_mut().unwrap() {
        let content = turn["content"].as_array_mut().unwrap();
        content.retain(|block| block.get("cachePoint").is_none());
    }
    turns
}

#[actix_web::test]
async fn a_system_prompt_in_parts_is_kept_whole() {
    let rig = rig().await;
    let parts = json!([{"type": "text", "text": "Context."}, {"type": "text", "text": " "}, {"type": "text", "text": "More."}]);
    let body = chat_of_messages(json!([
        {"role": "system", "content": parts},
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
    ]));
    let sent = rig.sent_body(HAIKU_3, body).await;
    assert_eq!(
        sent["system"],
        json!([{"text": "Context."}, {"text": "More."}, {"text": "Be kind."}])
    );
    assert_eq!(turns(&sent), json!([{"role": "user", "content": [{"text": "Hi"}]}]));
}

#[actix_web::test]
async fn a_family_without_system_prompts_reads_them_before_the_first_question() {
    let rig = rig().await;
    let body = chat_of_messages(json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]));
    for model in
        [MISTRAL_7B, "amazon.titan-text-lite-v1", "cohere.command-text-v14", "ai21.j2-mid-v1"]
    {
        let sent = rig.sent_body(model, body.clone()).await;
        assert_eq!(sent["system"], Value::Null, "{model}");
        let content = json!([{"text": "Be brief."}, {"text": "Hi"}]);
        assert_eq!(sent["messages"], json!([{"role": "user", "content": content}]), "{model}");
    }
}

fn interrupted_chat() -> Value {
    chat_of_messages(json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "Be kind."},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "More"},
    ]))
}

#[actix_web::test]
async fn instructions_amid_the_chat_stay_in_their_place() {
    let framed = json!([{"role": "user", "content": [{"text": "Hi"}, {"text": "<system>\nBe kind.\n</system>"}]}]);
    let usual = rig().await;
    let sent = usual.sent_body(OPUS_4_8, interrupted_chat()).await;
    assert_eq!(turns(&sent)[0], framed[0]);
    let rig = rig_with(&[("late_instructions", "own_turn")]).await;
    for (model, instructed) in [
        (HAIKU_3, framed),
        (
            OPUS_4_8,
            json!([{"role": "user", "content": [{"text": "Hi"}]}, {"role": "system", "content": [{"text": "Be kind."}]}]),
        ),
    ] {
        let sent = rig.sent_body(model, interrupted_chat()).await;
        assert_eq!(sent["system"][0], json!({"text": "Be brief."}), "{model}");
        let turns = turns(&sent);
        let instructed = instructed.as_array().unwrap();
        assert_eq!(turns.as_array().unwrap()[..instructed.len()], instructed[..], "{model}");
    }
}

#[actix_web::test]
async fn instructions_amid_the_chat_go_to_the_front_if_the_admin_wants_it_so() {
    let rig = rig_with(&[("late_instructions", "hoist")]).await;
    for model in [HAIKU_3, OPUS_4_8] {
        let sent = rig.sent_body(model, interrupted_chat()).await;
        let system = &sent["system"].as_array().unwrap()[..2];
        assert_eq!(system, [json!({"text": "Be brief."}), json!({"text": "Be kind."})]);
        assert_eq!(turns(&sent)[0]["content"], json!([{"text": "Hi"}]));
    }
}

#[actix_web::test]
async fn blank_and_missing_texts_leave_a_body_that_bedrock_takes() {
    let rig = rig().await;
    for content in
        [json!(null), json!(""), json!(" \n"), json!([]), json!([{"type": "text", "text": ""}])]
    {
        let calls = [tool_call("a", "weather", "{}")];
        for messages in [
            json!([{"role": "user", "content": content}]),
            json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": content}]),
            json!([{"role": "system", "content": content}, {"role": "user", "content": "Hi"}]),
            json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": content}, {"role": "user", "content": "More"}]),
            json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": content, "tool_calls": calls}, {"role": "tool", "tool_call_id": "a", "content": content}]),
        ] {
            for model in [HAIKU_3, NOVA, MISTRAL_7B] {
                rig.sent_body(model, chat_of_messages(messages.clone())).await;
            }
        }
    }
    assert_eq!(refusals(&rig.bedrock), [""; 0]);
}

#[actix_web::test]
async fn messages_in_a_row_by_one_side_become_one_turn() {
    let rig = rig().await;
    let body = chat_of_messages(json!([
        {"role": "user", "content": "Hi"},
        {"role": "user", "content": "there"},
        {"role": "assistant", "content": "Hello"},
        {"role": "assistant", "content": "again"},
        {"role": "user", "content": "?"},
    ]));
    assert_eq!(
        turns(&rig.sent_body(HAIKU_3, body).await),
        json!([
            {"role": "user", "content": [{"text": "Hi"}, {"text": "there"}]},
            {"role": "assistant", "content": [{"text": "Hello"}, {"text": "again"}]},
            {"role": "user", "content": [{"text": "?"}]},
        ])
    );
}

#[actix_web::test]
async fn a_chat_that_the_assistant_begins_gets_a_first_turn() {
    let rig = rig().await;
    let body = chat_of_messages(json!([
        {"role": "assistant", "content": "Welcome."},
        {"role": "user", "content": "Hi"},
    ]));
    for model in [HAIKU_3, NOVA, MISTRAL_7B] {
        let sent = rig.sent_body(model, body.clone()).await;
        assert_eq!(turns(&sent)[0], json!({"role": "user", "content": [{"text": "."}]}), "{model}");
        assert_eq!(turns(&sent)[1]["content"], json!([{"text": "Welcome."}]), "{model}");
    }
}

#[actix_web::test]
async fn a_begun_answer_is_continued_by_families_that_can_and_asked_for_of_others() {
    let rig = rig().await;
    let body = chat_of_messages(json!([
        {"role": "user", "content": "A poem."},
        {"role": "assistant", "content": "Roses are \n"},
    ]));
    for (model, last) in [
        (HAIKU_3, json!({"role": "assistant", "content": [{"text": "Roses are"}]})),
        (SONNET_4_5, json!({"role": "assistant", "content": [{"text": "Roses are"}]})),
        (LLAMA, json!({"role": "assistant", "content": [{"text": "Roses are"}]})),
        (
            "anthropic.claude-sonnet-4-6",
            json!({"role": "user", "content": [{"text": "Continue from exactly where you stopped."}]}),
        ),
    ] {
        let turns = turns(&rig.sent_body(model, body.clone()).await);
        assert_eq!(*turns.as_array().unwrap().last().unwrap(), last, "{model}");
    }
    let mut thinking = body;
    thinking["reasoning_effort"] = "low".into();
    for model in [SONNET_4_5, NOVA_2] {
        let turns = turns(&rig.sent_body(model, thinking.clone()).await);
        assert_eq!(turns.as_array().unwrap().last().unwrap()["role"], "user", "{model}");
    }
}
