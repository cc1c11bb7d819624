//! Credentials: keys, bearer keys, none.

use crate::support::*;
use bedrock_emulator::{ANY, AuthKind, BedrockException, DEMO_BEARER_TOKEN, Operation, Script};
use bedrock_models::BedrockValves;
use pipe_sdk::{Pipe, Secret};
use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::Command,
    thread,
    time::Duration,
};

#[tokio::test]
async fn requests_are_signed_with_the_keys_of_the_valves() {
    let rig = rig().await;
    rig.answer(HAIKU, hello()).await.unwrap();
    assert!(rig.bedrock.requests().iter().all(|request| request.auth == AuthKind::SigV4));
}

#[tokio::test]
async fn a_bedrock_api_key_goes_before_the_keys() {
    let rig = rig_with(|valves| valves.bedrock_api_key = DEMO_BEARER_TOKEN.into()).await;
    rig.answer(HAIKU, hello()).await.unwrap();
    assert!(rig.bedrock.requests().iter().all(|request| request.auth == AuthKind::Bearer));
}

#[tokio::test]
async fn keys_that_aws_does_not_know_are_reported_once_for_all_regions() {
    let rig = rig_with(|valves| valves.aws_secret_access_key = "wrong".into()).await;
    let models = models(&rig.pipe);
    assert_eq!(models.len(), 1);
    assert_eq!(models[0].id, "error");
    assert_eq!(models[0].name, "⚠ Amazon Bedrock");
    let told_why = models[0].description.as_deref().unwrap();
    assert!(told_why.contains("does not accept the credentials"), "{told_why}");
    let (kind, words) = told(rig.stream("error", hello()).await);
    assert_eq!(kind, "Credentials", "{words}");
    assert!(!words.contains("wrong"));
}

#[tokio::test]
async fn regions_that_fail_for_different_reasons_are_reported_each() {
    let bedrock = bedrock();
    bedrock
        .script_region("us-east-1", Script::fault(BedrockException::access_denied("no")).always());
    bedrock.script_region("us-west-2", Script::html(502).always());
    let pipe = started(valves(&bedrock)).await;
    pipe.wait_until_ready().await;
    assert_eq!(ids(&pipe), ["error-us-east-1", "error-us-west-2"]);
}

#[tokio::test]
async fn a_missing_profile_is_reported() {
    let bedrock = bedrock();
    let valves = BedrockValves {
        aws_access_key_id: None,
        aws_secret_access_key: Secret::default(),
        aws_profile: Some("nobody-has-this-profile".into()),
        ..valves(&bedrock)
    };
    let pipe = started(valves).await;
    pipe.wait_until_ready().await;
    let (kind, words) = told(pipe.pipe(call("error", &hello())).await);
    assert_eq!(kind, "Credentials", "{words}");
    assert!(!words.contains("nobody-has"), "{words}");
    assert!(bedrock.requests().is_empty());
}

#[test]
fn the_cause_of_credentials_that_do_not_load_is_shown_in_the_chat() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    let session = "[default]\nsso_session = x\nsso_account_id = 1\nsso_role_name = r\nregion = us-east-1\n\
                   [sso-session x]\nsso_region = us-east-1\nsso_start_url = https://x.example\n";
    fs::write(&config, session).unwrap();
    let config = config.display().to_string();
    let missing = folder.path().join("none").display().to_string();
    let role = ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x");
    for (variables, words) in [
        (vec![("AWS_ACCESS_KEY_ID", "x")], "AWS_SECRET_ACCESS_KEY is not: set both"),
        (vec![("AWS_PROFILE", "secret-name")], "is not defined in ~/.aws/config"),
        (vec![("AWS_WEB_IDENTITY_TOKEN_FILE", &*missing), role], "AWS_WEB_IDENTITY_TOKEN_FILE"),
        (vec![("AWS_CONFIG_FILE", &*config), ("HOME", "/nowhere")], "run `aws sso login`"),
    ] {
        let mut variables = variables;
        variables.push(("EXPECTED_WORDS", words));
        elsewhere("credentials::told_cause", &variables);
    }
}

#[tokio::test]
#[ignore = "needs an environment of its own"]
async fn told_cause() {
    let pipe = started(BedrockValves::default()).await;
    pipe.wait_until_ready().await;
    let (kind, words) = told(pipe.pipe(call("error", &hello())).await);
    assert_eq!(kind, "Credentials", "{words}");
    assert!(words.contains(&env::var("EXPECTED_WORDS").unwrap()), "{words}");
    assert!(!words.contains("secret-name") && !words.contains("123456789012"), "{words}");
}

