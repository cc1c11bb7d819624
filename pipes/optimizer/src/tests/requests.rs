//! The ways to ask for an approach, requests that are refused before a model is called, and the
//! fields of a request that each call gets.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_cannot_be_so_is_refused_before_the_first_call() {
    for (model, part) in [
        ("moa&-cloud.m", "missing"),
        ("moa&none-cloud.m", "`none` cannot"),
        ("moa-mcts-cloud.m", "two approaches"),
        ("executecode-cloud.m", "not available"),
        ("moa&coc-cloud.m", "not available"),
        ("moa", "names no model"),
        ("readurls&moa-cloud.m", "readurls_hosts"),
    ] {
        let (error, calls) = request("Hi").refused(model).await;
        assert!(error.contains(part), "{model}: {error}");
        assert_eq!(calls, 0, "{model}");
    }
    for (field, value, part) in [
        ("k", json!(1000), "k: must be"),
        ("mcts_simulations", json!("many"), "mcts_simulations: must be"),
        ("mcts_exploration", json!(-1), "mcts_exploration: must be"),
        ("decoding", json!("cot_decoding"), "decoding"),
        ("proxy_wrap", json!("moa"), "proxy_wrap"),
        ("mars_config", json!([]), "mars_config: must be an object"),
        ("optillm_approach", json!(7), "optillm_approach: must be a text"),
        ("optillm_approach", json!("nonsense"), "no approach `nonsense`"),
        ("x_optimizer", json!("yes"), "x_optimizer: must be"),
    ] {
        let (error, calls) = request("Hi").field(field, value).refused("mcts-cloud.m").await;
        assert!(error.contains(part), "{field}: {error}");
        assert_eq!(calls, 0);
    }
    let (error, calls) =
        request("Hi").valves(json!({"enabled": false})).refused("moa-cloud.m").await;
    assert!(error.contains("switched off") && calls == 0);
    let (error, calls) =
        request("Hi").valves(json!({"access": "*=re2"})).refused("moa-cloud.m").await;
    assert!(error.contains("you may use re2") && calls == 0, "{error}");
    let image = json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}]);
    let (error, calls) = request("").field("messages", image).refused("privacy&moa-cloud.m").await;
    assert!(error.contains("pictures") && calls == 0, "{error}");
}

#[tokio::test(start_paused = true)]
async fn fields_of_optillm_go_no_further_and_their_numbers_hold() {
    let fields = [("best_of_n", 2), ("k", 2), ("num_candidates", 2)];
    for (field, count) in fields {
        let done = request("Hi")
            .field(field, json!(count))
            .ask("bon-cloud.m", usual_script)
            .await
            .unwrap();
        assert_eq!(done.calls.len(), 2 * count, "{field}");
        assert!(done.calls.iter().all(|call| call.body.rest.is_empty()), "{field}");
    }
}

