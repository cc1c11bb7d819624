//! The limits of a request, and its answer when they are reached.

use super::*;
use futures_util::StreamExt;

#[tokio::test(start_paused = true)]
async fn one_of_three_proposers_fails_and_the_answer_stands() {
    let script = |prompt: &str, number: usize| {
        if number == 1 { Script::Fail } else { usual_script(prompt, number) }
    };
    let done = request("What is asked?").ask("moa-cloud.m", script).await.unwrap();
    assert_eq!(done.calls.len(), 5);
    assert!(
        prompt(&done.calls[4]).contains("candidate 2")
            && !prompt(&done.calls[4]).contains("candidate 3")
    );
}

#[tokio::test(start_paused = true)]
async fn if_no_call_succeeds_the_error_is_that_of_the_model() {
    let fails = |_: &str, _: usize| Script::Fail;
    let refuses = |_: &str, _: usize| Script::Refuse;
    for approach in [
        "bon",
        "moa",
        "mcts",
        "pvg",
        "cepo",
        "mars",
        "rstar",
        "leap",
        "plansearch",
        "rto",
        "re2",
        "bon|moa",
    ] {
        let model = format!("{approach}-cloud.m");
        let failed = request("What is asked?").ask(&model, fails).await.err().unwrap();
        assert!(failed.to_string().contains("the model fails"), "{approach}: {failed}");
        let refused = request("What is asked?").ask(&model, refuses).await.err().unwrap();
        assert!(matches!(refused, PipeError::BadRequest { .. }), "{approach}: {refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_tokens_and_dollars_are_bounded_and_the_best_so_far_is_given() {
    for (valve, limit, calls) in
        [("max_calls", json!(4), 4), ("max_tokens", json!(39), 3), ("max_cost", json!(0.000039), 3)]
    {
        let request = request("What is asked?").valves(json!({valve: limit}));
        let done = request.ask("moa-cloud.m", usual_script).await.unwrap();
        assert_eq!(done.calls.len(), calls, "{valve}");
        assert_eq!(done.answer.content, "The answer is 1000.");
        let notes = done.answer.facts["x_optimizer"]["notes"].to_string();
        assert!(notes.contains("best answer so far"), "{notes}");
    }
    let request = request("What is asked?").valves(json!({"max_calls": 1}));
    let script = |prompt: &str, _: usize| {
        if prompt.contains("three observations") { reply("- It is.") } else { reply("no") }
    };
    let refused = request.ask("plansearch-cloud.m", script).await.err().unwrap();
    assert!(refused.to_string().contains("calls that it may spend"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn at_most_so_many_calls_are_under_way() {
    let request = request("What is asked?").valves(json!({"max_concurrent": 2}));
    let done = request.ask("majority_voting-cloud.m", usual_script).await.unwrap();
    assert_eq!((done.max_concurrent, done.depth()), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_gives_the_best_so_far() {
    let script = |prompt: &str, number: usize| {
        if prompt.contains("Several attempts") {
            Script::Hang
        } else {
            usual_script(prompt, number)
        }
    };
    let lab_of = || request("What is asked?");
    let done =
        lab_of().hint("x-pipewright-deadline", "3").ask("moa-cloud.m", script).await.unwrap();
    assert_eq!(done.took, Duration::from_secs(3));
    assert_eq!(done.answer.content, "The answer is 1000.");
    let late = lab_of()
        .field("optillm_deadline_seconds", json!(1))
        .ask("moa-cloud.m", |_, _| Script::Hang);
    assert!(matches!(late.await, Err(PipeError::Timeout(_))));
}

#[tokio::test(start_paused = true)]
async fn who_is_much_slower_than_most_is_left_behind() {
    let script = |prompt: &str, number: usize| {
        if number == 2 { Script::Hang } else { usual_script(prompt, number) }
    };
    let done = request("What is asked?").ask("bon-cloud.m", script).await.unwrap();
    assert!(done.took < Duration::from_secs(10), "{:?}", done.took);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_answer_ends_all_calls() {
    let (chunks, host, _) =
        request("What is asked?").begin("majority_voting-cloud.m", |_, _| Script::Hang).await;
    let mut chunks = chunks.unwrap();
    while let Some(Ok(chunk)) = chunks.next().await {
        if matches!(chunk, Chunk::Reasoning(_)) {
            break;
        }
    }
    assert_eq!(host.calls().len(), 8);
    // Every call holds a copy of what the script counts with.
    drop(chunks);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(host.calls().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn the_first_goes_ahead_where_it_fills_the_cache() {
    let text = "word ".repeat(2000);
    let request = request(&text).valves(json!({"cache_above_tokens": 1000}));
    let done = request.ask("self_consistency-cloud.m", usual_script).await.unwrap();
    assert_eq!(done.depth(), 2);
    let short = super::request("short").valves(json!({"cache_above_tokens": 1000}));
    assert_eq!(short.ask("self_consistency-cloud.m", usual_script).await.unwrap().depth(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_truncated_answer_says_so() {
    let script = |prompt: &str, number: usize| {
        if prompt.contains("Several attempts") {
            Script::Truncated("The ans".into())
        } else {
            usual_script(prompt, number)
        }
    };
    let done = request("What is asked?").ask("moa-cloud.m", script).await.unwrap();
    assert_eq!(done.answer.content, "The ans");
    assert_eq!(done.answer.finish, Some(FinishReason::Length));
    let script = |_: &str, _: usize| Script::Truncated("Answer: 7".into());
    let done = request("What is asked?").ask("self_consistency-cloud.m", script).await.unwrap();
    assert_eq!(done.answer.finish, Some(FinishReason::Length));
}

#[tokio::test(start_paused = true)]
async fn progress_is_shown_before_the_answer() {
    let (chunks, ..) = request("What is asked?").begin("moa-cloud.m", usual_script).await;
    let chunks: Vec<_> = chunks.unwrap().map(Result::unwrap).collect().await;
    let at = |wanted: fn(&Chunk) -> bool| chunks.iter().position(wanted).unwrap();
    let first =
        at(|chunk| matches!(chunk, Chunk::Reasoning(text) if text.contains("2 of 3 proposals")));
    let content = at(|chunk| matches!(chunk, Chunk::Content(_)));
    let usages = chunks.iter().filter(|chunk| matches!(chunk, Chunk::Usage(_))).count();
    assert!(first < content);
    assert_eq!(usages, 1);
    let quiet = request("What is asked?").valves(json!({"show_progress": false}));
    assert_eq!(quiet.ask("moa-cloud.m", usual_script).await.unwrap().answer.reasoning, "");
}
