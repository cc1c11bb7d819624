//! Approaches that use more than models: programs in the sandbox, and what `spl` has learnt.

use super::*;
use crate::sandbox;

/// A request that may run code; `None`, with the reason on standard error, where there is no
/// sandbox.
#[expect(clippy::print_stderr, reason = "tells why it is skipped")]
async fn request_with_code(text: &str) -> Option<TestRequest> {
    let request = request(text).valves(json!({"code_execution": true}));
    let Err(reason) = sandbox::check_available().await else { return Some(request) };
    eprintln!("Skipped: {reason}");
    let (error, calls) = request.refused("coc-cloud.m").await;
    assert!(error.contains(&reason) && calls == 0, "{error}");
    None
}

fn program(code: &str) -> Script {
    reply(format!("So:\n```python\n{code}\n```"))
}

#[tokio::test]
async fn a_program_works_out_the_answer() {
    let script = |prompt: &str, _: usize| {
        if prompt.contains("Decide whether a program") {
            return program("def f(n): return g(n) * 2\ndef g(n): return n + 1\nprint(f(20))");
        }
        reply(if prompt.contains("<<<output") && prompt.contains("\n42\n") {
            "It is 42."
        } else {
            "?"
        })
    };
    for approach in ["coc", "executecode"] {
        let Some(request) = request_with_code("What is it?").await else { return };
        let done = request.ask(&format!("{approach}-cloud.m"), script).await.unwrap();
        assert_eq!((done.answer.content.as_str(), done.calls.len()), ("It is 42.", 2));
    }
}

#[tokio::test]
async fn a_program_that_fails_is_mended() {
    let script = |prompt: &str, _: usize| {
        if prompt.contains("ZeroDivisionError") {
            return program("print(6 * 7)");
        }
        if prompt.contains("Decide whether a program") {
            return program("print(1 / 0)");
        }
        reply(if prompt.contains("\n42\n") { "It is 42." } else { "?" })
    };
    let Some(request) = request_with_code("What is it?").await else { return };
    let done = request.ask("coc-cloud.m", script).await.unwrap();
    assert_eq!((done.answer.content.as_str(), done.calls.len()), ("It is 42.", 3));
}

#[tokio::test]
async fn programs_that_cannot_run_are_simulated_or_reported() {
    let script = |prompt: &str, _: usize| {
        if prompt.contains("Decide whether a program") {
            return program("import socket\nsocket.create_connection(('127.0.0.1', 1))");
        }
        if prompt.contains("as an interpreter would") {
            return reply("It would print 42.");
        }
        reply(if prompt.contains("would print 42") { "It is 42." } else { "It failed." })
    };
    for (approach, answer, calls) in [("coc", "It is 42.", 5), ("executecode", "It failed.", 4)] {
        let Some(request) = request_with_code("What is it?").await else { return };
        let done = request.ask(&format!("{approach}-cloud.m"), script).await.unwrap();
        assert_eq!((done.answer.content.as_str(), done.calls.len()), (answer, calls));
        assert!(!done.calls_with("PermissionError").is_empty(), "{approach}");
    }
    let none = |prompt: &str, _: usize| {
        reply(if prompt.contains("Decide whether a program") { "NONE" } else { "Hello." })
    };
    let Some(request) = request_with_code("Hello").await else { return };
    assert_eq!(request.ask("coc-cloud.m", none).await.unwrap().answer.content, "Hello.");
}

