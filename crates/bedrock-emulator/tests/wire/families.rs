//! The refusals that differ between model families, for every chat model.

#![expect(clippy::needless_pass_by_value, reason = "the tables read better")]

use crate::validation::{hello, judged, text, tools, turns};
use aws_smithy_types::base64;
use bedrock_emulator::{Catalogue, validate};
use serde_json::{Value, json};

const HAIKU_3: &str = "anthropic.claude-3-haiku-20240307-v1:0";
const SONNET_3_7: &str = "anthropic.claude-3-7-sonnet-20250219-v1:0";
const SONNET_4_5: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const SONNET_4_6: &str = "anthropic.claude-sonnet-4-6";
const OPUS_4_5: &str = "anthropic.claude-opus-4-5-20251101-v1:0";
const OPUS_4_8: &str = "anthropic.claude-opus-4-8";
const OPUS_5_5: &str = "anthropic.claude-opus-5-5";
const MICRO: &str = "amazon.nova-micro-v1:0";
const LITE: &str = "amazon.nova-lite-v1:0";
const NOVA_2: &str = "amazon.nova-2-lite-v1:0";
const TITAN: &str = "amazon.titan-text-lite-v1";
const JAMBA: &str = "ai21.jamba-1-5-mini-v1:0";
const LLAMA_4: &str = "meta.llama4-scout-17b-instruct-v1:0";
const PIXTRAL: &str = "mistral.pixtral-large-2502-v1:0";
const VOXTRAL: &str = "mistral.voxtral-mini-3b-2507";
const MISTRAL_2402: &str = "mistral.mistral-large-2402-v1:0";
const MISTRAL_2407: &str = "mistral.mistral-large-2407-v1:0";
const COMMAND_R: &str = "cohere.command-r-v1:0";
const R1: &str = "deepseek.r1-v1:0";
const DEEPSEEK: &str = "deepseek.v3.2";
const QWEN: &str = "qwen.qwen3-32b-v1:0";
const OSS: &str = "openai.gpt-oss-120b-1:0";
const GPT_5_5: &str = "openai.gpt-5.5";
const GPT_6: &str = "openai.gpt-6-sol";
const GROK: &str = "xai.grok-4.6";
const KIMI: &str = "moonshotai.kimi-k3";
const GLM: &str = "zai.glm-5";

const STRANGER: &str = "extraneous key [";

fn table<const N: usize>(rows: [(&str, Value, &str); N]) {
    judged(&Catalogue::all_chat_models(), rows);
}

fn with_fields(fields: Value) -> Value {
    hello(json!({ "additionalModelRequestFields": fields }))
}

fn configured(config: Value) -> Value {
    hello(json!({ "inferenceConfig": config }))
}

