//! The rules for chats that go to the cloud, and for those that never do.

use super::*;
use serde_json::{Value, json};

fn body(fields: &Value) -> Body {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_str(&body.to_string()).unwrap()
}

fn pictured() -> Body {
    body(
        &json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}]}),
    )
}

fn person(role: &str) -> User {
    User { id: "ann".into(), role: Some(role.into()), ..User::default() }
}

/// Returns the side that answers this chat of this person.
async fn answered(
    valves: &HybridValves,
    sides: &ScriptedBackends,
    body: Body,
    role: &str,
) -> ChatOutcome {
    sides.ask_with(&router(valves.clone()).await, SMART, body, person(role), None).await
}

#[tokio::test(start_paused = true)]
async fn what_the_local_model_cannot_do_goes_to_the_cloud_at_once() {
    let tool = json!({"tools": [{"type": "function", "function": {"name": "f"}}]});
    let long = json!({"messages": [{"role": "user", "content": "long ".repeat(1000)}]});
    let valves = HybridValves { local_context_tokens: Some(1000), ..valves() };
    for body in [pictured(), body(&tool), body(&long)] {
        let sides = ScriptedBackends::new(Behaviour::Answer, Behaviour::Answer);
        answered(&valves, &sides, body, "user").await.assert_answered_by(CLOUD_MODEL);
        assert_eq!(sides.called_models(), [CLOUD_MODEL]);
    }
}

#[tokio::test(start_paused = true)]
async fn if_no_side_can_answer_the_error_says_why() {
    let spent = ScriptedBackends::new(Behaviour::Answer, Behaviour::Answer);
    spent.host.spend("ann", 2_000_000);
    let sides = ScriptedBackends::new(Behaviour::Answer, Behaviour::Answer);
    for (valves, sides, role, why) in [
        (HybridValves { cloud_model: None, ..valves() }, &sides, "user", "no cloud model is set"),
        (
            HybridValves { cloud_fallback: false, ..valves() },
            &sides,
            "user",
            "the cloud does not answer in its place",
        ),
        (
            HybridValves { local_roles: Some("user".into()), ..valves() },
            &sides,
            "User",
            "your role may not use the cloud",
        ),
        (
            HybridValves { cloud_budget_per_day: Some(1.5), ..valves() },
            &spent,
            "user",
            "your budget of $1.5 a day for the cloud is used up",
        ),
    ] {
        let outcome = answered(&valves, sides, pictured(), role).await;
        let error = outcome.expect_error().to_string();
        assert!(
            error.starts_with(
                "the chat holds pictures or files, which the local model does not take, and "
            ),
            "{error}"
        );
        assert!(error.contains(why), "{error}");
    }
    assert!(sides.called_models().is_empty() && spent.called_models().is_empty());
}

#[tokio::test(start_paused = true)]
async fn chats_that_are_long_or_of_some_roles_or_hours_are_for_the_cloud_and_locally_answered_if_it_fails()
 {
    let long = || body(&json!({"messages": [{"role": "user", "content": "long ".repeat(1000)}]}));
    let wishes = [
        (HybridValves { cloud_above_prompt_tokens: Some(1000), ..valves() }, long()),
        (HybridValves { cloud_roles: Some("pending, admin".into()), ..valves() }, hello()),
        (HybridValves { cloud_hours: Some("0-24".into()), ..valves() }, hello()),
    ];
    for (valves, body) in wishes {
        let sides = ScriptedBackends::new(Behaviour::Answer, Behaviour::Answer);
        answered(&valves, &sides, body.clone(), "admin").await.assert_answered_by(CLOUD_MODEL);
        assert_eq!(sides.called_models(), [CLOUD_MODEL]);
        let sides = ScriptedBackends::new(Behaviour::Answer, Behaviour::Fail(broken));
        answered(&valves, &sides, body, "admin").await.assert_answered_by(LOCAL_MODEL);
    }
    let sides = ScriptedBackends::new(Behaviour::Answer, Behaviour::Answer);
    let valves = HybridValves {
        cloud_above_prompt_tokens: Some(1000),
        cloud_roles: Some("admin".into()),
        ..valves()
    };
    answered(&valves, &sides, hello(), "user").await.assert_answered_by(LOCAL_MODEL);
}

