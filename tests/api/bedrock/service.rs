//! Options of the service itself: guardrails, latency, service tiers, request metadata.

use super::*;
use reqwest::Method;

const BODY: &str = "guardrailConfig";

/// Returns a guardrail of the body's own.
fn guardrail_field(id: &str) -> Value {
    chat_with(
        json!({BODY: {"guardrailIdentifier": id, "guardrailVersion": "2", "trace": "enabled", "streamProcessingMode": "async"}}),
    )
}

impl Rig {
    /// Returns the request that Bedrock gets for a chat with these headers.
    async fn sent_with(&self, headers: &[(&str, &str)], mut body: Value) -> Value {
        body["model"] = MODEL.into();
        let request = self.host.request(Method::POST, "/chat/completions").json(&body);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answered = TestResponse::read(request.send().await.unwrap()).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        chats(&self.bedrock).pop().unwrap().json
    }

    /// Returns the guardrail of a streamed chat with these headers. A plain one has the same, but
    /// for the mode of streams.
    async fn guardrail(&self, headers: &[(&str, &str)], mut body: Value) -> Value {
        let plain = self.sent_with(headers, body.clone()).await;
        body["stream"] = true.into();
        let streamed = self.sent_with(headers, body).await;
        assert_eq!(plain[BODY], without_mode(streamed[BODY].clone()));
        streamed[BODY].clone()
    }
}

fn without_mode(mut guardrail: Value) -> Value {
    guardrail.as_object_mut().map(|members| members.remove("streamProcessingMode"));
    guardrail
}

#[actix_web::test]
async fn the_guardrail_of_the_valves_watches_over_every_chat() {
    let rig = rig_with(&[("guardrail_id", "gr1"), ("guardrail_version", "3")]).await;
    let usual = json!({"guardrailIdentifier": "gr1", "guardrailVersion": "3", "streamProcessingMode": "sync"});
    assert_eq!(rig.guardrail(&[], chat_with(json!({}))).await, usual);
    let headers = [("X-Amzn-Bedrock-GuardrailIdentifier", "gr2")];
    let guardrail = rig.guardrail(&headers, chat_with(json!({}))).await;
    assert_eq!(guardrail, usual, "no request may name another");
    assert_eq!(rig.guardrail(&[], guardrail_field("gr2")).await, usual);
    let whole = json!({"guardrailIdentifier": "gr1", "guardrailVersion": "3"});
    let tools = json!({"tools": [tool("a")], "stream": true});
    let sent = rig.sent_body(LLAMA, chat_with(tools)).await;
    assert_eq!(sent[BODY], whole, "what is not streamed has no mode for that");
}

#[actix_web::test]
async fn the_valves_say_how_the_guardrail_works() {
    let valves = [
        ("guardrail_id", "gr1"),
        ("guardrail_trace", "enabled_full"),
        ("guardrail_streaming", "async"),
    ];
    let rig = rig_with(&valves).await;
    assert_eq!(
        rig.guardrail(&[], chat_with(json!({}))).await,
        json!({"guardrailIdentifier": "gr1", "guardrailVersion": "DRAFT", "trace": "enabled_full", "streamProcessingMode": "async"})
    );
}

#[actix_web::test]
async fn a_request_names_its_guardrail_in_the_body_or_in_headers() {
    let rig = rig().await;
    assert_eq!(rig.sent_body(NOVA, chat_with(json!({}))).await[BODY], Value::Null);
    assert_eq!(rig.guardrail(&[], guardrail_field("gr2")).await, guardrail_field("gr2")[BODY]);
    let headers = [
        ("X-Amzn-Bedrock-GuardrailIdentifier", "gr3"),
        ("X-Amzn-Bedrock-GuardrailVersion", "7"),
        ("X-Amzn-Bedrock-Trace", "ENABLED"),
    ];
    assert_eq!(
        rig.sent_with(&headers, chat_with(json!({}))).await[BODY],
        json!({"guardrailIdentifier": "gr3", "guardrailVersion": "7", "trace": "enabled"})
    );
    assert_eq!(
        rig.guardrail(&headers, guardrail_field("gr2")).await,
        guardrail_field("gr2")[BODY],
        "the body wins"
    );
    for (config, field) in [
        (json!("gr2"), "guardrailConfig"),
        (json!({"guardrailIdentifier": "gr2", "trace": "loud"}), "guardrailConfig.trace"),
        (
            json!({"guardrailIdentifier": "gr2", "streamProcessingMode": "odd"}),
            "guardrailConfig.streamProcessingMode",
        ),
    ] {
        assert_eq!(rig.refused_field(NOVA, chat_with(json!({BODY: config}))).await, field);
    }
}

