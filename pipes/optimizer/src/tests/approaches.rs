//! The calls of each approach, and its answer.

use super::*;

#[tokio::test(start_paused = true)]
async fn calls_wait_for_each_other_only_where_they_must() {
    let cases = [
        ("none", 1, 1),
        ("re2", 1, 1),
        ("cot_reflection", 1, 1),
        ("autothink", 2, 2),
        ("bon", 2, 6),
        ("moa", 3, 5),
        ("self_consistency", 1, 5),
        ("majority_voting", 1, 8),
        ("genselect", 2, 5),
        ("plansearch", 4, 4),
        ("leap", 5, 7),
        ("pvg", 5, 25),
        ("cepo", 5, 27),
        ("deepthink", 4, 7),
        ("mars", 3, 12),
        ("mcts", 6, 16),
        ("bon|moa|re2", 3, 12),
        ("bon&moa", 5, 11),
    ];
    for (approach, depth, calls) in cases {
        let done = request("What is asked?")
            .ask(&format!("{approach}-cloud.m"), usual_script)
            .await
            .unwrap();
        assert_eq!((done.depth(), done.calls.len()), (depth, calls), "{approach}");
        if approach != "none" {
            let report = &done.answer.facts["x_optimizer"];
            assert_eq!(report["depth"], json!(depth as u64), "{approach}");
            assert_eq!(report["calls"], json!(calls), "{approach}");
            let usage = done.answer.usage.unwrap();
            let calls = calls as u64;
            assert_eq!(
                (usage.prompt_tokens, usage.completion_tokens),
                (10 * calls, 3 * calls),
                "{approach}"
            );
            assert_eq!(report["cost"], json!(13.0 * calls as f64 / 1e6), "{approach}");
        }
    }
    let done = request("Write a program").ask("rto-cloud.m", usual_script).await.unwrap();
    assert_eq!((done.depth(), done.calls.len()), (4, 4));
    let done = request("What is asked?").ask("rstar-cloud.m", usual_script).await.unwrap();
    assert_eq!(done.depth(), 5);
    assert!(done.calls.len() <= 25, "{}", done.calls.len());
}