/// Runs one of the tests below in a process of its own, because the environment belongs to the
/// whole process.
fn elsewhere(test: &str, variables: &[(&str, &str)]) {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env_clear()
        .envs([("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_CONFIG_FILE", "/dev/null")])
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

#[test]
fn without_credentials_it_starts_and_reports_what_is_missing() {
    elsewhere("credentials::without_credentials", &[]);
}

#[test]
fn a_metadata_service_that_never_answers_does_not_hold_that_up() {
    // Nobody accepts, so a request waits for ever.
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", service.local_addr().unwrap());
    let variables =
        [("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint)];
    elsewhere("credentials::without_credentials", &variables);
}

#[tokio::test]
#[ignore = "needs an environment of its own"]
async fn without_credentials() {
    let bedrock = bedrock();
    let valves = BedrockValves { endpoint_url: Some(bedrock.endpoint()), ..Default::default() };
    let pipe = started(valves).await;
    tokio::time::timeout(Duration::from_millis(900), pipe.wait_until_ready()).await.unwrap();
    let models = models(&pipe);
    assert_eq!(models.len(), 1);
    let told_why = models[0].description.as_deref().unwrap();
    assert!(told_why.contains("cannot be listed: no AWS credentials found"), "{told_why}");
    assert_eq!(told(pipe.pipe(call("error", &hello())).await).0, "Credentials");
    assert!(bedrock.requests().is_empty());
}

#[tokio::test]
async fn keys_and_endpoints_come_from_the_environment() {
    let bedrock = bedrock();
    let (id, secret) = bedrock_emulator::DEMO_KEY;
    let endpoint = bedrock.endpoint();
    let run = tokio::task::spawn_blocking(move || {
        elsewhere(
            "credentials::environment",
            &[
                ("AWS_ACCESS_KEY_ID", id),
                ("AWS_SECRET_ACCESS_KEY", secret),
                ("AWS_ENDPOINT_URL_BEDROCK", &endpoint),
                ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", &endpoint),
            ],
        );
    });
    run.await.unwrap();
    assert_eq!(bedrock.requests().last().unwrap().region, "us-east-1");
}

#[test]
fn lists_are_asked_for_through_the_proxy() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let (stream, _) = proxy.accept().unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    });
    elsewhere(
        "credentials::listing",
        &[
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_ENDPOINT_URL", "http://bedrock.invalid"),
            ("HTTP_PROXY", &url),
        ],
    );
    let asked = asked.join().unwrap();
    assert!(asked.starts_with("GET http://bedrock.invalid/"), "{asked}");
}

#[tokio::test]
#[ignore = "needs an environment of its own"]
async fn listing() {
    started(BedrockValves::default()).await.wait_until_ready().await;
}

#[tokio::test]
async fn a_bearer_key_comes_from_the_environment() {
    let bedrock = bedrock();
    let endpoint = bedrock.endpoint();
    let run = tokio::task::spawn_blocking(move || {
        elsewhere(
            "credentials::environment",
            &[("AWS_BEARER_TOKEN_BEDROCK", DEMO_BEARER_TOKEN), ("AWS_ENDPOINT_URL", &endpoint)],
        );
    });
    run.await.unwrap();
    assert!(bedrock.requests().iter().all(|request| request.auth == AuthKind::Bearer));
}

#[tokio::test]
async fn credentials_that_were_taken_back_are_asked_for_once_more() {
    let bedrock = bedrock();
    let folder = tempfile::tempdir().unwrap();
    let (script, config) = (folder.path().join("keys"), folder.path().join("config"));
    let (id, secret) = bedrock_emulator::DEMO_KEY;
    // The first are for the list, the second for the chat.
    let keys = format!(
        r#"n=0; [ -f "$0.n" ] && read n <"$0.n"; n=$((n + 1)); echo $n >"$0.n"
        secret={secret}; [ $n = 2 ] && secret=revoked
        echo "{{\"Version\":1,\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"$secret\"}}""#
    );
    fs::write(&script, keys).unwrap();
    let process = format!("[default]\ncredential_process = /bin/sh {}\n", script.display());
    fs::write(&config, process).unwrap();
    let (config, endpoint) = (config.display().to_string(), bedrock.endpoint());
    let run = tokio::task::spawn_blocking(move || {
        let variables = [("AWS_CONFIG_FILE", &*config), ("AWS_ENDPOINT_URL", &endpoint)];
        elsewhere("credentials::environment", &variables);
    });
    run.await.unwrap();
    let asked = bedrock.requests();
    let chats = asked.iter().filter(|request| request.operation == Some(Operation::ConverseStream));
    assert_eq!(chats.map(|request| request.attempt).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
#[ignore = "needs an environment of its own"]
async fn environment() {
    let pipe = started(BedrockValves::default()).await;
    pipe.wait_until_ready().await;
    pipe.pipe(call(HAIKU, &hello())).await.unwrap().fold().await.unwrap();
}

#[tokio::test]
async fn credentials_that_expire_keep_the_list_and_are_reported_in_the_chat() {
    let rig = rig().await;
    rig.bedrock.expire_credentials(true);
    let (kind, words) = told(rig.stream(HAIKU, hello()).await);
    assert_eq!(kind, "Credentials", "{words}");
    assert!(ids(&rig.pipe).contains(&HAIKU.into()));
    rig.bedrock.script(ANY, Script::demo());
    rig.bedrock.expire_credentials(false);
    rig.answer(HAIKU, hello()).await.unwrap();
}