fn merged(mut body: Value, extra: Value) -> Value {
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

fn choosing(choice: Value) -> Value {
    merged(
        hello(json!({})),
        json!({ "toolConfig": merged(tools(&["clock"]), json!({ "toolChoice": choice })) }),
    )
}

fn thought(signature: &str) -> Value {
    let mut text = json!({ "text": "Hm." });
    if !signature.is_empty() {
        text["signature"] = signature.into();
    }
    json!({ "reasoningContent": { "reasoningText": text } })
}

fn call(id: &str) -> Value {
    json!({ "toolUse": { "toolUseId": id, "name": "clock", "input": {} } })
}

fn result(id: &str, content: Value) -> Value {
    json!({ "toolResult": { "toolUseId": id, "content": content } })
}

#[test]
fn every_chat_model_takes_a_greeting() {
    for model in &Catalogue::all_chat_models().models {
        let taken = validate::check_converse(model, &hello(json!({})));
        assert_eq!(taken.is_ok(), model.provider != "TwelveLabs", "{}", model.id);
    }
}

#[test]
fn a_capability_letter_holds_for_every_model() {
    let image = json!([{ "image": { "format": "png", "source": { "bytes": base64::encode(b"\x89PNG\r\n\x1a\n0000") } } }]);
    let file = json!([{ "text": "see" }, { "document": { "format": "txt", "name": "a", "source": { "text": "hi" } } }]);
    let point = json!([{ "text": "a" }, { "cachePoint": { "type": "default" } }]);
    let closed = json!({ "type": "object", "additionalProperties": false }).to_string();
    let format =
        json!({ "type": "json_schema", "structure": { "jsonSchema": { "schema": closed } } });
    for model in
        Catalogue::all_chat_models().models.iter().filter(|model| model.provider != "TwelveLabs")
    {
        for (letter, body) in [
            ('T', hello(json!({ "toolConfig": tools(&["clock"]) }))),
            ('C', choosing(json!({ "auto": {} }))),
            ('Y', hello(json!({ "system": [{ "text": "be kind" }] }))),
            ('V', turns(&[("user", image.clone())])),
            ('P', turns(&[("user", file.clone())])),
            ('K', turns(&[("user", point.clone())])),
            ('A', turns(&[("user", text("hi")), ("assistant", text("Once"))])),
            ('J', hello(json!({ "outputConfig": { "textFormat": format.clone() } }))),
        ] {
            let taken = validate::check_converse(model, &body);
            assert_eq!(
                taken.is_ok(),
                model.has_capability(letter),
                "{} {letter} {taken:?}",
                model.id
            );
        }
    }
}

#[test]
fn a_tool_is_chosen_only_where_one_can_be() {
    let named = || choosing(json!({ "tool": { "name": "clock" } }));
    let refused = "toolConfig.toolChoice.";
    let grounded = |name: &str| {
        hello(json!({ "toolConfig": { "tools": [{ "systemTool": { "name": name } }] } }))
    };
    let pattern = |pattern: &str| {
        let schema = json!({ "type": "object", "properties": { "a": { "type": "string", "pattern": pattern } } });
        hello(
            json!({ "toolConfig": { "tools": [{ "toolSpec": { "name": "clock", "inputSchema": { "json": schema } } }] } }),
        )
    };
    table([
        (MISTRAL_2402, choosing(json!({ "any": {} })), ""),
        (MISTRAL_2402, named(), refused),
        (MISTRAL_2407, named(), ""),
        (LLAMA_4, choosing(json!({ "auto": {} })), refused),
        (PIXTRAL, choosing(json!({ "auto": {} })), refused),
        (COMMAND_R, choosing(json!({ "any": {} })), refused),
        ("google.gemma-3-4b-it", choosing(json!({ "auto": {} })), refused),
        ("minimax.minimax-m2", choosing(json!({ "auto": {} })), refused),
        ("minimax.minimax-m2.5", choosing(json!({ "auto": {} })), ""),
        ("anthropic.claude-fable-5-1", named(), refused),
        ("anthropic.claude-haiku-5-5", named(), ""),
        (NOVA_2, grounded("nova_grounding"), ""),
        (NOVA_2, grounded("browser"), "system tool browser"),
        (SONNET_4_5, grounded("nova_grounding"), "system tool nova_grounding"),
        (LITE, pattern("^(?!x)"), "look-around"),
        (LITE, pattern("^x(?:y)$"), ""),
        (QWEN, pattern("^(?!x)"), ""),
    ]);
}

#[test]
fn tools_are_streamed_only_where_they_can_be() {
    let catalogue = Catalogue::all_chat_models();
    let refused = |id: &str, body: &Value| {
        let fault = validate::check_converse_stream(catalogue.model(id).unwrap(), body).err()?;
        Some(fault.message().to_owned())
    };
    let offered = hello(json!({ "toolConfig": tools(&["clock"]) }));
    for id in [JAMBA, "meta.llama3-1-8b-instruct-v1:0", "meta.llama3-3-70b-instruct-v1:0"] {
        assert!(refused(id, &offered).unwrap().contains("tool use in streaming mode"), "{id}");
        assert_eq!(refused(id, &hello(json!({}))), None, "{id}");
    }
    for id in [LLAMA_4, COMMAND_R, "writer.palmyra-x5-v1:0"] {
        assert_eq!(refused(id, &offered), None, "{id}");
    }
    assert!(
        refused("ai21.j2-mid-v1", &hello(json!({}))).unwrap().contains("unsupported for streaming")
    );
}

#[test]
fn media_stand_only_where_their_family_takes_them() {
    let png = || json!({ "image": { "format": "png", "source": { "bytes": base64::encode(b"\x89PNG\r\n\x1a\n0000") } } });
    let video = |size: usize| json!({ "video": { "format": "mp4", "source": { "bytes": base64::encode(vec![0; size]) } } });
    let audio =
        json!({ "audio": { "format": "mp3", "source": { "bytes": base64::encode([0; 9]) } } });
    let file = |format: &str| json!({ "document": { "format": format, "name": "a", "citations": { "enabled": true }, "source": { "text": "hi" } } });
    let wide =
        [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], &8001_u32.to_be_bytes(), &9_u32.to_be_bytes()]
            .concat();
    let wide = json!({ "image": { "format": "png", "source": { "bytes": base64::encode(wide) } } });
    let user = |content: Value| turns(&[("user", content)]);
    let seen = |part: Value| {
        let body = turns(&[
            ("user", text("hi")),
            ("assistant", json!([call("a")])),
            ("user", json!([result("a", json!([part]))])),
        ]);
        merged(body, json!({ "toolConfig": tools(&["clock"]) }))
    };
    table([
        (LITE, user(json!([video(9)])), ""),
        (LITE, user(json!([video(27_000_000)])), "maximum of 25 MB in all"),
        (MICRO, user(json!([video(9)])), "doesn't support the video field"),
        (SONNET_4_5, user(json!([video(9)])), "doesn't support the video field"),
        (VOXTRAL, user(json!([audio])), ""),
        (LITE, user(json!([audio])), "doesn't support the audio field"),
        (SONNET_4_5, user(json!([wide])), "dimensions exceed the maximum of 8000"),
        (SONNET_4_5, user(json!([{ "text": "see" }, file("pdf")])), ""),
        (SONNET_4_5, user(json!([{ "text": "see" }, file("csv")])), "cannot be cited"),
        (LITE, user(json!([{ "text": "see" }, file("txt")])), "document.citations field"),
        (SONNET_4_5, seen(png()), ""),
        (LITE, seen(png()), ""),
        (MICRO, seen(png()), "toolResult.content.0.image field"),
        (GPT_6, seen(png()), "toolResult.content.0.image field"),
        (GROK, seen(png()), "toolResult.content.0.image field"),
        (LLAMA_4, seen(png()), "toolResult.content.0.image field"),
    ]);
}

