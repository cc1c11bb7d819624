//! Whoever turns valves gets none of the credentials of whoever runs the machine.

use crate::{process::Process, support::TestResponse};
use bedrock_emulator::{AuthKind, DEMO_BEARER_TOKEN, DEMO_KEY, Emulator, EmulatorOptions};
use reqwest::Method;
use serde_json::{Value, json};

const MODEL: &str = "bedrock_models.amazon.nova-lite-v1:0";

fn emulator() -> Emulator {
    Emulator::start(EmulatorOptions::default()).unwrap()
}

/// A host with these credentials of the environment, which names this Bedrock.
fn host(named: &Emulator, credentials: &[(&str, &str)], folder: &std::path::Path) -> Process {
    let endpoint = named.endpoint();
    let mut variables = vec![
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        // Nothing pins the valve.
        ("BEDROCK_MODELS_ENDPOINT_URL", ""),
        ("AWS_ENDPOINT_URL", &endpoint),
    ];
    variables.extend(credentials);
    Process::start_as(&variables, named, folder, &[])
}

async fn update_valves(host: &Process, valves: Value) -> TestResponse {
    TestResponse::read(host.post("/bedrock_models/valves/update", &valves).await).await
}

#[actix_web::test]
async fn credentials_of_the_environment_go_to_no_host_that_a_valve_names() {
    let (id, secret) = DEMO_KEY;
    let bearer = [("AWS_BEARER_TOKEN_BEDROCK", DEMO_BEARER_TOKEN)];
    let keys = [("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret)];
    for credentials in [&bearer[..], &keys] {
        let (named, other) = (emulator(), emulator());
        let folder = tempfile::tempdir().unwrap();
        let host = host(&named, credentials, folder.path());
        for valves in [
            json!({"endpoint_url": other.endpoint()}),
            json!({"endpoint_url": other.endpoint(), "aws_profile": "default"}),
            json!({"endpoint_url": other.endpoint(), "aws_role_arn": "arn:aws:iam::123456789012:role/chat"}),
            json!({"endpoint_url": "http://bedrock-runtime.us-east-1.amazonaws.com"}),
            json!({"endpoint_url": "https://abc.execute-api.us-east-1.amazonaws.com"}),
            json!({"endpoint_url": "http://169.254.169.254/latest"}),
            json!({"regions": "evil.example/#"}),
            json!({"regions": "a.evil.example"}),
        ] {
            let refused = update_valves(&host, valves.clone()).await;
            assert_eq!(refused.status, 422, "{valves}: {}", refused.text);
        }
        let chat = json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]});
        let answered = TestResponse::read(host.post("/chat/completions", &chat).await).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        assert!(!named.requests().is_empty() && other.requests().is_empty());
        // Named by the environment, or with keys of its own.
        let turned = update_valves(&host, json!({"endpoint_url": named.endpoint()})).await;
        assert_eq!(turned.status, 200, "{}", turned.text);
        let own = json!({"endpoint_url": other.endpoint(), "bedrock_api_key": DEMO_BEARER_TOKEN});
        let turned = update_valves(&host, own).await;
        assert_eq!(turned.status, 200, "{}", turned.text);
        let answered = TestResponse::read(host.post("/chat/completions", &chat).await).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        let asked = other.requests();
        assert!(!asked.is_empty() && asked.iter().all(|asked| asked.auth == AuthKind::Bearer));
        // Without the key the host would be asked by the environment's.
        let refused = update_valves(&host, json!({"bedrock_api_key": null})).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
    }
}

#[actix_web::test]
async fn an_endpoint_that_was_saved_before_gets_no_credentials_and_keeps_no_valve_from_being_turned()
 {
    let (named, other) = (emulator(), emulator());
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("pipelines/bedrock_models");
    std::fs::create_dir_all(&saved).unwrap();
    let valves = json!({"endpoint_url": other.endpoint()}).to_string();
    std::fs::write(saved.join("valves.json"), valves).unwrap();
    let host = host(&named, &[("AWS_BEARER_TOKEN_BEDROCK", DEMO_BEARER_TOKEN)], folder.path());
    let chat = json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]});
    let answered = TestResponse::read(host.post("/chat/completions", &chat).await).await;
    assert_eq!(answered.status, 500, "{}", answered.text);
    assert!(other.requests().is_empty() && named.requests().is_empty());
    let turned =
        update_valves(&host, json!({"endpoint_url": other.endpoint(), "drop_tools": true})).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    let turned = update_valves(&host, json!({"endpoint_url": null})).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    let ready = host.client.request(Method::GET, format!("{}/health/ready", host.url));
    let ready: Value = ready.send().await.unwrap().json().await.unwrap();
    assert!(!ready["degraded"].as_array().unwrap().contains(&json!("bedrock_models")), "{ready}");
}

#[actix_web::test]
#[expect(clippy::print_stderr, reason = "whoever tests is to see what was not tested")]
async fn names_that_lead_to_metadata_services_are_not_connected_to() {
    let bedrock = emulator();
    let port = bedrock.endpoint().rsplit(':').next().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let hosts = "127.0.0.1 localhost loopback.example mixed.example\n\
                 169.254.169.254 plain.example mixed.example\n\
                 fd00:ec2::254 six.example\nfe80::1 local.example\n\
                 ::ffff:169.254.170.2 mapped.example\n";
    let nothing_pins = [("BEDROCK_MODELS_ENDPOINT_URL", "")];
    let started = Process::start_with_hosts(hosts, &nothing_pins, &bedrock, folder.path());
    let Some(host) = started else {
        eprintln!("skipped: `unshare --map-root-user --mount` is not allowed here");
        return;
    };
    let ask = async |model: &str| {
        let chat = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
        TestResponse::read(host.post("/chat/completions", &chat).await).await
    };
    let update_valves_of = async |pipe: &str, valves: Value| {
        let path = format!("/{pipe}/valves/update");
        let turned = TestResponse::read(host.post(&path, &valves).await).await;
        assert_eq!(turned.status, 200, "{}", turned.text);
    };
    let point_at = async |name: &str| {
        let url = format!("http://{name}:{port}");
        update_valves_of(
            "bedrock_models",
            json!({"endpoint_url": url, "bedrock_api_key": DEMO_BEARER_TOKEN}),
        )
        .await;
        update_valves_of("openai_proxy", json!({"api_base": url, "api_key": "k", "models": "m"}))
            .await;
        update_valves_of("hybrid_router", json!({"local_endpoint": url, "local_model": "m"})).await;
    };
    for name in ["plain.example", "six.example", "local.example", "mapped.example"] {
        point_at(name).await;
        for model in [MODEL, "openai_proxy.m", "hybrid_router.hybrid-local"] {
            let refused = ask(model).await;
            assert!(refused.status >= 500, "{name}: {}", refused.text);
            assert!(refused.text.contains("link-local address"), "{name}: {}", refused.text);
        }
        assert!(bedrock.requests().is_empty(), "{name}");
    }
    // Loopback and private addresses are what the valves are for.
    for name in ["loopback.example", "mixed.example"] {
        point_at(name).await;
        let answered = ask(MODEL).await;
        assert_eq!(answered.status, 200, "{name}: {}", answered.text);
        // The emulator has no such API, but it is asked.
        for model in ["openai_proxy.m", "hybrid_router.hybrid-local"] {
            let refused = ask(model).await;
            assert!(!refused.text.contains("link-local address"), "{name}: {}", refused.text);
        }
    }
}
