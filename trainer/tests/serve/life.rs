//! Who comes, waits and goes: places, connections that break, the end of the server.

use serde_json::{Value, json};

use super::world::{Server, question_with, read, with_context};

/// Nothing ends these answers but the model's context.
const ENDLESS: &str = r#"{"temperature": 0, "logit_bias": {"0": -100, "2": -100}}"#;

fn endless() -> Value {
    serde_json::from_str(ENDLESS).unwrap()
}

#[test]
fn when_all_places_are_taken_one_is_told_to_come_back_and_who_leaves_frees_a_place() {
    // An answer of this length takes minutes: nobody waits for its end.
    let (_directory, path) = with_context(200_000);
    let server = Server::start(&path, &["--rows", "1", "--queue", "1"]);
    let mut first = server.stream("Tell me a story.", &endless());
    let words = first.by_ref().take(3).count();
    assert_eq!(words, 3, "it is being written");
    let second = server.stream("Tell me another.", &endless());

    let question = question_with("Hello", &json!({"max_tokens": 2})).to_string();
    let response = server.send("/v1/chat/completions", question.as_bytes(), None);
    assert_eq!(response.headers()["retry-after"], "1");
    let (status, answer) = read(response);
    assert_eq!((status, &answer["error"]["code"]), (503, &json!("overloaded")));

    // One that is written and one that waits: both leave.
    drop(first);
    drop(second);
    let answer = (0..600).find_map(|_| {
        let (status, answer) = read(server.send("/v1/chat/completions", question.as_bytes(), None));
        match status {
            200 => Some(answer),
            // As clients do.
            _ => {
                std::thread::sleep(std::time::Duration::from_millis(100));
                None
            }
        }
    });
    assert_eq!(answer.expect("a place")["usage"]["completion_tokens"], 2);
}

#[test]
fn a_client_that_hangs_up_on_a_whole_answer_frees_its_place() {
    use std::io::Write;
    let (_directory, path) = with_context(200_000);
    let server = Server::start(&path, &["--rows", "1"]);
    let body = question_with("Tell me a story.", &endless()).to_string();
    let place = server.address.trim_start_matches("http://");
    let mut connection = std::net::TcpStream::connect(place).unwrap();
    write!(connection, "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .unwrap();
    while server.get("/healthz").1["running"] != 1 {
        std::thread::yield_now();
    }
    drop(connection);
    // With the only row taken for minutes, this would not come.
    let answer = server.chat("Hello", &json!({"max_tokens": 2}));
    assert_eq!(answer["usage"]["completion_tokens"], 2);
}

#[test]
fn sigterm_finishes_what_is_under_way_and_takes_nothing_new() {
    let (_directory, path) = with_context(200_000);
    let server = Server::start(&path, &[]);
    let mut fields = endless();
    fields["max_tokens"] = json!(600);
    fields["stream_options"] = json!({"include_usage": true});
    let mut events = server.stream("Tell me a story.", &fields);
    assert_eq!(events.by_ref().take(3).count(), 3);
    server.ask_to_end();
    let last = events.last().unwrap();
    assert_eq!(last["usage"]["completion_tokens"], 600);
    let address = server.address.trim_start_matches("http://").to_owned();
    assert!(server.ended().success());
    assert!(std::net::TcpStream::connect(address).is_err());
}