#[test]
fn calls_are_the_assistants_and_results_say_something() {
    let answered = |content: Value| {
        let body = turns(&[
            ("user", text("hi")),
            ("assistant", json!([call("a")])),
            ("user", json!([result("a", content)])),
        ]);
        merged(body, json!({ "toolConfig": tools(&["clock"]) }))
    };
    let of_user =
        merged(turns(&[("user", json!([call("a")]))]), json!({ "toolConfig": tools(&["clock"]) }));
    table([
        (LITE, answered(json!([{ "text": "9" }])), ""),
        (LITE, answered(json!([{ "json": { "hour": 9 } }])), ""),
        (LITE, answered(json!([{ "text": " " }])), "messages.2.content.0 is blank"),
        (
            LITE,
            answered(json!([])),
            "ToolResultBlock object at messages.2.content.0.toolResult is empty",
        ),
        (LITE, of_user, "toolUse field at messages.0.content.0 is only supported in assistant"),
    ]);
}

#[test]
fn cache_points_keep_longest_what_comes_first() {
    let point = |ttl: &str| {
        let point = json!({ "type": "default" });
        json!({ "cachePoint": if ttl.is_empty() { point } else { merged(point, json!({ "ttl": ttl })) } })
    };
    let cached = |system: &str, said: &str| {
        let body = turns(&[("user", json!([{ "text": "a" }, point(said)]))]);
        merged(body, json!({ "system": [{ "text": "be kind" }, point(system)] }))
    };
    let late = "ttl='1h' cache_control block must not come after";
    table([
        (SONNET_4_5, cached("1h", "5m"), ""),
        (SONNET_4_5, cached("1h", ""), ""),
        (SONNET_4_5, cached("5m", "1h"), late),
        (SONNET_4_5, cached("", "1h"), late),
        (SONNET_3_7, cached("1h", "5m"), "cachePoint.ttl value 1h"),
        (LITE, cached("", ""), ""),
        (LITE, cached("5m", ""), "cachePoint.ttl field"),
        (KIMI, cached("", ""), "did not allow prompt caching"),
    ]);
}

