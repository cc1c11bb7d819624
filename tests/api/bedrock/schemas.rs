//! Tool schemas as generators write them: every family takes them, and the model reads what they
//! mean.

use super::*;
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestCaseError, TestRunner},
};

/// Schemas in the shapes that libraries and servers of today write.
fn schemas_of_generators() -> Vec<(&'static str, Value)> {
    vec![
        (
            "pydantic 1",
            json!({"title": "Order", "description": "An order.", "type": "object", "properties": {"item": {"$ref": "#/definitions/Item"}, "count": {"title": "Count", "default": 1, "exclusiveMinimum": 0, "type": "integer"}, "size": {"allOf": [{"$ref": "#/definitions/Size"}], "default": "m"}}, "required": ["item"], "definitions": {"Item": {"title": "Item", "type": "object", "properties": {"name": {"title": "Name", "type": "string", "maxLength": 40}}, "required": ["name"]}, "Size": {"title": "Size", "enum": ["s", "m", "l"], "type": "string", "description": "An enumeration."}}}),
        ),
        (
            "pydantic 2",
            json!({"$defs": {"Cat": {"properties": {"kind": {"const": "cat", "title": "Kind", "type": "string"}, "lives": {"default": 9, "title": "Lives", "type": "integer"}}, "required": ["kind"], "title": "Cat", "type": "object"}, "Dog": {"additionalProperties": false, "properties": {"kind": {"const": "dog", "title": "Kind", "type": "string"}, "breed": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": null, "title": "Breed"}}, "required": ["kind"], "title": "Dog", "type": "object"}}, "properties": {"pet": {"discriminator": {"mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"}, "propertyName": "kind"}, "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}], "title": "Pet"}, "tags": {"items": {"type": "string"}, "title": "Tags", "type": "array", "uniqueItems": true}, "extra": {"additionalProperties": {"type": "integer"}, "title": "Extra", "type": "object"}, "point": {"maxItems": 2, "minItems": 2, "prefixItems": [{"type": "number"}, {"type": "number"}], "title": "Point", "type": "array"}, "any": {"title": "Any"}}, "required": ["pet"], "title": "Owner", "type": "object"}),
        ),
        (
            "pydantic 2, recursive",
            json!({"$defs": {"Node": {"properties": {"value": {"title": "Value", "type": "integer"}, "children": {"items": {"$ref": "#/$defs/Node"}, "title": "Children", "type": "array"}}, "required": ["value"], "title": "Node", "type": "object"}}, "$ref": "#/$defs/Node"}),
        ),
        (
            "zod 3",
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {"mode": {"type": "string", "enum": ["a", "b"]}, "n": {"type": ["number", "null"]}, "when": {"type": "string", "format": "date-time"}, "pair": {"type": "array", "minItems": 2, "maxItems": 2, "items": [{"type": "string"}, {"type": "number"}]}, "map": {"type": "object", "additionalProperties": {"type": "string"}}, "lit": {"type": "number", "const": 3}, "again": {"$ref": "#/properties/map"}}, "required": ["mode"], "additionalProperties": false}),
        ),
        (
            "zod 4",
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {"email": {"type": "string", "format": "email", "pattern": "^(?!\\.)(?!.*\\.\\.)[a-z]+@[a-z.]+$"}, "either": {"anyOf": [{"type": "string"}, {"type": "number"}]}, "level": {"anyOf": [{"type": "number", "const": 1}, {"type": "number", "const": 2}]}, "rec": {"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": {}}, "int": {"type": "integer", "minimum": -9_007_199_254_740_991_i64, "maximum": 9_007_199_254_740_991_i64}}, "required": ["email"], "additionalProperties": false}),
        ),
        (
            "zod, a union at the root",
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "anyOf": [{"type": "object", "properties": {"do": {"type": "string", "const": "get"}, "id": {"type": "string"}}, "required": ["do", "id"], "additionalProperties": false}, {"type": "object", "properties": {"do": {"type": "string", "const": "put"}, "body": {"type": "object", "additionalProperties": true}}, "required": ["do", "body"], "additionalProperties": false}]}),
        ),
        (
            "mcp, files",
            json!({"type": "object", "properties": {"path": {"type": "string", "description": "Where."}, "edits": {"type": "array", "items": {"type": "object", "properties": {"oldText": {"type": "string"}, "newText": {"type": "string"}}, "required": ["oldText", "newText"], "additionalProperties": false}}, "dryRun": {"type": "boolean", "default": false}}, "required": ["path", "edits"], "additionalProperties": false, "$schema": "http://json-schema.org/draft-07/schema#"}),
        ),
        ("mcp, no parameters", json!({"type": "object", "properties": null, "required": null})),
        ("php", json!({"type": "object", "properties": [], "required": {}})),
        (
            "go",
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.com/args", "$ref": "#/$defs/Args", "$defs": {"Args": {"properties": {"q": {"type": "string"}, "raw": true, "never": false}, "additionalProperties": false, "type": "object", "required": ["q"]}}}),
        ),
        (
            "openapi 3.0",
            json!({"type": "object", "properties": {"id": {"type": "integer", "format": "int64", "nullable": true, "example": 7}, "price": {"type": "number", "minimum": 0, "exclusiveMinimum": true}, "status": {"type": "string", "enum": ["open", null], "nullable": true}, "code": {"type": "integer", "enum": [200, 404]}, "ref": {"$ref": "#/components/schemas/Missing"}, "file": {"type": "file"}, "x": {"x-internal": true, "xml": {"name": "x"}, "type": "string", "required": true}}, "x-tags": ["a"], "externalDocs": {"url": "https://example.com"}}),
        ),
        (
            "google",
            json!({"type": "OBJECT", "properties": {"city": {"type": "STRING", "description": "City."}, "days": {"type": "ARRAY", "items": {"type": "INTEGER"}}}, "required": ["city"], "propertyOrdering": ["city", "days"]}),
        ),
        (
            "python types",
            json!({"type": "dict", "properties": {"a": {"type": "str"}, "b": {"type": "float"}, "c": {"type": "list", "items": {"type": "any"}}, "d": "string", "e": null}}),
        ),
        (
            "nullable root",
            json!({"type": ["object", "null"], "properties": {"a": {"type": "string"}}}),
        ),
        ("no type", json!({"properties": {"a": {}}, "required": ["a", "b", "a"]})),
        (
            "conditions",
            json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"not": {"type": "null"}}}, "if": {"properties": {"a": {"const": "x"}}}, "then": {"required": ["b"]}, "dependentRequired": {"a": ["b"]}, "patternProperties": {"^x-": {"type": "string"}}, "minProperties": 1, "unevaluatedProperties": false}),
        ),
        (
            "allOf at the root",
            json!({"allOf": [{"$ref": "#/$defs/Base"}, {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}], "$defs": {"Base": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}}}),
        ),
        (
            "required alternatives",
            json!({"type": "object", "properties": {"id": {"type": "string"}, "name": {"type": "string"}}, "oneOf": [{"required": ["id"]}, {"required": ["name"]}]}),
        ),
        (
            "deep",
            (0..40).fold(
                json!({"type": "string"}),
                |inner, _| json!({"type": "object", "properties": {"x": inner}}),
            ),
        ),
        ("multiplying", multiplying_definitions()),
    ]
}