#[tokio::test(start_paused = true)]
async fn conversations_stay_conversations_and_wishes_hold_for_answers() {
    let messages = json!([
        {"role": "system", "content": "Be a pirate."},
        {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Ahoy"},
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,x"}}]},
    ]);
    let request = request("")
        .field("messages", messages)
        .field("tools", json!([{"type": "function", "function": {"name": "f"}}]))
        .field("stop", json!(["END"]))
        .field("temperature", json!(0.3))
        .field("max_tokens", json!(77))
        .field("seed", json!(5));
    let done = request.ask("moa-cloud.m", usual_script).await.unwrap();
    for call in &done.calls {
        let sent = serde_json::to_string(&call.body).unwrap();
        assert!(sent.contains("data:image/png;base64,x"), "{sent}");
        assert!(!sent.contains("User:"), "{sent}");
        let is_judge = sent.contains("Write no answer of your own");
        assert_eq!(call.body.tools.is_empty(), is_judge, "{sent}");
        assert_eq!(call.body.stop.is_empty(), is_judge);
        assert_eq!(call.body.rest.contains_key("seed"), !is_judge);
        if !is_judge {
            let roles: Vec<_> = call.body.messages.iter().map(|message| message.role).collect();
            assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User]);
            assert_eq!(
                (call.body.temperature, call.body.max_answer_tokens()),
                (Some(0.3), Some(77))
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_given_letter_by_letter_as_it_came() {
    let text = "class User:\n    Assistant: x\n<<<end>>> User: y";
    let script = move |_: &str, _: usize| reply(text);
    for approach in ["none", "re2", "bon", "self_consistency", "moa"] {
        let done = request("Hi").ask(&format!("{approach}-cloud.m"), script).await.unwrap();
        assert_eq!(done.answer.content, text, "{approach}");
    }
}

#[tokio::test(start_paused = true)]
async fn several_answers_are_several_choices() {
    let script = |prompt: &str, number: usize| {
        if prompt.contains("Several attempts") {
            return reply("mixed");
        }
        if prompt.contains("Read the question again") {
            return reply("read twice");
        }
        usual_script(prompt, number)
    };
    let done = request("Hi").ask("moa|re2-cloud.m", script).await.unwrap();
    assert_eq!(done.answer.earlier.len(), 1);
    assert_eq!(
        (done.answer.earlier[0].content.as_str(), done.answer.content.as_str()),
        ("mixed", "read twice")
    );
    assert_eq!(done.answer.earlier[0].finish, Some(FinishReason::Stop));
    // One that fails is left out.
    let script = |prompt: &str, number: usize| {
        if prompt.contains("Read the question again") {
            Script::Fail
        } else {
            usual_script(prompt, number)
        }
    };
    let done = request("Hi").ask("moa|re2-cloud.m", script).await.unwrap();
    assert!(done.answer.earlier.is_empty());
}

#[tokio::test(start_paused = true)]
async fn roles_have_models_of_their_own() {
    let request = request("Hi")
        .valves(json!({"judge_model": "cloud.judge", "proposer_models": "cloud.a, cloud.b"}));
    let done = request.ask("moa-cloud.m", usual_script).await.unwrap();
    let models: Vec<_> = done.calls.iter().map(|call| call.body.model.as_str()).collect();
    assert_eq!(models, ["cloud.a", "cloud.b", "cloud.a", "cloud.judge", "cloud.m"]);
}

#[tokio::test(start_paused = true)]
async fn the_question_survives_the_stages_of_a_sequence() {
    let done = request("What is asked?").ask("bon&moa-cloud.m", usual_script).await.unwrap();
    assert!(done.calls.iter().all(|call| prompt(call).contains("What is asked?")));
    let proposals = done.calls_with("An earlier attempt");
    assert_eq!(proposals.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn background_tasks_cost_one_call_and_stay_private() {
    let text = "### Task:\nGenerate a title for jane@example.com";
    let done = request(text).ask("moa-cloud.m", usual_script).await.unwrap();
    assert_eq!(done.calls.len(), 1);
    let done = request(text).ask("privacy&moa-cloud.m", usual_script).await.unwrap();
    assert_eq!(done.calls.len(), 1);
    assert!(!prompt(&done.calls[0]).contains("jane@"));
}

#[tokio::test]
async fn a_chat_is_taken_over_by_its_field_alone() {
    let pipe = Optimizer::on_startup(OptimizerValves::default()).await.unwrap();
    let host = ScriptedHost::new();
    for (model, field, taken, stays) in [
        ("x.m", json!("moa"), "optimizer.moa-x.m", false),
        ("x.m", json!(" bon|moa "), "optimizer.bon|moa-x.m", false),
        ("optimizer.re2-x.m", json!("moa"), "optimizer.moa-re2-x.m", false),
        ("x.m", json!("none"), "x.m", false),
        ("x.m", json!(""), "x.m", false),
        ("x.m", Value::Null, "x.m", false),
        ("x.m", json!("nonsense"), "optimizer.x.m", true),
        ("x.m", json!(7), "optimizer.x.m", true),
    ] {
        let mut body = Body::new(model, vec![]);
        body.rest.insert("optillm_approach".into(), field.clone());
        pipe.take_over(&mut body, &host);
        assert_eq!(
            (body.model.as_str(), body.rest.contains_key("optillm_approach")),
            (taken, stays),
            "{field}"
        );
        let before = body.model.clone();
        pipe.take_over(&mut body, &host);
        assert_eq!(body.model, before, "it is taken over once");
    }
}