#[test]
fn limits_and_stops_depend_on_the_family() {
    let most = |tokens: u32| configured(json!({ "maxTokens": tokens }));
    let stop = |stop: &str| configured(json!({ "stopSequences": [stop] }));
    table([
        (GPT_5_5, most(15), "Expected a value >= 16"),
        (GPT_5_5, most(16), ""),
        (GROK, most(15), "Expected a value >= 16"),
        (KIMI, most(15), "Expected a value >= 16"),
        (OSS, most(1), ""),
        (GPT_5_5, stop("END"), ""),
        ("openai.gpt-5.6-sol", stop("END"), "doesn't support the stopSequences field"),
        (GPT_6, stop("END"), "doesn't support the stopSequences field"),
        (GROK, stop("END"), "doesn't support the stopSequences field"),
        (SONNET_4_5, stop("END"), ""),
        (SONNET_4_5, stop("\n"), "must contain non-whitespace"),
        (LITE, stop("\n"), ""),
    ]);
}

#[test]
fn some_sample_only_while_they_do_not_reason() {
    let warm = |effort: Value| {
        let fields =
            if effort.is_null() { json!({}) } else { json!({ "reasoning": { "effort": effort } }) };
        merged(
            configured(json!({ "temperature": 0.5 })),
            json!({ "additionalModelRequestFields": fields }),
        )
    };
    let refused = "'temperature' is not supported";
    table([
        (GPT_6, warm(json!("low")), refused),
        (GPT_6, warm(json!(null)), refused),
        (GPT_6, warm(json!("none")), ""),
        (GPT_5_5, configured(json!({ "topP": 0.5 })), "'top_p' is not supported"),
        (GPT_5_5, configured(json!({ "temperature": 1 })), ""),
        (GROK, warm(json!("low")), refused),
        (GROK, warm(json!(null)), ""),
        (GROK, warm(json!("none")), "reasoning.effort: 'none' is not supported"),
        (GLM, configured(json!({ "temperature": 0.5, "topP": 0.5 })), ""),
    ]);
}

#[test]
fn each_family_knows_its_own_fields_alone() {
    let reasoning = |effort: &str| with_fields(json!({ "reasoning_effort": effort }));
    table([
        (COMMAND_R, with_fields(json!({ "k": 5 })), ""),
        (COMMAND_R, with_fields(json!({ "top_k": 5 })), STRANGER),
        (JAMBA, with_fields(json!({ "n": 2 })), ""),
        (OSS, reasoning("high"), ""),
        (OSS, reasoning("minimal"), "should be 'low', 'medium' or 'high'"),
        (DEEPSEEK, reasoning("low"), ""),
        (DEEPSEEK, with_fields(json!({ "reasoning_config": "high" })), ""),
        (
            DEEPSEEK,
            with_fields(json!({ "reasoning_config": "max" })),
            "should be 'low', 'medium' or 'high'",
        ),
        (QWEN, reasoning("low"), ""),
        (QWEN, with_fields(json!({ "enable_thinking": false })), ""),
        (R1, reasoning("low"), STRANGER),
        (GLM, reasoning("low"), STRANGER),
        (KIMI, reasoning("low"), STRANGER),
        (LLAMA_4, with_fields(json!({ "top_k": 5 })), STRANGER),
        (TITAN, with_fields(json!({ "thinking": { "type": "enabled" } })), STRANGER),
        (GPT_6, reasoning("low"), STRANGER),
        (GPT_6, with_fields(json!({ "reasoning": { "effort": "xhigh" } })), ""),
        (GPT_6, with_fields(json!({ "reasoning": { "effort": 3 } })), "valid string"),
        (GROK, with_fields(json!({ "presence_penalty": 1 })), "unable to process"),
        (LITE, with_fields(json!({ "reasoningConfig": { "type": "enabled" } })), STRANGER),
        (SONNET_4_5, with_fields(json!({ "top_k": 5 })), ""),
        (SONNET_4_5, with_fields(json!({ "seed": 5 })), STRANGER),
        (SONNET_4_5, hello(json!({ "additionalModelResponseFieldPaths": ["/usage"] })), ""),
        (
            SONNET_4_5,
            hello(json!({ "additionalModelResponseFieldPaths": ["usage"] })),
            "not a JSON Pointer",
        ),
    ]);
    let fault = validate::check_converse(
        Catalogue::all_chat_models().model(GROK).unwrap(),
        &with_fields(json!({ "frequency_penalty": 1 })),
    );
    assert_eq!(fault.unwrap_err().status(), 503);
}