#[tokio::test(start_paused = true)]
async fn bon_gives_the_answer_with_the_best_mark_however_it_is_written() {
    let script = |prompt: &str, number: usize| {
        if !prompt.contains("Score: <a number") {
            return reply(["one", "two", "three"][number % 3]);
        }
        let marks = [("one\n<<<", "8/10"), ("two\n<<<", "**Rating: 7**"), ("three\n<<<", "9")];
        reply(marks.iter().find(|(text, _)| prompt.contains(text)).unwrap().1)
    };
    let done = request("What is asked?").ask("bon-cloud.m", script).await.unwrap();
    assert_eq!(done.answer.content, "three");
    assert_eq!(done.answer.finish, Some(FinishReason::Stop));
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_fails_leaves_an_answer() {
    let script = |prompt: &str, number: usize| {
        if prompt.contains("Score: <a number") {
            Script::Fail
        } else {
            usual_script(prompt, number)
        }
    };
    for approach in ["bon", "mcts", "pvg", "cepo"] {
        let done =
            request("What is asked?").ask(&format!("{approach}-cloud.m"), script).await.unwrap();
        assert!(done.answer.content.starts_with("The answer is 1"), "{approach}");
    }
    let script = |prompt: &str, number: usize| {
        let judges = ["Best: <the", "Verdict: <", "Write no answer"];
        if judges.iter().any(|part| prompt.contains(part)) {
            Script::Fail
        } else {
            usual_script(prompt, number)
        }
    };
    for approach in ["genselect", "mars", "moa"] {
        let done =
            request("What is asked?").ask(&format!("{approach}-cloud.m"), script).await.unwrap();
        assert!(done.answer.content.starts_with("The answer is 1"), "{approach}");
    }
}

#[tokio::test(start_paused = true)]
async fn votes_count_answers_and_not_texts() {
    let texts = [
        "Guessing gives 17.\n\nThe answer is 17",
        "# Step 1\nSix sevens.\n# Step 2\nSo \\boxed{42}",
        "A product is asked for.\nIt is 6 * 7 = 42",
        "Answer: 42.0",
        "After much thought: 84/2.\n**Final answer:** 42",
    ];
    for approach in ["self_consistency", "majority_voting", "deepthink"] {
        let script = move |prompt: &str, number: usize| {
            if prompt.contains("reasoning below") {
                reply("plan")
            } else {
                reply(texts[number % 5])
            }
        };
        let done = request("6 * 7?").ask(&format!("{approach}-cloud.m"), script).await.unwrap();
        assert!(done.answer.content.contains("42"), "{approach}: {}", done.answer.content);
    }
    let near = |_: &str, number: usize| {
        reply(format!("The answer is {}.", if number == 0 { 41 } else { 42 }))
    };
    let done = request("6 * 7?").ask("self_consistency-cloud.m", near).await.unwrap();
    assert_eq!(done.answer.content, "The answer is 42.");
}

#[tokio::test(start_paused = true)]
async fn a_vote_ends_when_nobody_can_catch_up() {
    let script = |_: &str, number: usize| match number {
        0..3 => reply("Answer: 42"),
        _ => Script::Late(Duration::from_secs(60), "Answer: 1".into()),
    };
    let done = request("6 * 7?").ask("self_consistency-cloud.m", script).await.unwrap();
    assert_eq!(done.took, DELAY);
    assert_eq!(done.answer.content, "Answer: 42");
}

#[tokio::test(start_paused = true)]
async fn a_mark_matters_to_mcts_from_the_first_simulation_on() {
    for simulations in [0, 1, 2, 5] {
        let script = |prompt: &str, number: usize| {
            if !prompt.contains("Score: <a number") {
                return reply(format!("answer number {number} is this"));
            }
            assert!(prompt.contains("What is asked?"));
            reply(if prompt.contains("answer number 1 is this\n<<<end of candidate") {
                "Score: 9"
            } else {
                "Score: 0"
            })
        };
        let request = request("What is asked?").field("mcts_simulations", json!(simulations));
        let done = request.ask("mcts-cloud.m", script).await.unwrap();
        assert_eq!(done.answer.content, "answer number 1 is this", "{simulations}");
        assert!(
            done.calls.iter().all(|call| call.body.messages.last().unwrap().role == Role::User)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn pvg_never_returns_a_false_solution() {
    let script = |prompt: &str, number: usize| {
        if prompt.contains("Score: <a number") {
            return reply(if prompt.contains("sneaky") { "Score: 10" } else { "Score: 5" });
        }
        if prompt.contains("looks convincing") {
            reply(format!("sneaky {number}"))
        } else {
            reply("The answer is 4")
        }
    };
    let done = request("2 + 2?").ask("pvg-cloud.m", script).await.unwrap();
    assert_eq!(done.answer.content, "The answer is 4");
    // Where all honest solutions fail, a false one is no way out.
    let script = |prompt: &str, _: usize| {
        if prompt.contains("looks convincing") { reply("sneaky") } else { Script::Fail }
    };
    assert!(request("2 + 2?").ask("pvg-cloud.m", script).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn mars_improves_what_is_rejected_and_stops_where_all_is_well() {
    let done = request("2 + 2?").ask("mars-cloud.m", usual_script).await.unwrap();
    assert!(done.calls.len() <= 30);
    assert!(done.calls_with("checked and rejected").is_empty());
    let temperatures: Vec<_> =
        done.calls.iter().take(3).map(|call| call.body.temperature.unwrap()).collect();
    assert_eq!(temperatures, [0.3, 0.6, 1.0]);
    let script = |prompt: &str, number: usize| {
        if prompt.contains("Verdict: <CORRECT") {
            reply("Step 2 is wrong.\nVerdict: INCORRECT")
        } else {
            usual_script(prompt, number)
        }
    };
    let request = request("2 + 2?").field(
        "messages",
        json!([
            {"role": "system", "content": "Be a pirate."}, {"role": "user", "content": "2 + 2?"},
        ]),
    );
    let done = request.ask("mars-cloud.m", script).await.unwrap();
    assert!(!done.calls_with("checked and rejected").is_empty());
    assert!(
        done.calls_with("Step 2 is wrong")
            .iter()
            .any(|call| prompt(call).contains("checked and rejected"))
    );
    assert!(done.calls.iter().all(|call| prompt(call).contains("Be a pirate.")));
}

#[tokio::test(start_paused = true)]
async fn rstar_answers_what_is_no_number() {
    let script = |prompt: &str, _: usize| {
        if prompt.contains("several others came to the same") {
            return reply("It is Paris.");
        }
        reply("France is a country.\nFinal answer: Paris")
    };
    let done = request("The capital of France?").ask("rstar-cloud.m", script).await.unwrap();
    assert_eq!(done.answer.content, "It is Paris.");
    assert_eq!(done.depth(), 2);
}

#[tokio::test(start_paused = true)]
async fn cepo_tries_more_plans_only_where_some_have_failed() {
    let failed = Arc::new(AtomicUsize::default());
    let counted = Arc::clone(&failed);
    let script = move |prompt: &str, number: usize| {
        if prompt.contains("Write a short plan") && counted.fetch_add(1, Ordering::Relaxed) == 0 {
            return Script::Fail;
        }
        usual_script(prompt, number)
    };
    let done = request("What is asked?").ask("cepo-cloud.m", script).await.unwrap();
    assert_eq!(done.calls_with("Write a short plan").len(), 10);
    assert_eq!(done.calls_with("Score: <a number").len(), 3);
    let at = |part: &str| done.calls_with(part)[0].body.temperature.unwrap();
    assert_eq!((at("Write a short plan"), at("Carry out this plan")), (0.55, 0.25));
}

#[tokio::test(start_paused = true)]
async fn rto_keeps_what_survives_the_round() {
    let same = |prompt: &str, _: usize| {
        reply(if prompt.contains("Write no code") {
            "It adds."
        } else {
            "```python\n# adds\nprint(1 + 1)\n```"
        })
    };
    let done = request("Write a program").ask("rto-cloud.m", same).await.unwrap();
    assert_eq!(done.calls.len(), 3);
    let prose = |_: &str, _: usize| reply("There is no program in this.");
    let done = request("Hello").ask("rto-cloud.m", prose).await.unwrap();
    assert_eq!(done.calls.len(), 1);
    assert_eq!(done.answer.content, "There is no program in this.");
}

#[tokio::test(start_paused = true)]
async fn leap_learns_only_where_it_was_wrong() {
    let right = |prompt: &str, number: usize| {
        if prompt.contains("2+2?") && !prompt.contains("Reply with a JSON") {
            return reply("Final answer: 4");
        }
        if prompt.contains("3+3?") && !prompt.contains("Reply with a JSON") {
            return reply("Final answer: 6");
        }
        usual_script(prompt, number)
    };
    let done = request("What is asked?").ask("leap-cloud.m", right).await.unwrap();
    assert_eq!(done.calls.len(), 4);
    let none = |prompt: &str, number: usize| {
        if prompt.contains("Reply with a JSON") {
            reply("[]")
        } else {
            usual_script(prompt, number)
        }
    };
    let done = request("What is asked?").ask("leap-cloud.m", none).await.unwrap();
    assert_eq!(done.calls.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn thoughts_of_cot_reflection_are_reasoning_and_the_output_is_the_answer() {
    let text = "<thinking>Hm.<reflection>Yes.</reflection></thinking><output>42</output>";
    let script = move |_: &str, _: usize| reply(text);
    let done = request("6 * 7?").ask("cot_reflection-cloud.m", script).await.unwrap();
    assert_eq!(done.answer.content, "42");
    assert!(done.answer.reasoning.contains("Hm.Yes."));
    let request = request("6 * 7?").field("return_full_response", json!(true));
    assert_eq!(request.ask("cot_reflection-cloud.m", script).await.unwrap().answer.content, text);
}

#[tokio::test(start_paused = true)]
async fn json_is_mended_once_and_never_given_wrong() {
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {
        "type": "object", "properties": {"a": {"type": "object", "required": ["b"]}}, "required": ["a"],
    }}});
    let script = |prompt: &str, _: usize| {
        if prompt.contains("does not fit") {
            reply("```json\n{\"a\": {\"b\": 1}}\n```")
        } else {
            reply("{\"a\": {}}")
        }
    };
    let lab_of = || request("Give it").field("response_format", format.clone());
    let done = lab_of().ask("json-cloud.m", script).await.unwrap();
    assert_eq!(done.answer.content, "{\"a\": {\"b\": 1}}");
    assert!(done.calls.iter().all(|call| call.body.rest.contains_key("response_format")));
    let wrong = |_: &str, _: usize| reply("sorry");
    assert!(lab_of().ask("json-cloud.m", wrong).await.is_err());
    assert_eq!(request("Hi").ask("json-cloud.m", wrong).await.unwrap().answer.content, "sorry");
}

#[tokio::test(start_paused = true)]
async fn autothink_sets_the_effort_and_router_chooses() {
    let script = |prompt: &str, number: usize| {
        if prompt.contains("LOW for facts") {
            return reply("LOW");
        }
        if prompt.contains("VOTE: a sum") {
            return reply("VOTE");
        }
        usual_script(prompt, number)
    };
    let done = request("Hi").ask("autothink-cloud.m", script).await.unwrap();
    assert_eq!(done.calls[1].body.rest["reasoning_effort"], "low");
    let done = request("Hi").ask("router-cloud.m", script).await.unwrap();
    assert_eq!(done.calls.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn memory_reads_all_parts_at_once_and_asks_with_what_it_noted() {
    let text = format!(
        "{}The key is 77.\n\n{}\n\nWhich key?",
        "Nothing here. ".repeat(4000),
        "Nor here. ".repeat(4000)
    );
    let script = |prompt: &str, _: usize| {
        if !prompt.contains("one part of a longer text") {
            return reply("It is 77.");
        }
        if prompt.contains("The key is 77") { reply("The key is 77.") } else { reply("NONE") }
    };
    let done = request(&text).ask("memory-cloud.m", script).await.unwrap();
    assert_eq!(done.depth(), 2);
    assert!(done.max_concurrent >= 3, "{}", done.max_concurrent);
    let last = prompt(done.calls.last().unwrap());
    assert!(
        last.contains("The key is 77.") && last.contains("Which key?") && last.len() < 2000,
        "{}",
        last.len()
    );
    let done =
        request("Short.\n\nWhich key?").ask("memory&bon-cloud.m", usual_script).await.unwrap();
    assert_eq!(done.calls.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn longcepo_looks_sub_questions_up_in_all_parts_in_four_rounds() {
    let text = format!(
        "{}Ann has the key.\n\n{}The key of Ann is 77.\n\n{}\n\nWhich key has its owner?",
        "Nothing here. ".repeat(3000),
        "Nor here. ".repeat(4000),
        "Nor there. ".repeat(2000),
    );
    let script = |prompt: &str, _: usize| {
        let about = |words| prompt.contains(words);
        match () {
            () if about("sub-questions, each on a line") => reply("- Who owns the key?"),
            () if about("at most five sentences") => reply("A part."),
            () if about("Summaries of the parts") && about("Who owns") && about("Ann has") => {
                reply("Ann owns it.")
            }
            () if about("Summaries of the parts") && about("of Ann is 77") => reply("It is 77."),
            () if about("Summaries of the parts") => reply("NONE"),
            () if about("in a few sentences") => reply("Ann."),
            () => reply("Key 77."),
        }
    };
    let done = request(&text).ask("longcepo-cloud.m", script).await.unwrap();
    assert_eq!((done.answer.content.as_str(), done.depth()), ("Key 77.", 4));
    let last = prompt(done.calls.last().unwrap());
    assert!(
        last.contains("answer to \"Who owns the key?\"") && last.contains("It is 77."),
        "{last}"
    );
    assert!(last.len() < 2000 && last.ends_with("Which key has its owner?"), "{last}");
    // A plan, a summary of each part, and both questions for each part.
    let parts = done.calls_with("at most five sentences").len();
    assert_eq!(done.calls_with("Summaries of the parts").len(), 2 * parts);
    assert!(done.calls.len() <= 64, "{}", done.calls.len());
}

#[tokio::test(start_paused = true)]
async fn longcepo_asks_once_about_a_short_text() {
    let done = request("Short.\n\nWhich key?").ask("longcepo-cloud.m", usual_script).await.unwrap();
    assert_eq!(done.calls.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn compact_sums_up_old_turns_and_keeps_calls_of_tools_together() {
    let long = "word ".repeat(400);
    let messages = json!([
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": long}, {"role": "assistant", "content": "one"},
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "three"},
    ]);
    let request = request("")
        .field("messages", messages)
        .field("compact_context_window", json!(100))
        .field("compact_keep_recent", json!(1));
    let script = |prompt: &str, _: usize| {
        reply(if prompt.contains("Sum up") { "it was long" } else { "done" })
    };
    let done = request.ask("compact-cloud.m", script).await.unwrap();
    let roles: Vec<_> = done.calls[1].body.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool]);
    let text = done.calls[1].body.messages[1].text();
    assert!(text.contains("it was long") && text.ends_with("two"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn privacy_lies_over_every_call_wherever_it_is_named() {
    for name in ["privacy", "privacy&moa", "bon&privacy", "moa&privacy"] {
        let messages = json!([
            {"role": "system", "content": "The customer is jane@example.com."},
            {"role": "user", "content": "I am Jane Doe, card 4111 1111 1111 1111."},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"to\":\"jane@example.com\"}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "Sent to jane@example.com"},
            {"role": "user", "content": "Who am I?"},
        ]);
        let tools = json!([{"type": "function", "function": {"name": "f"}}]);
        let request = request("")
            .field("messages", messages)
            .field("tools", tools)
            .field("metadata", json!({"mail": "jane@example.com"}));
        let request =
            request.user(User { id: "1".into(), name: Some("Jane Doe".into()), ..User::default() });
        let script = |prompt: &str, number: usize| {
            if prompt.contains("Score: <") {
                usual_script(prompt, number)
            } else {
                reply(format!("You are <WORD_1> <EMAIL_1>, {number}"))
            }
        };
        let done = request.ask(&format!("{name}-cloud.m"), script).await.unwrap();
        assert!(
            done.answer.content.starts_with("You are Jane Doe jane@example.com"),
            "{name}: {}",
            done.answer.content
        );
        for call in &done.calls {
            let sent = serde_json::to_string(&call.body).unwrap();
            for secret in ["jane@", "Jane", "4111"] {
                assert!(!sent.contains(secret), "{name}: {sent}");
            }
        }
    }
}