#[actix_web::test]
async fn a_request_may_name_another_guardrail_if_the_admin_wants_it_so() {
    let rig = rig_with(&[("guardrail_id", "gr1"), ("guardrail_choice", "true")]).await;
    assert_eq!(rig.sent_body(NOVA, chat_with(json!({}))).await[BODY]["guardrailIdentifier"], "gr1");
    assert_eq!(
        rig.sent_body(NOVA, guardrail_field("gr2")).await[BODY]["guardrailIdentifier"],
        "gr2"
    );
}

#[actix_web::test]
async fn an_answer_that_a_guardrail_blocks_ends_as_filtered_and_tells_its_trace() {
    let rig = rig().await;
    let trace = json!({"guardrail": {"actionReason": "Guardrail blocked."}});
    let blocked = || {
        ModelAnswer::with_text(["Blocked."])
            .stop("guardrail_intervened")
            .metadata("trace", trace.clone())
    };
    rig.script(blocked());
    let answered = rig.ask(NOVA, guardrail_field("gr2")).await.json;
    assert_eq!(answered["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(answered["choices"][0]["message"]["content"], "Blocked.");
    assert_eq!(answered["bedrock_guardrail"], trace["guardrail"]);
    rig.script(blocked());
    let chunks = rig.chunks(NOVA, guardrail_field("gr2")).await;
    assert_eq!((&*text_of(&chunks), finish_of(&chunks)), ("Blocked.", Some("content_filter")));
    assert!(
        chunks.iter().any(|chunk| chunk["bedrock_guardrail"] == trace["guardrail"]),
        "{chunks:?}"
    );
}

#[actix_web::test]
async fn a_tier_is_passed_on_and_told_back() {
    let rig = rig().await;
    for tier in ["default", "flex", "priority", "reserved"] {
        let sent = rig.sent_body(NOVA, chat_with(json!({"service_tier": tier}))).await;
        assert_eq!(sent["serviceTier"], json!({"type": tier}));
        let answered = rig.ask(NOVA, chat_with(json!({"service_tier": tier}))).await.json;
        assert_eq!(answered["service_tier"], tier);
    }
    let sent = rig.sent_body(NOVA, chat_with(json!({"serviceTier": {"type": "flex"}}))).await;
    assert_eq!(sent["serviceTier"], json!({"type": "flex"}));
    for none in [json!("auto"), json!(null), json!("")] {
        let sent = rig.sent_body(NOVA, chat_with(json!({"service_tier": none}))).await;
        assert_eq!(sent["serviceTier"], Value::Null);
    }
    for odd in [json!("fast"), json!(1)] {
        assert_eq!(
            rig.refused_field(NOVA, chat_with(json!({"service_tier": odd}))).await,
            "service_tier"
        );
    }
}

#[actix_web::test]
async fn a_latency_is_passed_on() {
    let rig = rig().await;
    for field in ["performanceConfig", "performance_config"] {
        for latency in ["standard", "optimized"] {
            let sent = rig.sent_body(NOVA, chat_with(json!({field: {"latency": latency}}))).await;
            assert_eq!(sent["performanceConfig"], json!({"latency": latency}));
        }
    }
    let nested = chat_with(json!({"extra_body": {"performanceConfig": {"latency": "optimized"}}}));
    assert_eq!(rig.sent_body(NOVA, nested).await["performanceConfig"]["latency"], "optimized");
    let odd = chat_with(json!({"performanceConfig": {"latency": "odd"}}));
    assert_eq!(rig.refused_field(NOVA, odd).await, "performanceConfig.latency");
}

#[actix_web::test]
async fn notes_for_the_bill_are_those_that_aws_takes() {
    let rig = rig().await;
    let long = "x".repeat(257);
    for (metadata, sent) in [
        (json!({"team": "a b", "cost:centre": "42"}), json!({"team": "a b", "cost:centre": "42"})),
        (json!({"ok": "", "": "x", "ä": "x", "long": long, "odd": "ü"}), json!({"ok": ""})),
        (json!({"chat": {"id": 1}, "team": "a"}), Value::Null),
        (json!({}), Value::Null),
    ] {
        let body = rig.sent_body(NOVA, chat_with(json!({"metadata": metadata}))).await;
        assert_eq!(body["requestMetadata"], sent, "{metadata}");
    }
    let many: Value = (0..20).map(|n| (format!("k{n}"), json!("v"))).collect();
    let body = rig.sent_body(NOVA, chat_with(json!({"requestMetadata": many}))).await;
    assert_eq!(body["requestMetadata"].as_object().unwrap().len(), 16);
}

#[actix_web::test]
async fn who_asks_is_told_to_aws_only_if_the_admin_wants_it_so() {
    let headers = [
        ("X-OpenWebUI-User-Id", "u1"),
        ("X-OpenWebUI-User-Email", "a@b.c"),
        ("X-OpenWebUI-User-Role", "user"),
    ];
    let silent = rig().await;
    let user = chat_with(json!({"user": {"id": "u2", "email": "b@b.c", "role": "admin"}}));
    assert_eq!(
        silent.sent_with(&headers, chat_with(json!({}))).await["requestMetadata"],
        Value::Null
    );
    assert_eq!(silent.sent_with(&[], user.clone()).await["requestMetadata"], Value::Null);

    let telling = rig_with(&[("user_in_metadata", "true")]).await;
    let sent = telling.sent_with(&headers, chat_with(json!({"metadata": {"team": "x"}}))).await;
    let told = json!({"user_id": "u1", "user_email": "a@b.c", "user_role": "user", "team": "x"});
    assert_eq!(sent["requestMetadata"], told);
    let told = json!({"user_id": "u2", "user_email": "b@b.c", "user_role": "admin"});
    assert_eq!(telling.sent_with(&[], user).await["requestMetadata"], told);
    let sent = telling.sent_with(&[], chat_with(json!({"user": "u3"}))).await;
    assert_eq!(sent["requestMetadata"], json!({"user_id": "u3"}));
    assert_eq!(telling.sent_with(&[], chat_with(json!({}))).await["requestMetadata"], Value::Null);
}

#[actix_web::test]
async fn the_models_own_fields_are_passed_on() {
    let rig = rig().await;
    let own = json!({"inferenceConfig": {"topK": 3}});
    for field in ["additionalModelRequestFields", "additional_model_request_fields"] {
        let sent = rig.sent_body(NOVA, chat_with(json!({field: own}))).await;
        assert_eq!(sent["additionalModelRequestFields"], own);
        assert_eq!(rig.refused_field(NOVA, chat_with(json!({field: [1]}))).await, field);
    }
}

#[actix_web::test]
async fn a_guardrail_without_a_name_leaves_the_admins_in_place() {
    let valves = [("guardrail_id", "gr1"), ("guardrail_choice", "true")];
    let rig = rig_with(&valves).await;
    let of_header = [("X-Amzn-Bedrock-GuardrailIdentifier", " ")];
    for sent in [
        rig.sent_body(NOVA, guardrail_field("")).await,
        rig.sent_body(NOVA, guardrail_field(" ")).await,
        rig.sent_with(&of_header, chat_with(json!({}))).await,
    ] {
        assert_eq!(sent[BODY]["guardrailIdentifier"], "gr1");
    }
    assert_eq!(
        rig.refused_field(NOVA, guardrail_field("BAD ID!")).await,
        "guardrailConfig.guardrailIdentifier"
    );
    let latest =
        chat_with(json!({BODY: {"guardrailIdentifier": "gr2", "guardrailVersion": "latest"}}));
    assert_eq!(rig.refused_field(NOVA, latest).await, "guardrailConfig.guardrailVersion");
}

#[actix_web::test]
async fn an_id_can_say_that_the_quicker_kind_is_meant() {
    let rig = rig().await;
    let sent = rig.sent_body(&format!("{NOVA}:latency-optimized"), chat_with(json!({}))).await;
    assert_eq!(sent["performanceConfig"], json!({"latency": "optimized"}));
}

#[actix_web::test]
async fn a_tier_may_come_in_bedrocks_own_words() {
    let rig = rig().await;
    for tier in [json!("flex"), json!({"type": "flex"})] {
        let sent = rig.sent_body(NOVA, chat_with(json!({"serviceTier": tier}))).await;
        assert_eq!(sent["serviceTier"], json!({"type": "flex"}));
    }
}

#[actix_web::test]
async fn a_guardrail_that_cannot_be_is_refused_rather_than_left_out() {
    let rig = rig().await;
    for (config, field) in [
        (
            json!({"guardrailIdentifier": "abc", "guardrailVersion": 1}),
            "guardrailConfig.guardrailVersion",
        ),
        (json!({"guardrailIdentifier": 7}), "guardrailConfig.guardrailIdentifier"),
        (json!({"guardrailVersion": "1"}), "guardrailConfig.guardrailIdentifier"),
    ] {
        assert_eq!(
            rig.refused_field(NOVA, chat_with(json!({BODY: config}))).await,
            field,
            "{config}"
        );
    }
    let own = json!({"guardrail_identifier": "abc", "guardrail_version": "2"});
    let sent = rig.sent_body(NOVA, chat_with(json!({"guardrail_config": own}))).await;
    assert_eq!(sent[BODY]["guardrailVersion"], "2");
}

#[actix_web::test]
async fn nobody_can_say_in_the_notes_that_they_are_somebody_else() {
    let rig = rig_with(&[("user_in_metadata", "true")]).await;
    let user = json!({"id": "u1", "role": "user", "email": "m\u{fc}ller@b.c"});
    let forged = json!({"user_id": "u2", "user_role": "admin", "team": "x"});
    let sent = rig.sent_body(NOVA, chat_with(json!({"user": user, "metadata": forged}))).await;
    assert_eq!(
        sent["requestMetadata"],
        json!({"user_id": "u1", "user_email": "m_ller@b.c", "user_role": "user", "team": "x"})
    );
}