#[tokio::test(start_paused = true)]
async fn background_tasks_stay_local_whatever_the_rules_say() {
    let valves = HybridValves { cloud_hours: Some("0-24".into()), ..valves() };
    let template = body(
        &json!({"messages": [{"role": "user", "content": "### Task:\nGenerate 1-3 broad tags"}]}),
    );
    for (body, task, side) in [
        (hello(), Some("title_generation"), LOCAL_MODEL),
        (hello(), Some("moa_response_generation"), CLOUD_MODEL),
        (template, None, LOCAL_MODEL),
        (hello(), None, CLOUD_MODEL),
    ] {
        let sides = ScriptedBackends::new(Behaviour::Answer, Behaviour::Answer);
        let router = router(valves.clone()).await;
        sides.ask_with(&router, SMART, body, person("user"), task).await.assert_answered_by(side);
    }
    let sides = ScriptedBackends::new(Behaviour::Fail(broken), Behaviour::Answer);
    let router = router(valves).await;
    let task = Some("tags_generation");
    sides
        .ask_with(&router, SMART, hello(), person("user"), task)
        .await
        .assert_answered_by(CLOUD_MODEL);
}

#[tokio::test(start_paused = true)]
async fn whose_budget_is_used_up_stays_local() {
    let valves = HybridValves {
        cloud_budget_per_day: Some(1.0),
        cloud_roles: Some("user".into()),
        ..valves()
    };
    let sides = ScriptedBackends::new(Behaviour::Answer, Behaviour::Answer);
    sides.host.spend("ann", 999_999);
    answered(&valves, &sides, hello(), "user").await.assert_answered_by(CLOUD_MODEL);
    sides.host.spend("ann", 1);
    answered(&valves, &sides, hello(), "user").await.assert_answered_by(LOCAL_MODEL);
    sides.set_local(Behaviour::Fail(broken));
    answered(&valves, &sides, hello(), "user").await.expect_error();
    assert_eq!(sides.called_models(), [CLOUD_MODEL, LOCAL_MODEL, LOCAL_MODEL]);
}

#[tokio::test(start_paused = true)]
async fn chats_at_once_cannot_all_pass_a_budget_before_the_first_is_counted() {
    // Each answer may cost 0.2 cents: a token costs a millionth of a dollar here.
    let valves = HybridValves {
        cloud_budget_per_day: Some(0.003),
        cloud_roles: Some("user".into()),
        ..valves()
    };
    let sides = ScriptedBackends::new(Behaviour::Answer, Behaviour::Answer);
    let router = router(valves).await;
    let mut under_way = Vec::new();
    for _ in 0..64 {
        let call = sides.call(SMART, hello(), person("user"), None);
        // The host holds the context until the cost of the answer is counted.
        let context = call.host.context().clone();
        under_way.push((context, Arc::clone(&router).pipe(call).await.unwrap()));
    }
    assert_eq!(sides.called_models().iter().filter(|side| **side == CLOUD_MODEL).count(), 2);
    assert_eq!(under_way.len(), 64, "the local model answers the others");
}

#[tokio::test(start_paused = true)]
async fn local_roles_never_reach_the_cloud() {
    let valves = HybridValves {
        local_roles: Some("user".into()),
        cloud_hours: Some("0-24".into()),
        ..valves()
    };
    let sides = ScriptedBackends::new(Behaviour::Fail(broken), Behaviour::Answer);
    answered(&valves, &sides, hello(), "user").await.expect_error();
    assert_eq!(sides.called_models(), [LOCAL_MODEL]);
}

#[test]
fn valves_that_cannot_be_so_are_named() {
    use pipe_sdk::Valves;
    for (valves, valve) in [
        (HybridValves { local_endpoint: "localhost:5000".into(), ..valves() }, "local_endpoint"),
        (
            HybridValves { local_endpoint: "hybrid_router.hybrid-smart".into(), ..valves() },
            "local_endpoint",
        ),
        (
            HybridValves { cloud_model: Some("hybrid_router.hybrid-local".into()), ..valves() },
            "cloud_model",
        ),
        (HybridValves { cloud_hours: Some("by day".into()), ..valves() }, "cloud_hours"),
    ] {
        let faults = valves.validate();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].valve, valve);
    }
    assert_eq!(valves().validate(), []);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_listed_before_it_is_set_up() {
    use pipe_sdk::Serves;
    let listed = async |valves| match router(valves).await.serves() {
        Serves::Manifold(models) => models.iter().map(|model| model.id.clone()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert!(listed(HybridValves::default()).await.is_empty());
    assert_eq!(listed(valves()).await, ["hybrid-smart", "hybrid-local", "hybrid-cloud"]);
    let pinned = HybridValves { cloud_model: None, ..valves() };
    assert_eq!(listed(pinned).await, ["hybrid-smart", "hybrid-local"]);
}