/// Definitions that each refer to the next one twice.
fn multiplying_definitions() -> Value {
    let mut definitions = json!({"D20": {"type": "string", "description": "The end."}});
    for n in 0..20 {
        let next = format!("#/$defs/D{}", n + 1);
        definitions[format!("D{n}")] =
            json!({"type": "object", "properties": {"a": {"$ref": next}, "b": {"$ref": next}}});
    }
    json!({"type": "object", "properties": {"root": {"$ref": "#/$defs/D0"}}, "$defs": definitions})
}

fn chat_with_schemas(schemas: impl IntoIterator<Item = Value>) -> Value {
    let tools = schemas.into_iter().enumerate().map(|(n, schema)| {
        json!({"type": "function", "function": {"name": format!("tool-{n}"), "description": "Does it.", "parameters": schema}})
    });
    chat_with(json!({"tools": tools.collect::<Vec<_>>()}))
}

/// Returns the only tool of Bedrock's request.
async fn sent_tool(rig: &Rig, model: &str, schema: &Value) -> Value {
    let sent = rig.sent_body(model, chat_with_schemas([schema.clone()])).await;
    sent["toolConfig"]["tools"][0]["toolSpec"].clone()
}

#[actix_web::test]
async fn every_family_takes_the_schemas_of_every_generator() {
    let rig = rig().await;
    let body = chat_with_schemas(schemas_of_generators().into_iter().map(|(_, schema)| schema));
    for (id, model) in
        families::all_chat_models().into_iter().filter(|(_, model)| model.has_capability('T'))
    {
        let answered = rig.ask(&id, body.clone()).await;
        assert_eq!(answered.status, 200, "{}: {}", model.id, answered.text);
    }
    assert_eq!(refusals(&rig.bedrock), [""; 0]);
    let largest = chats(&rig.bedrock).iter().map(|chat| chat.body.len()).max();
    assert!(largest < Some(600_000), "{largest:?}");
}