#[test]
fn claude_knows_its_betas() {
    let betas = |betas: Value| with_fields(json!({ "anthropic_beta": betas }));
    table([
        (
            SONNET_4_5,
            betas(json!(["interleaved-thinking-2025-05-14", "context-1m-2025-08-07"])),
            "",
        ),
        (
            SONNET_4_5,
            betas(json!(["context-1m-2025-08-07", "prompt-caching-2024-07-31"])),
            "invalid beta flag",
        ),
        (SONNET_4_5, betas(json!([5])), "invalid beta flag"),
        (SONNET_4_5, betas(json!("context-1m-2025-08-07")), "should be a valid list"),
        (LITE, betas(json!([])), STRANGER),
    ]);
}

#[test]
fn claude_can_be_limited_to_one_tool_call_at_a_time() {
    let own = |choice: Value| with_fields(json!({ "tool_choice": choice }));
    let offered = |body: Value| merged(body, json!({ "toolConfig": tools(&["clock"]) }));
    let both = |choice: Value| merged(choosing(json!({ "any": {} })), own(choice));
    let serial = || json!({ "type": "auto", "disable_parallel_tool_use": true });
    let thinking = json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 }, "tool_choice": { "type": "any" } });
    table([
        (SONNET_4_5, offered(own(serial())), ""),
        (SONNET_4_5, both(json!({ "disable_parallel_tool_use": true })), ""),
        (SONNET_4_5, both(serial()), "cannot be given together"),
        (
            SONNET_4_5,
            offered(own(json!({ "disable_parallel_tool_use": true }))),
            "type: Field required",
        ),
        (
            SONNET_4_5,
            offered(own(json!({ "type": "none" }))),
            "Input should be 'auto', 'any' or 'tool'",
        ),
        (SONNET_4_5, offered(own(json!({ "type": "tool" }))), "name: Field required"),
        (SONNET_4_5, own(serial()), "only be specified while providing tools"),
        (SONNET_4_5, offered(with_fields(thinking)), "tool_choice forces tool use"),
        (OPUS_5_5, offered(own(json!({ "type": "any" }))), "not compatible with this model"),
        (SONNET_3_7, offered(own(serial())), "Extra inputs are not permitted"),
    ]);
}

