//! Every chat model there is: what is asked of it is taken, or refused with its field before it is
//! asked.

use super::*;

/// All chat models, each by the id under which it is listed.
pub fn all_chat_models() -> Vec<(String, FoundationModel)> {
    let talks = |model: &FoundationModel| !model.id.starts_with("twelvelabs.");
    let named = |model: FoundationModel| {
        let id = if model.on_demand() { model.id.clone() } else { format!("us.{}", model.id) };
        (id, model)
    };
    Catalogue::all_chat_models().models.into_iter().filter(talks).map(named).collect()
}

/// Asks every model this, and gives those that refuse it, with the field that they name.
async fn find_refusing_models(body: &Value) -> Vec<(FoundationModel, String)> {
    let rig = rig().await;
    let (mut refusing, mut taken) = (Vec::new(), 0);
    for (id, model) in all_chat_models() {
        let answered = rig.ask(&id, body.clone()).await;
        match answered.status {
            200 => taken += 1,
            400 => {
                let field = answered.json["error"]["param"].as_str();
                refusing.push((model, field.expect("a field is named").to_owned()));
            }
            status => panic!("{id} {status}: {}", answered.text),
        }
    }
    assert_eq!(refusals(&rig.bedrock), [""; 0]);
    assert_eq!(chats(&rig.bedrock).len(), taken, "each was asked once, or not at all");
    refusing
}

#[actix_web::test]
async fn every_model_takes_a_plain_chat() {
    assert_eq!(find_refusing_models(&chat_with(json!({}))).await, []);
}

#[actix_web::test]
async fn every_model_takes_a_system_prompt() {
    let body = chat_of_messages(
        json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]),
    );
    assert_eq!(find_refusing_models(&body).await, []);
}

#[actix_web::test]
async fn every_model_takes_limits_samplers_and_stops() {
    let fields = json!({"temperature": 0.3, "top_p": 0.5, "top_k": 5, "max_tokens": 9, "stop": ["END", " "], "seed": 1, "frequency_penalty": 0.5, "presence_penalty": 0.5, "logit_bias": {}, "logprobs": true});
    assert_eq!(find_refusing_models(&chat_with(fields)).await, []);
}

#[actix_web::test]
async fn every_model_with_tools_takes_them_demanded_and_the_others_name_the_field() {
    for fields in [
        json!({"tool_choice": "required"}),
        json!({"tool_choice": {"type": "function", "function": {"name": "a"}}, "parallel_tool_calls": false}),
        json!({"reasoning_effort": "high", "tool_choice": "required"}),
    ] {
        let mut body = chat_with(fields);
        body["tools"] = json!([tool("a"), tool("b")]);
        let refusing = find_refusing_models(&body).await;
        assert!(
            refusing.iter().all(|(model, field)| !model.has_capability('T') && field == "tools"),
            "{refusing:?}"
        );
        assert_eq!(
            refusing.len(),
            all_chat_models().iter().filter(|(_, model)| !model.has_capability('T')).count()
        );
    }
}

#[actix_web::test]
async fn every_model_that_sees_takes_a_picture_and_the_others_name_its_place() {
    let picture =
        json!({"type": "image_url", "image_url": {"url": format!("data:image/jpeg;base64,{PNG}")}});
    let refusing =
        find_refusing_models(&chat_with_parts(json!([{"type": "text", "text": "?"}, picture])))
            .await;
    let blind = |model: &FoundationModel| !model.input.iter().any(|kind| kind == "IMAGE");
    assert!(
        refusing.iter().all(|(model, field)| blind(model) && field == "messages[0].content[1]"),
        "{refusing:?}"
    );
    assert_eq!(refusing.len(), all_chat_models().iter().filter(|(_, model)| blind(model)).count());
}

#[actix_web::test]
async fn every_model_takes_every_effort() {
    for effort in ["none", "minimal", "low", "medium", "high", "xhigh", "max"] {
        let fields = json!({"reasoning_effort": effort, "temperature": 0.3, "top_p": 0.5, "max_tokens": 3000});
        assert_eq!(find_refusing_models(&chat_with(fields)).await, [], "{effort}");
    }
}

#[actix_web::test]
async fn every_model_takes_a_shape_for_its_answer() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}});
    for format in [
        json!({"type": "json_object"}),
        json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}),
    ] {
        assert_eq!(find_refusing_models(&chat_with(json!({"response_format": format}))).await, []);
    }
}

#[actix_web::test]
async fn every_model_goes_on_with_a_chat_that_has_called_tools() {
    let body = chat_of_messages(json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": null, "tool_calls": [tool_call("a", "my.weather", "{}"), tool_call("b", "time", "")], "reasoning_content": "hm"},
        tool_result("b", "noon"),
        tool_result("a", "rain"),
        {"role": "system", "content": "Be kind."},
        {"role": "assistant", "content": "Rain at noon. "},
    ]));
    assert_eq!(find_refusing_models(&body).await, []);
}

#[actix_web::test]
async fn of_both_samplers_every_claude_gets_what_it_takes() {
    let rig = rig().await;
    let claude = all_chat_models().into_iter().filter(|(id, _)| id.starts_with("anthropic."));
    for (id, _) in claude {
        let is = |names: &[&str]| is_claude(&id, names);
        let sent = rig.sent_body(&id, chat_with(json!({"temperature": 0.3, "top_p": 0.5}))).await;
        let expected = if is(&["3-", "instant", "v1", "v2", "sonnet-4-2025", "opus-4-2025"]) {
            json!({"temperature": 0.3, "topP": 0.5})
        } else if is(&["opus-4-1", "sonnet-4-5", "haiku-4-5", "opus-4-5", "sonnet-4-6", "opus-4-6"])
        {
            json!({"temperature": 0.3})
        } else {
            Value::Null
        };
        assert_eq!(sent["inferenceConfig"], expected, "{id}");
    }
}

#[actix_web::test]
async fn a_model_that_takes_one_sampler_of_two_teaches_it_once() {
    let rig = rig().await;
    let words = "The model returned the following errors: `temperature` and `top_p` cannot both be specified for this model. Please use only one.";
    rig.bedrock.script(ANY, Script::fault(BedrockException::validation(words)));
    let body = chat_with(json!({"temperature": 0.3, "top_p": 0.5}));
    assert_eq!(rig.ask(HAIKU_3, body.clone()).await.status, 200);
    assert_eq!(rig.ask(HAIKU_3, body).await.status, 200);
    let sent: Vec<_> =
        chats(&rig.bedrock).iter().map(|chat| chat.json["inferenceConfig"].clone()).collect();
    let one = json!({"temperature": 0.3});
    assert_eq!(sent, [json!({"temperature": 0.3, "topP": 0.5}), one.clone(), one]);
}
