//! Upstreams that fail, in each way that is known: what a client gets, and what the upstream gets.

use super::{
    MODEL, chat_body, host, rig, rig_of,
    server::{ResponseStep, Server, answer, delta, end, event, head, json_of, says, stream},
    split_broken_stream,
};
use crate::{
    rig::with_stream,
    support::{Builder, chat},
};
use reqwest::{Body, Method};
use serde_json::json;
use std::{
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// An upstream that lists nothing, because there is none.
fn unlistable_upstream() -> serde_json::Value {
    json!({"models": "m", "max_attempts": 3})
}

#[actix_web::test]
async fn f01_an_upstream_that_refuses_connections_is_tried_again_named_by_its_model_and_then_left_in_peace()
 {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let host = host(&format!("http://{closed}/v1"), unlistable_upstream()).await;
    // Each of three attempts; to the breaker they are one.
    for _ in 0..2 {
        let refused = host.chat(MODEL, "hi").await;
        assert_eq!(refused.error_message(502), "The server of `m` cannot be reached");
        assert!(!refused.text.contains("127.0.0.1"), "{}", refused.text);
    }
    let resting = host.chat(MODEL, "hi").await;
    assert!(resting.error_message(503).contains("has failed again and again"), "{}", resting.text);
    let wait: u64 = resting.header("retry-after").parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    assert_eq!(host.get("/health/ready").await.json["degraded"], json!(["openai_proxy"]));
}

/// An address at which connections are neither taken nor refused, for as long as the sockets live.
fn black_hole() -> (SocketAddr, Vec<socket2::Socket>) {
    use socket2::{Domain, Socket, Type};
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut sockets = vec![listener];
    // Its queue is full when one more is not connected at once.
    loop {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let connected = socket.connect_timeout(&address, Duration::from_millis(200));
        sockets.push(socket);
        if connected.is_err() {
            return (address.as_socket().unwrap(), sockets);
        }
    }
}

#[actix_web::test]
async fn f02_a_black_hole_costs_no_more_than_the_time_to_connect_for_each_attempt() {
    let (address, _sockets) = black_hole();
    let mut valves = unlistable_upstream();
    (valves["connect_timeout_seconds"], valves["max_attempts"]) = (1.into(), 2.into());
    let host = host(&format!("http://{address}/v1"), valves).await;
    let begun = Instant::now();
    let late = host.chat(MODEL, "hi").await;
    assert!(late.error_message(504).contains("there was no connection in time"), "{}", late.text);
    let passed = begun.elapsed();
    assert!(passed >= Duration::from_secs(2) && passed < Duration::from_secs(4), "{passed:?}");
}

#[actix_web::test]
async fn f03_an_upstream_that_takes_a_chat_and_never_answers_is_given_up_in_time() {
    // A streamed answer must begin in time; one in one piece may take as long as a begun one may be
    // silent.
    for (valves, streamed) in [
        (json!({"timeout": 5}), true),
        (json!({"timeout": 5, "idle_timeout_seconds": 2}), false),
        (json!({"timeout": 5, "stream_above_max_tokens": 0}), false),
    ] {
        let rig = rig(valves).await;
        rig.server.script(vec![ResponseStep::Hold]);
        let begun = Instant::now();
        let late = rig.post(&with_stream(chat_body(&json!({})), streamed)).await;
        assert!(
            late.error_message(504).contains("did not begin to answer in time"),
            "{}",
            late.text
        );
        assert!(begun.elapsed() < Duration::from_secs(7));
        timeout(Duration::from_secs(1), rig.server.wait_for_disconnects(1))
            .await
            .expect("still connected");
        assert_eq!(rig.server.chat_requests().len(), 1, "what took so long is not tried again");
        assert_eq!(rig.plain().await.status, 200);
    }
}

#[actix_web::test]
async fn f04_an_answer_that_falls_silent_ends_in_an_error_frame_or_a_504() {
    let rig = rig(json!({"idle_timeout_seconds": 1})).await;
    let silent = || vec![head(), says("half"), ResponseStep::Hold];
    rig.server.script(silent());
    let (said, error) = split_broken_stream(&rig.streamed().await);
    assert_eq!((said.as_str(), &error["type"]), ("half", &json!("timeout")));
    rig.server.script(silent());
    assert!(rig.plain().await.error_message(504).contains("fallen silent"));
    rig.server.script(vec![head(), ResponseStep::Hold]);
    rig.streamed().await.error_message(504);
    timeout(Duration::from_secs(1), rig.server.wait_for_disconnects(3))
        .await
        .expect("still connected");
}

#[actix_web::test]
async fn f04_an_answer_that_is_silent_for_a_while_is_kept_alive() {
    // The comments of an upstream that thinks are life, too.
    let rig = rig(json!({"idle_timeout_seconds": 1})).await;
    let thinking = [
        ResponseStep::Send(b": still thinking\n\n".to_vec()),
        ResponseStep::Wait(Duration::from_millis(400)),
    ];
    let mut acts = vec![head()];
    acts.extend(thinking.into_iter().cycle().take(8));
    acts.extend([says("so"), ResponseStep::Send(event(&end("stop"))), ResponseStep::Close]);
    rig.server.script(acts);
    assert_eq!(rig.plain().await.json["choices"][0]["message"]["content"], "so");
}

#[actix_web::test]
async fn f05_a_connection_that_is_reset_ends_in_an_error_frame_and_is_not_asked_again() {
    let rig = rig(json!({})).await;
    let chunked =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let half = event(&delta(json!({"content": "half"})));
    let framed = [format!("{:x}\r\n", half.len()).as_bytes(), &half, b"\r\n"].concat();
    for acts in [
        vec![head(), says("half"), ResponseStep::Reset],
        vec![
            ResponseStep::Send(chunked.to_vec()),
            ResponseStep::Send(framed.clone()),
            ResponseStep::Reset,
        ],
        vec![ResponseStep::Send(chunked.to_vec()), ResponseStep::Send(framed), ResponseStep::Close],
    ] {
        let before = rig.server.chat_requests().len();
        rig.server.script(acts.clone());
        let (said, error) = split_broken_stream(&rig.streamed().await);
        // Bytes that lie about when a connection is torn off may be lost with it.
        assert!(said == "half" || said.is_empty(), "{said}");
        assert!(error["message"].as_str().unwrap().contains("ended early"), "{error}");
        assert_eq!(rig.server.chat_requests().len(), before + 1);
    }
}

#[actix_web::test]
async fn f05_a_connection_that_breaks_before_an_answer_is_tried_again() {
    let rig = rig(json!({})).await;
    rig.server.script(vec![ResponseStep::Reset]);
    assert_eq!(rig.plain().await.status, 200);
    assert_eq!(rig.server.chat_requests().len(), 2);
}

#[actix_web::test]
async fn f06_an_answer_that_does_not_say_that_it_is_whole_is_not_taken_for_one() {
    let rig = rig(json!({"breaker_failures": 0})).await;
    let half = delta(json!({"content": "half"}));
    for acts in [
        vec![head(), says("half"), ResponseStep::Close],
        stream(std::slice::from_ref(&half)),
        vec![
            head(),
            says("half"),
            ResponseStep::Send(b"data: {\"choices\": [{\"delta\": {\"con".to_vec()),
            ResponseStep::Close,
        ],
    ] {
        rig.server.script(acts.clone());
        let (said, error) = split_broken_stream(&rig.streamed().await);
        assert_eq!(said, "half");
        assert!(error["message"].as_str().unwrap().contains("ended early"), "{error}");
        rig.server.script(acts);
        rig.plain().await.error_message(502);
    }
    rig.server.script(vec![head(), ResponseStep::Close]);
    rig.streamed().await.error_message(502);
}

#[actix_web::test]
async fn f06_an_answer_that_says_why_it_ends_needs_no_done() {
    let rig = rig(json!({})).await;
    rig.server.script(vec![
        head(),
        says("all"),
        ResponseStep::Send(event(&end("length"))),
        ResponseStep::Close,
    ]);
    let told = crate::rig::ClientAnswer::read(&rig.streamed().await);
    assert_eq!((told.content.as_str(), told.finish.as_deref()), ("all", Some("length")));
}

#[actix_web::test]
async fn f07_an_error_within_an_answer_is_an_error_frame_with_its_own_code() {
    let rig = rig(json!({"breaker_failures": 0, "max_attempts": 1})).await;
    for (error, kind, code) in [
        (
            json!({"error": {"message": "slow down", "code": 429}}),
            "rate_limit_error",
            json!("rate_limit_exceeded"),
        ),
        (
            json!({"error": {"message": "overloaded", "type": "overloaded_error"}}),
            "api_error",
            json!(null),
        ),
        (json!({"error": "the worker died"}), "api_error", json!(null)),
        (
            json!({"error": {"message": "gone"}, "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "error"}]}),
            "api_error",
            json!(null),
        ),
    ] {
        rig.server.script(vec![
            head(),
            says("half"),
            ResponseStep::Send(event(&error)),
            says("more"),
            ResponseStep::Close,
        ]);
        let (said, told) = split_broken_stream(&rig.streamed().await);
        assert_eq!(
            (said.as_str(), &told["type"], &told["code"]),
            ("half", &json!(kind), &code),
            "{error}"
        );
    }
    let busy = json!({"error": {"message": "slow down", "code": 429}});
    rig.server.script(stream(std::slice::from_ref(&busy)));
    assert!(rig.streamed().await.error_message(429).contains("slow down"));
    rig.server.script(json_of("200 OK", "", &busy));
    rig.streamed().await.error_message(429);
}

#[actix_web::test]
async fn f07_answers_that_break_off_count_as_failures() {
    let rig = rig(json!({})).await;
    rig.server.answer_all_with(vec![
        head(),
        says("half"),
        ResponseStep::Send(event(&json!({"error": "the worker died"}))),
        ResponseStep::Close,
    ]);
    for number in 0..40 {
        let user = if number < 20 { 0 } else { number % 3 };
        let chat = chat_body(&json!({"user": {"id": format!("user-{user}")}}));
        let answered = rig.post(&with_stream(chat, true)).await;
        // One person's do not, and each of three has a third of twenty.
        if number < 39 {
            split_broken_stream(&answered);
        } else {
            assert!(answered.error_message(503).contains("again and again"), "{number}");
        }
    }
    assert_eq!(rig.server.chat_requests().len(), 39);
}

#[actix_web::test]
async fn f08_events_in_any_form_and_any_pieces_say_the_same() {
    let rig = rig(json!({})).await;
    let pieces = ["€ü", "🦀", "\u{0}e"].map(|text| delta(json!({"content": text})).to_string());
    let last = end("stop").to_string();
    let data: Vec<_> = pieces.iter().chain([&last]).cloned().chain(["[DONE]".into()]).collect();
    let form = |before: &str, field: &str, line: &str| {
        let events: String = data.iter().map(|data| format!("{field}{data}{line}{line}")).collect();
        format!("{before}{events}").into_bytes()
    };
    let split = |json: &String| json.replacen(',', ",\ndata: ", 1);
    let lines: String = data.iter().map(|data| format!("data: {}\n\n", split(data))).collect();
    for body in [
        form("", "data: ", "\n"),
        form("", "data:", "\n"),
        form("\u{feff}", "data: ", "\r\n"),
        form(": hello\n\n", "id: 1\nevent: message\ndata: ", "\n"),
        form("", "data: ", "\r"),
        lines.into_bytes(),
    ] {
        for act in [ResponseStep::Send(body.clone()), ResponseStep::Drip(body.clone())] {
            rig.server.script(vec![head(), act, ResponseStep::Close]);
            let told = crate::rig::ClientAnswer::read(&rig.streamed().await);
            assert_eq!(told.content, "€ü🦀\u{0}e", "{}", String::from_utf8_lossy(&body));
            assert_eq!(told.finish.as_deref(), Some("stop"));
        }
    }
}

#[actix_web::test]
async fn f08_a_line_without_end_is_an_error_and_not_read_on() {
    let rig = rig(json!({})).await;
    for line in ["data: ", ": ", "x"] {
        rig.server.script(vec![
            head(),
            says("half"),
            ResponseStep::Send(line.into()),
            ResponseStep::Pour(vec![b'a'; 64 << 10]),
        ]);
        let (said, error) = split_broken_stream(&rig.streamed().await);
        assert_eq!(said, "half");
        assert!(error["message"].as_str().unwrap().contains("too long"), "{error}");
    }
    timeout(Duration::from_secs(1), rig.server.wait_for_disconnects(3))
        .await
        .expect("still connected");
}

#[actix_web::test]
async fn f10_a_web_page_in_place_of_an_answer_is_an_error_in_plain_words() {
    let rig = rig(json!({"breaker_failures": 0})).await;
    let page = "<!DOCTYPE html><html><body>Log in to canary-portal</body></html>";
    for headers in ["content-type: text/html\r\n", "content-type: application/json\r\n", ""] {
        rig.server.script(answer("200 OK", headers, page));
        let refused = rig.streamed().await;
        assert!(
            refused.error_message(502).contains("answered with a web page"),
            "{}",
            refused.text
        );
        assert!(!refused.text.contains("canary"), "{}", refused.text);
    }
    rig.server.script(answer("502 Bad Gateway", "content-type: text/html\r\n", page));
    rig.server.script(answer("403 Forbidden", "content-type: text/html\r\n", page));
    assert_eq!(
        rig.plain().await.error_message(403),
        "The server of `m` does not allow this: it answered with status 403"
    );
}

#[actix_web::test]
async fn f11_a_wait_that_is_asked_for_is_kept_if_it_is_short_and_passed_on_if_not() {
    let rig = rig(json!({"max_attempts": 2})).await;
    let busy = |header: &str| {
        let body = json!({"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}});
        json_of("429 Too Many Requests", header, &body)
    };
    rig.server.script(busy("retry-after: 1\r\n"));
    let begun = Instant::now();
    assert_eq!(rig.plain().await.status, 200);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    for (header, passed_on) in [
        ("retry-after: 11\r\n", "11"),
        ("retry-after: 99999999999999999999\r\n", "86400"),
        ("retry-after: Tue, 31 Dec 2999 23:59:59 GMT\r\n", "86400"),
    ] {
        let before = rig.server.chat_requests().len();
        rig.server.script(busy(header));
        let refused = rig.plain().await;
        assert!(refused.error_message(429).ends_with("Rate limit reached"), "{}", refused.text);
        assert_eq!(refused.header("retry-after"), passed_on, "{header}");
        assert_eq!(rig.server.chat_requests().len(), before + 1, "nobody waits that long");
    }
    for absurd in ["retry-after: soon\r\n", "retry-after: -5\r\n"] {
        rig.server.script(busy(absurd));
        assert_eq!(rig.plain().await.status, 200, "{absurd}");
    }
}

#[actix_web::test]
async fn f12_a_storm_of_failures_opens_the_breaker_and_is_not_made_worse() {
    for status in ["500 Internal Server Error", "503 Service Unavailable", "529 Overloaded"] {
        let rig = rig(json!({})).await;
        rig.server.answer_all_with(json_of(status, "", &json!({"error": {"message": "busy"}})));
        for number in 0..100 {
            let user = json!({"user": {"id": format!("user-{}", number % 10)}});
            assert!(rig.post(&chat_body(&user)).await.status >= 500);
        }
        // Twenty chats, and the retries that all chats may spend together.
        assert_eq!(rig.server.chat_requests().len(), 20 + 11, "{status}");
    }
}

#[actix_web::test]
async fn f12_retries_are_a_tenth_of_all_chats_while_the_breaker_stays_closed() {
    let rig = rig(json!({"breaker_failures": 0})).await;
    rig.server.answer_all_with(json_of("500 Internal Server Error", "", &json!({"error": "no"})));
    for _ in 0..200 {
        rig.plain().await.error_message(502);
    }
    let asked = rig.server.chat_requests().len();
    assert!((220..=230).contains(&asked), "{asked}");
}

#[actix_web::test]
async fn f14_a_name_that_is_not_known_is_an_error_within_the_time_to_connect() {
    let mut valves = unlistable_upstream();
    valves["max_attempts"] = 1.into();
    let host = host("http://nowhere.invalid/v1", valves).await;
    let begun = Instant::now();
    let refused = host.chat(MODEL, "hi").await;
    assert!([502, 504].contains(&refused.status), "{}", refused.text);
    assert!(!refused.text.contains("nowhere.invalid"), "{}", refused.text);
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[actix_web::test]
async fn f15_a_client_that_leaves_frees_the_upstream_within_a_second() {
    // There is room for one: whoever comes next needs the place.
    let rig = rig(json!({"max_concurrent": 1})).await;
    // A chat of this length is worked on by a blocking thread.
    let long = "x".repeat(256 << 10);
    for (acts, streamed, padding) in [
        (vec![ResponseStep::Hold], true, ""),
        (vec![head(), ResponseStep::Hold], true, ""),
        (vec![head(), says("half"), ResponseStep::Hold], true, ""),
        (vec![head(), says("half"), ResponseStep::Hold], false, ""),
        (vec![ResponseStep::Hold], true, &long),
        (vec![head(), says("half"), ResponseStep::Hold], false, &long),
    ] {
        let before = rig.server.chat_requests().len();
        rig.server.script(acts.clone());
        let request = rig.host.request(Method::POST, "/chat/completions");
        let body = with_stream(chat_body(&json!({"metadata": {"padding": padding}})), streamed);
        let client = actix_web::rt::spawn(async move {
            let answer = request.json(&body).send().await.unwrap();
            answer.text().await
        });
        rig.server.wait_for_chats(before + 1).await;
        assert!(rig.plain().await.error_message(503).contains("limit of concurrent chats"));
        client.abort();
        let left = rig.server.wait_for_disconnects(before / 2 + 1);
        timeout(Duration::from_secs(1), left).await.unwrap_or_else(|_| panic!("{acts:?}"));
        // Until the host has seen it too.
        let free = async { while rig.plain().await.status != 200 {} };
        timeout(Duration::from_secs(1), free).await.expect("the place is still taken");
    }
    assert_eq!(rig.host.get("/health/ready").await.json["degraded"], json!([]), "nobody failed");
}

#[actix_web::test]
async fn f15_a_client_that_leaves_while_it_still_asks_is_not_asked_for() {
    let rig = rig(json!({})).await;
    let address = rig.host.url.strip_prefix("http://").unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    let body = chat(MODEL, "hi").to_string();
    write!(
        client,
        "POST /chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        crate::support::KEY,
        body.len() + 1
    )
    .unwrap();
    drop(client);
    assert_eq!(rig.plain().await.status, 200);
    assert_eq!(rig.server.chat_requests().len(), 1);
}

#[actix_web::test]
async fn f17_a_client_that_does_not_read_holds_the_upstream_back() {
    let rig = rig(json!({})).await;
    let piece = event(&delta(json!({"content": "x".repeat(1000)})));
    rig.server.script(vec![head(), ResponseStep::Pour(piece.repeat(64))]);
    let request = rig.host.request(Method::POST, "/chat/completions");
    let answer = request.json(&with_stream(chat_body(&json!({})), true)).send().await.unwrap();
    let mut taken = rig.server.bytes_read();
    // Until nothing more is taken for a while.
    while timeout(Duration::from_millis(500), taken.changed()).await.is_ok() {}
    let held = *taken.borrow_and_update();
    assert!(held < 32 << 20, "{held} bytes lie about");
    assert!(timeout(Duration::from_millis(500), taken.changed()).await.is_err());
    drop(answer);
    timeout(Duration::from_secs(1), rig.server.wait_for_disconnects(1))
        .await
        .expect("still connected");
}

#[actix_web::test]
async fn f17_a_client_that_takes_nothing_for_too_long_is_let_go() {
    let impatient = Builder::new().flag("--write-idle-seconds", "1");
    let rig = rig_of(impatient, json!({})).await;
    let piece = event(&delta(json!({"content": "x".repeat(1000)})));
    rig.server.script(vec![head(), ResponseStep::Pour(piece.repeat(64))]);
    let request = rig.host.request(Method::POST, "/chat/completions");
    let _unread = request.json(&with_stream(chat_body(&json!({})), true)).send().await.unwrap();
    timeout(Duration::from_secs(20), rig.server.wait_for_disconnects(1))
        .await
        .expect("still connected");
}

#[actix_web::test]
async fn f17_a_body_that_never_comes_is_the_client_s_own_trouble() {
    let rig = rig(json!({})).await;
    let endless = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let request = rig.host.request(Method::POST, "/chat/completions");
    let request =
        request.header("content-type", "application/json").body(Body::wrap_stream(endless));
    assert!(timeout(Duration::from_millis(300), request.send()).await.is_err());
    assert!(rig.server.chat_requests().is_empty());
}

#[actix_web::test]
async fn connections_are_used_again() {
    let rig = rig(json!({})).await;
    let whole =
        json!({"choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]});
    rig.server.answer_all_with(json_of("200 OK", "", &whole));
    for _ in 0..10 {
        assert_eq!(rig.plain().await.status, 200);
    }
    let chunked =
        |body: &[u8]| [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat();
    let body = [
        event(&delta(json!({"content": "hi"}))),
        event(&end("stop")),
        b"data: [DONE]\n\n".to_vec(),
    ]
    .concat();
    let head =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    rig.server.answer_all_with(vec![ResponseStep::Send(
        [&head[..], &chunked(&body), b"0\r\n\r\n"].concat(),
    )]);
    for _ in 0..10 {
        assert_eq!(rig.streamed().await.status, 200);
    }
    assert_eq!(rig.server.connections(), 1);
}

#[actix_web::test]
async fn an_upstream_that_is_well_again_is_asked_again() {
    let rig = rig(json!({"breaker_failures": 1, "breaker_seconds": 1, "max_attempts": 1})).await;
    rig.server.script(json_of("500 Internal Server Error", "", &json!({"error": "no"})));
    rig.plain().await.error_message(502);
    let resting = rig.plain().await;
    assert_eq!((resting.status, resting.header("retry-after")), (503, "1"));
    let well = async { while rig.plain().await.status != 200 {} };
    timeout(Duration::from_secs(3), well).await.expect("it rests for too long");
    assert_eq!(rig.server.chat_requests().len(), 2);
}

#[actix_web::test]
async fn a_redirect_is_not_followed_and_the_key_stays() {
    let rig = rig(json!({})).await;
    let elsewhere = Server::start(&["m"]).await;
    let location = format!("location: {}/chat/completions\r\n", elsewhere.url());
    rig.server.script(answer("307 Temporary Redirect", &location, ""));
    assert!(rig.plain().await.error_message(502).contains("points to another address"));
    assert!(elsewhere.requests().is_empty());
}