#[test]
fn reasoning_is_asked_for_in_the_familys_way() {
    let nova = |kind: &str, effort: &str| json!({ "reasoningConfig": { "type": kind, "maxReasoningEffort": effort } });
    let limited = |config: Value| {
        merged(
            configured(config),
            json!({ "additionalModelRequestFields": nova("enabled", "high") }),
        )
    };
    let begun = turns(&[("user", text("hi")), ("assistant", text("Once"))]);
    let effort = |fields: Value| {
        hello(
            json!({ "outputConfig": { "effort": "low" }, "additionalModelRequestFields": fields }),
        )
    };
    table([
        (NOVA_2, with_fields(nova("enabled", "low")), ""),
        (NOVA_2, with_fields(nova("adaptive", "low")), "one of enabled, disabled"),
        (NOVA_2, with_fields(nova("enabled", "max")), "one of low, medium, high"),
        (
            NOVA_2,
            limited(json!({ "maxTokens": 500 })),
            "must be unset when maxReasoningEffort is high",
        ),
        (NOVA_2, limited(json!({ "stopSequences": ["END"] })), ""),
        (NOVA_2, begun.clone(), ""),
        (
            NOVA_2,
            merged(begun, json!({ "additionalModelRequestFields": nova("enabled", "low") })),
            "prefill",
        ),
        (
            HAIKU_3,
            with_fields(json!({ "thinking": { "type": "disabled" } })),
            "Extra inputs are not permitted",
        ),
        (
            SONNET_4_6,
            with_fields(json!({ "thinking": { "type": "adaptive", "budget_tokens": 1024 } })),
            "Extra inputs are not permitted",
        ),
        (
            SONNET_4_6,
            with_fields(json!({ "thinking": { "type": "adaptive", "display": "summarized" } })),
            "",
        ),
        (
            SONNET_3_7,
            with_fields(
                json!({ "reasoning_config": { "type": "enabled", "budget_tokens": 1024 } }),
            ),
            "",
        ),
        (OPUS_4_5, effort(json!({ "anthropic_beta": ["effort-2025-11-24"] })), ""),
        (OPUS_4_5, effort(json!({})), "needs the beta effort-2025-11-24"),
        (
            SONNET_4_6,
            with_fields(json!({ "output_config": { "effort": "minimal" } })),
            "effort 'minimal'",
        ),
        (GLM, effort(json!({})), "effort 'low'"),
    ]);
}

#[test]
fn reasoning_comes_back_as_it_was_given() {
    let said = |blocks: Value| {
        turns(&[("user", text("hi")), ("assistant", blocks), ("user", text("and?"))])
    };
    let hidden = json!({ "reasoningContent": { "redactedContent": base64::encode("secret") } });
    let of_user = turns(&[("user", json!([thought("sig"), { "text": "hi" }]))]);
    table([
        (SONNET_4_5, said(json!([thought("sig"), { "text": "ho" }])), ""),
        (
            SONNET_4_5,
            said(json!([thought(""), { "text": "ho" }])),
            "messages.1.content.0.thinking.signature: Field required",
        ),
        (SONNET_4_5, said(json!([hidden, { "text": "ho" }])), ""),
        (SONNET_4_5, said(json!([hidden, thought("sig"), { "text": "ho" }])), ""),
        (
            SONNET_4_5,
            said(json!([{ "text": "ho" }, thought("sig")])),
            "messages.1.content.1: `thinking` blocks must come before",
        ),
        (SONNET_4_5, of_user, "User messages cannot contain reasoning content"),
        (
            HAIKU_3,
            said(json!([thought("sig"), { "text": "ho" }])),
            "messages.1.content.0.reasoningContent field",
        ),
        (
            LITE,
            said(json!([thought(""), { "text": "ho" }])),
            "messages.1.content.0.reasoningContent field",
        ),
        (
            R1,
            said(json!([thought(""), { "text": "ho" }])),
            "messages.1.content.0.reasoningContent field",
        ),
        (OSS, said(json!([thought(""), { "text": "ho" }])), ""),
        (OSS, said(json!([{ "text": "ho" }, thought("")])), "must come before"),
        (NOVA_2, said(json!([hidden, { "text": "ho" }])), "reasoningContent.redactedContent field"),
    ]);
}

