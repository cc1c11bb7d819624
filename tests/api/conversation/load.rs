//! Many users at once, whose conversations have the same ids: no word crosses, and every turn sees
//! its window.

use super::{Rig, content, message, rig};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// The number of conversations of each user.
const CHATS: usize = 3;

/// The number of earlier turns that a model gets.
const WINDOW: usize = 5;

/// The next turn of a user, in one conversation after the other. Users with an even number send the
/// new turn alone; the others send their whole history, as Open WebUI does.
async fn say(rig: &Rig, user: usize, turn: usize, histories: &mut [Vec<Value>; CHATS]) {
    let chat = turn % CHATS;
    let history = &mut histories[chat];
    history.push(message("user", &format!("u{user} c{chat} t{turn}.")));
    let (id, field) = (format!("chat {chat}"), ["conversation_id", "chat_id"][user % 2]);
    let messages =
        if user.is_multiple_of(2) { &history[history.len() - 1..] } else { &history[..] };
    let mut more = json!({"user": {"id": format!("user {user}")}});
    more[field] = id.into();
    let answer = content(&rig.ask(json!(messages), more).await);
    history.push(message("assistant", &answer));
}

async fn no_word_crosses(users: usize, turns: usize) {
    let rig = rig(json!({"memory_window": WINDOW, "persona": null})).await;
    let talk = async |user: usize| {
        let mut histories = Default::default();
        for turn in 0..turns {
            say(&rig, user, turn, &mut histories).await;
        }
        histories
    };
    let histories = join_all((0..users).map(talk)).await;
    let asked = rig.upstream.chat_bodies();
    assert_eq!(asked.len(), users * turns);
    for body in asked {
        let seen = body["messages"].as_array().unwrap();
        let last = seen.last().unwrap()["content"].as_str().unwrap();
        let numbers: Vec<usize> = last
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        let [user, chat, turn] = numbers[..] else { panic!("{last}") };
        // Questions and answers of this user's conversation until this turn.
        let messages = &histories[user][chat][..2 * (turn / CHATS) + 1];
        let window = &messages[messages.len().saturating_sub(2 * WINDOW + 1)..];
        assert_eq!(seen, window, "user {user}, chat {chat}, turn {turn}");
    }
}

#[actix_web::test]
async fn no_word_of_one_user_reaches_another() {
    no_word_crosses(20, 18).await;
}

#[actix_web::test]
#[ignore = "takes minutes: cargo test --test api -- --ignored two_hundred_users"]
async fn no_word_crosses_between_two_hundred_users_of_fifty_turns() {
    no_word_crosses(200, 50).await;
}