#[actix_web::test]
async fn an_answer_in_a_schema_comes_from_nova_too() {
    let rig = rig().await;
    for (name, schema) in
        schemas_of_generators().into_iter().filter(|(_, schema)| schema["type"] == "object")
    {
        let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
        for model in [NOVA, NOVA_2] {
            let answered = rig.ask(model, chat_with(json!({"response_format": format}))).await;
            assert_eq!(answered.status, 200, "{name} {model}: {}", answered.text);
        }
    }
    assert_eq!(refusals(&rig.bedrock), [""; 0]);
}

#[actix_web::test]
async fn claude_gets_a_schema_that_is_in_form_byte_for_byte() {
    let rig = rig().await;
    let names = ["pydantic 1", "pydantic 2", "mcp, files", "conditions"];
    for (name, schema) in
        schemas_of_generators().into_iter().filter(|(name, _)| names.contains(name))
    {
        let mut schema = schema;
        schema.as_object_mut().unwrap().shift_remove("$schema");
        rig.sent_body(HAIKU_4_5, chat_with_schemas([schema.clone()])).await;
        let sent = chats(&rig.bedrock).pop().unwrap();
        let sent = String::from_utf8(sent.body.to_vec()).unwrap();
        // The type stands first, where the client has it elsewhere.
        let is_same =
            sent.contains(&schema.to_string()) || sent.contains(&schema["properties"].to_string());
        assert!(is_same, "{name}: {sent}");
    }
}

#[actix_web::test]
async fn what_nova_is_not_told_by_keywords_it_is_told_in_words() {
    let rig = rig().await;
    let schema = json!({"title": "T", "description": "Finds a user.", "type": "object", "additionalProperties": false, "$defs": {"Role": {"enum": ["admin", "user"], "type": "string"}}, "properties": {"role": {"$ref": "#/$defs/Role"}, "age": {"type": "integer", "minimum": 18}, "mail": {"type": "string", "format": "email", "pattern": "@"}, "n": {"enum": [1, 2]}, "nick": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": null}, "always": {"const": 7}, "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}}, "required": ["role", "ghost"]});
    let sent = sent_tool(&rig, NOVA, &schema).await;
    assert_eq!(sent["description"], "Does it. Finds a user. No other parameters.");
    assert_eq!(
        sent["inputSchema"]["json"],
        json!({"type": "object", "properties": {
            "role": {"type": "string", "enum": ["admin", "user"]},
            "age": {"type": "integer", "description": "At least: 18."},
            "mail": {"type": "string", "description": "Format: email. Pattern: @."},
            "n": {"type": "integer", "description": "One of: 1, 2."},
            "nick": {"type": "string", "description": "May be null."},
            "always": {"type": "integer", "description": "Always: 7."},
            "pair": {"type": "array", "items": {"type": "string", "description": "Or instead: integer."}, "description": "In this order: string, integer."},
        }, "required": ["role"]})
    );
    let sent = sent_tool(&rig, NOVA_2, &schema).await;
    assert_eq!(
        sent["inputSchema"]["json"]["properties"]["age"],
        json!({"type": "integer", "minimum": 18}),
        "the second Nova takes limits below the root"
    );
}