#[test]
fn claude_goes_on_with_a_tool_only_from_the_thoughts_that_led_to_it() {
    let round = |calls: &[Value]| {
        let mut chat = vec![("user", text("hi"))];
        for (at, blocks) in calls.iter().enumerate() {
            let id = at.to_string();
            chat.extend([
                ("assistant", blocks.clone()),
                ("user", json!([result(&id, json!([{ "text": "9" }]))])),
            ]);
        }
        let fields = json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 } });
        merged(
            turns(&chat),
            json!({ "toolConfig": tools(&["clock"]), "additionalModelRequestFields": fields }),
        )
    };
    let spoken = || json!([{ "text": "I look." }, call("0")]);
    let thoughtful = || json!([thought("sig"), call("0")]);
    let mut over = round(&[spoken()]);
    over["messages"].as_array_mut().unwrap().extend([
        json!({ "role": "assistant", "content": [{ "text": "Nine." }] }),
        json!({ "role": "user", "content": [{ "text": "Thanks." }] }),
    ]);
    let mut idle = round(&[spoken()]);
    idle.as_object_mut().unwrap().remove("additionalModelRequestFields");
    table([
        (SONNET_4_5, round(&[thoughtful()]), ""),
        (
            SONNET_4_5,
            round(&[spoken()]),
            "Expected `thinking` or `redacted_thinking`, but found `text`",
        ),
        (
            SONNET_4_5,
            round(&[json!([call("0")])]),
            "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`",
        ),
        (SONNET_4_5, round(&[thoughtful(), json!([call("1")])]), ""),
        (SONNET_4_5, round(&[spoken(), json!([thought("sig"), call("1")])]), "but found `text`"),
        (SONNET_4_5, over, ""),
        (SONNET_4_5, idle, ""),
    ]);
}

#[test]
fn claude_holds_to_no_bounds_in_an_answers_schema() {
    let shaped = |property: Value| {
        let schema = json!({ "type": "object", "properties": { "pattern": property }, "additionalProperties": false });
        let format = json!({ "type": "json_schema", "structure": { "jsonSchema": { "schema": schema.to_string() } } });
        hello(json!({ "outputConfig": { "textFormat": format } }))
    };
    let open =
        json!({ "anyOf": [{ "type": "null" }, { "type": ["object", "null"], "properties": {} }] });
    let refused = "are not supported";
    table([
        (
            SONNET_4_5,
            shaped(json!({ "type": "integer", "enum": [1, 2], "description": "minimum" })),
            "",
        ),
        (SONNET_4_5, shaped(json!({ "type": "integer", "minimum": 1 })), refused),
        (SONNET_4_5, shaped(json!({ "type": "string", "pattern": "a" })), refused),
        (
            SONNET_4_5,
            shaped(json!({ "type": "array", "items": { "type": "string", "maxLength": 9 } })),
            refused,
        ),
        (SONNET_4_5, shaped(open), "must be explicitly set to false"),
        (QWEN, shaped(json!({ "type": "integer", "minimum": 1 })), ""),
        (OPUS_4_8, shaped(json!({ "type": "integer" })), "outputConfig.textFormat field"),
    ]);
}

#[test]
fn a_system_turn_does_not_come_first() {
    table([
        (
            OPUS_4_8,
            turns(&[("system", text("be kind")), ("user", text("hi"))]),
            "must start with a user message",
        ),
        (OPUS_4_8, turns(&[("user", text("hi")), ("system", text("be kind"))]), ""),
        (
            SONNET_4_6,
            turns(&[("user", text("hi")), ("system", text("be kind"))]),
            "role 'system' is not supported",
        ),
    ]);
}

#[test]
fn what_goes_along_with_the_chat_keeps_its_form() {
    let tagged = |key: &str, value: &str| hello(json!({ "requestMetadata": { key: value } }));
    let guarded = json!({ "guardrailIdentifier": "g1", "guardrailVersion": "DRAFT", "streamProcessingMode": "async" });
    table([
        (LITE, tagged("user", "ann@example.org"), ""),
        (LITE, tagged("user", "ann!"), "validation error"),
        (LITE, tagged("", "ann"), "validation error"),
        (LITE, hello(json!({ "requestMetadata": {} })), "validation error"),
        (LITE, hello(json!({ "serviceTier": { "type": "flex" } })), ""),
        (
            LITE,
            hello(json!({ "serviceTier": { "type": "auto" } })),
            "[priority, default, flex, reserved]",
        ),
        (LITE, hello(json!({ "performanceConfig": { "latency": "optimized" } })), ""),
        (
            LITE,
            hello(json!({ "guardrailConfig": guarded })),
            "extraneous key [streamProcessingMode]",
        ),
    ]);
    let lite = Catalogue::all_chat_models().model(LITE).unwrap().clone();
    assert_eq!(
        validate::check_converse_stream(&lite, &hello(json!({ "guardrailConfig": guarded }))),
        Ok(())
    );
}