#[tokio::test]
async fn a_program_of_the_person_is_run_as_it_is() {
    let text = "What is the output of this?\n```python\nprint(sum(range(10)))\n```";
    let Some(request) = request_with_code(text).await else { return };
    let script = |prompt: &str, _: usize| {
        reply(if prompt.contains("<<<output") && prompt.contains("\n45\n") { "45" } else { "?" })
    };
    let done = request.ask("executecode-cloud.m", script).await.unwrap();
    assert_eq!((done.answer.content.as_str(), done.calls.len()), ("45", 1));
    let text = "What is wrong in this?\n```python\nprint(sum(range(10))\n```";
    let Some(request) = request_with_code(text).await else { return };
    let done = request.ask("executecode-cloud.m", |_, _| reply("NONE")).await.unwrap();
    assert_eq!(done.calls.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_an_admin_has_not_set_up_is_refused_before_the_first_call() {
    for (model, part) in [
        ("coc-cloud.m", "`code_execution`"),
        ("re2&executecode-cloud.m", "`code_execution`"),
        ("web_search&moa-cloud.m", "`search_api`"),
        ("deep_research-cloud.m", "`search_api`"),
    ] {
        let (error, calls) = request("Hi").refused(model).await;
        assert!(error.contains("not available") && error.contains(part), "{model}: {error}");
        assert_eq!(calls, 0, "{model}");
    }
    let (error, calls) =
        request("Hi").field("spl_learning", json!(true)).refused("spl-cloud.m").await;
    assert!(error.contains("spl_learning: is switched off") && calls == 0, "{error}");
}

#[tokio::test]
async fn a_solver_settles_the_constraints_and_mends_its_script() {
    let script = |prompt: &str, _: usize| {
        if prompt.contains("(x 7)") {
            return reply("It is 7.");
        }
        if prompt.contains("unknown constant") {
            return reply(
                "```smt2\n(declare-const x Int)(assert (= (* x 6) 42))(check-sat)(get-value (x))\n```",
            );
        }
        if prompt.contains("SMT-LIB 2") {
            return reply("```smt2\n(assert (= (* x 6) 42))(check-sat)(get-value (x))\n```");
        }
        reply("?")
    };
    if !crate::z3::is_installed() {
        let (error, calls) = request("6 * x = 42").refused("z3-cloud.m").await;
        assert!(error.contains("`z3` is not installed") && calls == 0, "{error}");
        return;
    }
    let done = request("6 * x = 42").ask("z3-cloud.m", script).await.unwrap();
    assert_eq!((done.answer.content.as_str(), done.calls.len()), ("It is 7.", 3));
}

fn user(id: &str) -> User {
    User { id: id.into(), ..User::default() }
}

/// A model that sorts, writes a strategy, and says that it helped.
fn learning_script(prompt: &str, number: usize) -> Script {
    match () {
        () if prompt.contains("You sort requests") => reply("Arithmetic."),
        () if prompt.contains("Write a strategy") => {
            reply(format!("STRATEGY-{number}: check units."))
        }
        () if prompt.contains("Helped: <the numbers") => reply("It did.\nHelped: 1"),
        () if prompt.contains("STRATEGY-") => reply("with strategy"),
        () => reply("without"),
    }
}

#[tokio::test(start_paused = true)]
async fn strategies_serve_the_user_whose_requests_taught_them_alone() {
    let host = ScriptedHost::new();
    let learning = || request("6 * 7?").valves(json!({"spl_learning": true})).on(&host);
    let calls = |done: &Outcome, before: usize| done.calls.len() - before;
    let done = learning()
        .field("spl_learning", json!(true))
        .user(user("ann"))
        .ask("spl-cloud.m", learning_script)
        .await
        .unwrap();
    assert_eq!((done.answer.content.as_str(), calls(&done, 0)), ("with strategy", 4));
    let done = learning().user(user("ann")).ask("spl-cloud.m", learning_script).await.unwrap();
    assert_eq!((done.answer.content.as_str(), calls(&done, 4)), ("with strategy", 2));
    let done = learning().user(user("ben")).ask("spl-cloud.m", learning_script).await.unwrap();
    assert_eq!((done.answer.content.as_str(), calls(&done, 6)), ("without", 2));
    assert!(done.calls[6..].iter().all(|call| !prompt(call).contains("STRATEGY-")));
    // Without a user, nothing is learnt and nothing used.
    let done = learning()
        .field("spl_learning", json!(true))
        .ask("spl-cloud.m", learning_script)
        .await
        .unwrap();
    assert_eq!((done.answer.content.as_str(), calls(&done, 8)), ("without", 2));
    assert!(done.answer.facts["x_optimizer"]["notes"].to_string().contains("names no user"));
}

#[tokio::test(start_paused = true)]
async fn strategies_that_do_not_help_are_forgotten() {
    let host = ScriptedHost::new();
    let script = |prompt: &str, number: usize| {
        if prompt.contains("Helped: <the numbers") {
            return reply("Helped: NONE");
        }
        learning_script(prompt, number)
    };
    let learning = || {
        let request = request("6 * 7?").valves(json!({"spl_learning": true})).on(&host);
        request.field("spl_learning", json!(true)).user(user("ann"))
    };
    let mut written = Vec::new();
    for _ in 0..6 {
        let done = learning().ask("spl-cloud.m", script).await.unwrap();
        written.push(done.calls_with("Write a strategy").len());
    }
    assert_eq!(written, [1, 1, 1, 1, 1, 2]);
}