#[actix_web::test]
async fn a_union_at_the_root_becomes_one_object_whose_branches_are_told() {
    let rig = rig().await;
    let (_, schema) = schemas_of_generators()
        .into_iter()
        .find(|(name, _)| name.ends_with("at the root"))
        .unwrap();
    let sent = sent_tool(&rig, NOVA, &schema).await;
    let json = &sent["inputSchema"]["json"];
    assert_eq!(json["properties"]["do"], json!({"type": "string", "enum": ["get", "put"]}));
    assert_eq!(json["required"], json!(["do"]), "what one branch demands alone is not demanded");
    let told = sent["description"].as_str().unwrap();
    assert!(told.contains(r#"(do = "get", id) or (do = "put", body)"#), "{told}");
}

#[actix_web::test]
async fn a_recursive_schema_is_cut_and_says_so() {
    let rig = rig().await;
    let (_, schema) =
        schemas_of_generators().into_iter().find(|(name, _)| name.ends_with("recursive")).unwrap();
    let sent = sent_tool(&rig, NOVA, &schema).await;
    let child = &sent["inputSchema"]["json"]["properties"]["children"]["items"];
    assert_eq!(child["type"], "object");
    assert!(child["description"].as_str().unwrap().contains("`Node` again"), "{sent}");
}

#[actix_web::test]
async fn a_stand_in_of_another_family_gets_the_schema_that_it_takes() {
    let rig = rig_with(&[
        ("fallbacks", "anthropic.* > amazon.nova-lite-v1:0"),
        ("max_attempts", "1"),
        ("fallback_profiles", "false"),
        ("fallback_regions", "false"),
    ])
    .await;
    rig.bedrock.script(HAIKU_4_5, Script::throttle().always());
    let (_, schema) = schemas_of_generators().swap_remove(1);
    let mut body = chat_with_schemas([schema]);
    body["max_tokens"] = 32_000.into();
    let answered = rig.ask(HAIKU_4_5, body).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert_eq!(answered.json["x_bedrock_max_tokens"], 10_000);
    let sent = chats(&rig.bedrock).pop().unwrap().json;
    assert_eq!(sent["inferenceConfig"]["maxTokens"], 10_000);
    assert_eq!(refusals(&rig.bedrock), [""; 0]);
}

#[actix_web::test]
async fn what_a_model_refuses_of_a_schema_is_learned() {
    let rig = rig().await;
    let refusal = "The model returned the following errors: Malformed input request: #/toolConfig/tools/0/toolSpec/inputSchema/json: extraneous key [$defs] is not permitted, please reformat your input and try again.";
    rig.bedrock.script(ANY, Script::fault(BedrockException::validation(refusal)));
    let (_, schema) = schemas_of_generators().swap_remove(1);
    let answered = rig.ask("qwen.qwen3-32b-v1:0", chat_with_schemas([schema])).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    let sent: Vec<_> = chats(&rig.bedrock).into_iter().map(|chat| chat.json).collect();
    let roots = sent.iter().map(|sent| {
        let json = &sent["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"];
        json.get("$defs").is_some()
    });
    assert_eq!(roots.collect::<Vec<_>>(), [true, false]);
}

#[actix_web::test]
async fn nova_calls_tools_by_names_without_hyphens_and_they_come_back_as_they_were() {
    let rig = rig().await;
    let long = "server.tools/".repeat(8);
    for name in ["fetch-url", "my.server/do-it", &*long] {
        let mut body = chat_with(
            json!({"tools": [tool(name)], "tool_choice": {"type": "function", "function": {"name": name}}}),
        );
        body["messages"] = json!([
            {"role": "user", "content": "?"},
            {"role": "assistant", "tool_calls": [tool_call("c", name, "{}")]},
            tool_result("c", "7"),
        ]);
        let sent = rig.sent_body(NOVA, body.clone()).await;
        let fitted =
            sent["toolConfig"]["tools"][0]["toolSpec"]["name"].as_str().unwrap().to_owned();
        assert!(fitted.len() <= 64 && !fitted.contains(['-', '.', '/']), "{fitted}");
        assert_eq!(sent["toolConfig"]["toolChoice"]["tool"]["name"], fitted);
        assert!(sent["messages"].to_string().contains(&fitted));
        let answer = || ModelAnswer::new().tool("t", &fitted, ["{\"city\":", "\"Lima\"}"]);
        rig.script(answer());
        let plain = rig.ask(NOVA, body.clone()).await.json;
        let call = &plain["choices"][0]["message"]["tool_calls"][0]["function"];
        assert_eq!(call["name"], name);
        rig.script(answer());
        let chunks = rig.chunks(NOVA, body).await;
        let names = chunks.iter().filter_map(|chunk| {
            chunk["choices"][0]["delta"]["tool_calls"][0]["function"]["name"].as_str()
        });
        assert_eq!(names.filter(|name| !name.is_empty()).collect::<Vec<_>>(), [name]);
    }
}

#[actix_web::test]
async fn a_call_that_nova_writes_as_text_is_a_call_or_an_error() {
    let rig = rig_with(&[("fallback_profiles", "false"), ("fallback_regions", "false")]).await;
    let body = chat_with(json!({"tools": [tool("get-weather")]}));
    let sent = rig.sent_body(NOVA, body.clone()).await;
    let fitted = sent["toolConfig"]["tools"][0]["toolSpec"]["name"].as_str().unwrap();
    let tagged =
        format!("Well. <tools>\n <__function={fitted}>\n  <__parameter=city>Lima</__parameter>\n");
    let listed = format!(r#"{{"name": "{fitted}", "arguments": {{"city": "Lima"}}}}"#);
    let reasons = ["malformed_tool_use", "malformed_model_output"];
    for (text, reason) in
        [tagged, listed].iter().flat_map(|text| reasons.map(|reason| (text, reason)))
    {
        let pieces = || text.as_bytes().chunks(7).map(|p| String::from_utf8(p.to_vec()).unwrap());
        let answer = || ModelAnswer::with_text(pieces()).stop(reason);
        rig.script(answer());
        let told = rig.ask(NOVA, body.clone()).await;
        assert_eq!(told.status, 200, "{}", told.text);
        let choice = &told.json["choices"][0];
        assert_eq!(choice["finish_reason"], "tool_calls", "{}", told.text);
        let function = &choice["message"]["tool_calls"][0]["function"];
        assert_eq!(
            (&function["name"], &function["arguments"]),
            (&json!("get-weather"), &json!(r#"{"city":"Lima"}"#))
        );
        rig.script(answer());
        let chunks = rig.chunks(NOVA, body.clone()).await;
        assert_eq!(finish_of(&chunks), Some("tool_calls"));
        assert!(!text_of(&chunks).contains(['<', '{']), "{}", text_of(&chunks));
    }
    for text in [
        r#"{"name": "nobody", "arguments": {}}"#,
        "<tools><__function",
        "get_weather(city='Lima')",
        "Let me look.",
        " ",
    ] {
        rig.script(ModelAnswer::with_text([text]).stop("malformed_tool_use"));
        let told = rig.ask(NOVA, body.clone()).await;
        assert_eq!(told.status, 502, "{}", told.text);
        assert!(told.text.contains("malformed_tool_use"), "{}", told.text);
    }
    // A text that is no call is sent on as it comes.
    rig.script(ModelAnswer::with_text(["a < b, {\"x\":", " 1}"]));
    assert_eq!(text_of(&rig.chunks(NOVA, body).await), "a < b, {\"x\": 1}");
}

#[actix_web::test]
async fn calls_and_results_stand_alone_where_a_family_takes_no_words_beside_them() {
    let rig = rig().await;
    let body = json!({"tools": [tool("time")], "messages": [
        {"role": "user", "content": "What time is it?"},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [tool_call("a", "time", "{}"), tool_call("b", "time", "{}")]},
        tool_result("a", "12"), tool_result("b", "13"),
        {"role": "user", "content": "And in Lima?"},
    ]});
    for model in [
        "meta.llama4-scout-17b-instruct-v1:0",
        "mistral.pixtral-large-2502-v1:0",
        "mistral.mistral-large-2407-v1:0",
    ] {
        let sent = rig.sent_body(model, body.clone()).await;
        assert_eq!(sent["messages"].as_array().unwrap().len(), 7, "{model}: {sent}");
    }
    assert_eq!(rig.sent_body(NOVA, body.clone()).await["messages"].as_array().unwrap().len(), 3);
    let words = "messages.2.content: Conversation blocks and tool result blocks cannot be provided in the same turn.";
    rig.bedrock.script(ANY, Script::fault(BedrockException::validation(words)));
    assert_eq!(rig.ask("qwen.qwen3-32b-v1:0", body).await.status, 200, "it is learned elsewhere");
}

#[actix_web::test]
async fn limits_of_answers_are_cut_to_what_the_model_writes() {
    let rig = rig().await;
    for (model, asked, sent) in
        [(HAIKU_3, 32_000, 4_096), (NOVA, 1_i64 << 40, 10_000), (NOVA, 500, 500)]
    {
        let body = chat_with(json!({"max_tokens": asked}));
        assert_eq!(rig.sent_body(model, body.clone()).await["inferenceConfig"]["maxTokens"], sent);
        let told = rig.ask(model, body).await.json;
        let fact = if asked == sent { json!(null) } else { json!(sent) };
        assert_eq!(told["x_bedrock_max_tokens"], fact, "{model}");
    }
    let thinking =
        json!({"thinking": {"type": "enabled", "budget_tokens": 100_000}, "max_tokens": 200_000});
    let sent = rig.sent_body(SONNET_4_5, chat_with(thinking)).await;
    assert_eq!(sent["inferenceConfig"]["maxTokens"], 64_000);
    assert_eq!(sent["additionalModelRequestFields"]["thinking"]["budget_tokens"], 63_999);
    for words in [
        "The maximum tokens you requested exceeds the model limit of 5000. Try again with a maximum tokens value that is lower than 5000.",
        "The model returned the following errors: max_tokens: 90000 > 5000, which is the maximum allowed number of output tokens for x",
        "Malformed input request: #/max_tokens: 90000 is not less or equal to 5000, please reformat your input and try again.",
    ] {
        let rig = self::rig().await;
        rig.bedrock.script(ANY, Script::fault(BedrockException::validation(words)));
        let answered = rig.ask("deepseek.v3.2", chat_with(json!({"max_tokens": 90_000}))).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        assert_eq!(chats(&rig.bedrock)[1].json["inferenceConfig"]["maxTokens"], 5_000);
    }
}

#[actix_web::test]
async fn names_of_files_in_any_script_reach_the_model() {
    let rig = rig().await;
    let file = |name: &str| json!({"type": "file", "file": {"file_data": "JVBERi0xLjcK", "filename": name}});
    let parts = json!([{"type": "text", "text": "?"}, file("报告.pdf"), file("отчёт.pdf"), file("plain.pdf")]);
    let sent = rig.sent_body(NOVA, chat_with_parts(parts)).await;
    let content = sent["messages"][0]["content"].to_string();
    for told in ["is: 报告.pdf", "is: отчёт.pdf"] {
        assert!(content.contains(told), "{content}");
    }
    assert!(!content.contains("is: plain.pdf"), "{content}");
}

/// Returns a schema of a few keywords, right or wrong.
fn schema() -> BoxedStrategy<Value> {
    let odd = || {
        select(vec![
            json!(null),
            json!([]),
            json!({}),
            json!("x"),
            json!(7),
            json!(true),
            json!(false),
        ])
    };
    let kind = select(vec![
        json!("object"),
        json!("string"),
        json!("ARRAY"),
        json!("integer"),
        json!(["string", "null"]),
        json!(["number", "object"]),
        json!("any"),
        json!(null),
    ]);
    let leaf = prop_oneof![
        4 => (kind, any::<bool>()).prop_map(|(kind, told)| if told { json!({"type": kind, "description": "It."}) } else { json!({"type": kind}) }),
        1 => select(vec![json!({"$ref": "#/$defs/A"}), json!({"$ref": "#"}), json!({"$ref": "#/definitions/B"}), json!({"$ref": "#/nowhere"}), json!({"const": 1}), json!({"enum": ["a", 1, null]}), json!({"enum": []}), json!({"pattern": "(?=a)"}), json!({"minimum": "3"}), json!({"format": "uri", "minLength": 1.0})]),
        1 => odd(),
    ];
    let nested = leaf.prop_recursive(5, 40, 4, move |inner| {
        let few = prop::collection::vec(inner.clone(), 0..3);
        let named = few.clone().prop_map(|few| {
            few.into_iter().zip(["a", "b", "ä c"]).map(|(schema, name)| (name.to_owned(), schema)).collect::<Value>()
        });
        let required = select(vec![json!(["a"]), json!([]), json!({}), json!(null), json!(["a", "a", "zz"]), json!(true), json!("a")]);
        let keyword = select(vec!["anyOf", "oneOf", "allOf"]);
        prop_oneof![
            (named.clone(), required, inner.clone()).prop_map(|(properties, required, more)| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": more})),
            (keyword, few.clone()).prop_map(|(keyword, few)| json!({keyword: few, "title": "T"})),
            (inner.clone(), few).prop_map(|(items, few)| json!({"type": "array", "items": if few.is_empty() { items } else { few.into() }, "minItems": 1})),
            (named, inner).prop_map(|(defs, inner)| json!({"$defs": {"A": inner}, "definitions": defs, "allOf": [inner]})),
        ]
    });
    nested.boxed()
}

#[test]
fn whatever_a_generator_writes_every_family_takes_or_the_client_reads_why_not() {
    let system = actix_web::rt::System::new();
    let rig = system.block_on(rig());
    let models = vec![
        NOVA,
        NOVA_2,
        "amazon.nova-pro-v1:0",
        HAIKU_3,
        HAIKU_4_5,
        OPUS_4_8,
        LLAMA,
        "qwen.qwen3-32b-v1:0",
        "mistral.mistral-large-2407-v1:0",
    ];
    let config = Config {
        cases: 250,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let schemas = prop::collection::vec(schema(), 1..4);
    let all = TestRunner::new(config).run(&(schemas, select(models)), |(schemas, model)| {
        let before = chats(&rig.bedrock).len();
        let answered = system.block_on(rig.ask(model, chat_with_schemas(schemas)));
        let asked = chats(&rig.bedrock).split_off(before);
        let is_told = answered.text.contains("must be a JSON Schema of the type `object`")
            || answered.text.contains(".function.parameters: must be an object");
        prop_assert!(
            answered.status == 200 || answered.status == 400 && is_told,
            "{}",
            answered.text
        );
        match asked.iter().find_map(|chat| refusal(&rig.bedrock, chat)) {
            None => Ok(()),
            Some(refusal) => Err(TestCaseError::fail(refusal)),
        }
    });
    all.unwrap();
    let taken = chats(&rig.bedrock).len();
    assert!(taken > 100, "too few chats reach Bedrock: {taken}");
}
