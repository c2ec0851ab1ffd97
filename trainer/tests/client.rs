//! The worker's calls against a server that breaks connections, is in trouble, or refuses: a listener with scripted answers.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    thread::JoinHandle,
};

use laurel_records::{JobReport, ModelFile, PromptScore, PromptScores};
use laurel_trainer::night::{Client, ClientError, Interruption, Interrupts};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What the listener does with a request.
enum Answer {
    /// Closes the connection without a word.
    Silence,
    /// Status and body.
    Says(u16, &'static str),
    /// Announces more bytes than it sends.
    BreaksOff(&'static str),
}

/// Answers one request after the other as scripted; the first lines and bodies of the requests.
fn server(script: Vec<Answer>) -> (String, JoinHandle<Vec<(String, String)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let thread = std::thread::spawn(move || script.into_iter().map(|answer| serve(&listener, &answer)).collect());
    (address, thread)
}

fn serve(listener: &TcpListener, answer: &Answer) -> (String, String) {
    let (mut stream, _) = listener.accept().expect("a connection");
    let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).expect("a request");
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a header");
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().expect("a number");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let reply = |status: u16, length: usize, body: &str| {
        format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
    };
    match answer {
        Answer::Silence => {}
        Answer::Says(status, body) => stream.write_all(reply(*status, body.len(), body).as_bytes()).expect("sent"),
        Answer::BreaksOff(body) => {
            stream.write_all(reply(200, body.len() + 9, body).as_bytes()).expect("sent");
        }
    }
    (first.trim().to_owned(), String::from_utf8(body).expect("text"))
}

fn report() -> JobReport {
    JobReport { lease: Uuid::nil(), progress: None, metrics: vec![], log: vec![], samples: vec![] }
}

#[test]
fn a_lost_connection_and_a_server_in_trouble_are_tried_again_with_the_same_words() {
    let (address, server) =
        server(vec![Answer::Silence, Answer::Says(503, r#"{"code":"busy","message":"later"}"#), Answer::Says(204, "")]);
    let client = Client::new(&address, "secret", &Interrupts::default());
    client.report(Uuid::nil(), &report()).expect("arrived");
    let heard = server.join().expect("served");
    assert!(heard.iter().all(|request| *request == heard[0]), "{heard:?}");
    assert!(heard[0].0.starts_with("POST /api/v1/jobs/00000000"), "{heard:?}");
}

#[test]
fn a_proxy_that_does_not_find_the_server_for_a_moment_is_asked_again() {
    let (address, server) =
        server(vec![Answer::Says(204, ""), Answer::Says(404, "404 page not found"), Answer::Says(204, "")]);
    let client = Client::new(&address, "secret", &Interrupts::default());
    client.report(Uuid::nil(), &report()).expect("arrived");
    // A clone knows it as well.
    client.clone().report(Uuid::nil(), &report()).expect("arrived, too");
    assert_eq!(server.join().expect("served").len(), 3);
}

#[test]
fn a_proxy_that_lets_nobody_in_for_a_moment_is_asked_again_and_the_servers_own_word_counts() {
    let resting = r#"{"code":"unauthorised","message":"this token does not work while whoever made it is shut out"}"#;
    let (address, server) = server(vec![
        Answer::Says(204, ""),
        Answer::Says(401, "<html>"),
        Answer::Says(403, ""),
        Answer::Says(302, "<html>"),
        Answer::Says(401, resting),
    ]);
    let client = Client::new(&address, "secret", &Interrupts::default());
    client.report(Uuid::nil(), &report()).expect("arrived");
    let error = client.report(Uuid::nil(), &report()).expect_err("refused");
    assert!(error.is_of_token(), "{error:?}");
    assert!(error.to_string().contains("refuses the token (this token does not work while"), "{error}");
    assert_eq!(server.join().expect("served").len(), 5);
}

#[test]
fn a_job_has_ended_once_its_state_says_so() {
    for (state, ended) in [("queued", false), ("running", false), ("done", true), ("failed", true), ("cancelled", true)]
    {
        let body = format!(r#"{{"id":"00000000-0000-0000-0000-000000000000","state":"{state}","attempts":1}}"#);
        let (address, server) = server(vec![Answer::Says(200, body.leak())]);
        let client = Client::new(&address, "secret", &Interrupts::default());
        assert_eq!(client.has_ended(Uuid::nil()).expect("an answer"), ended, "{state}");
        assert!(server.join().expect("served")[0].0.starts_with("GET /api/v1/jobs/00000000"));
    }
}

#[test]
fn refusals_are_not_tried_again_and_say_what_to_do() {
    for (status, body, said) in [
        (401, "{}", "laurel token add"),
        (403, r#"{"code":"forbidden","message":"annotators can't"}"#, "annotators can't"),
        (422, r#"{"code":"invalid","message":"bad","details":["a: b"]}"#, "refuses the report: bad; a: b"),
        (301, "<html>", "as from http to https"),
        (404, "<html>", "is this the address of a Laurel server?"),
        (413, "<html>", "client_max_body_size"),
    ] {
        let (address, server) = server(vec![Answer::Says(status, body)]);
        let client = Client::new(&address, "secret", &Interrupts::default());
        let error = client.report(Uuid::nil(), &report()).expect_err("refused");
        assert!(error.to_string().contains(said), "{error}");
        server.join().expect("one request");
    }
}

#[test]
fn a_lost_lease_is_told_from_other_conflicts() {
    let (address, _server) = server(vec![
        Answer::Says(409, r#"{"code":"lease_lost","message":"gone"}"#),
        Answer::Says(409, r#"{"code":"incomplete","message":"a file is missing"}"#),
    ]);
    let client = Client::new(&address, "secret", &Interrupts::default());
    assert!(matches!(client.report(Uuid::nil(), &report()), Err(ClientError::LeaseLost)));
    assert!(matches!(client.report(Uuid::nil(), &report()), Err(ClientError::Refused { status: 409, .. })));
}

#[test]
fn a_job_that_the_server_does_not_know_is_lost_but_not_by_the_word_of_a_proxy() {
    for (status, body, lost) in [
        (404, r#"{"code":"not_found","message":"there is no such job or model"}"#, true),
        (409, r#"{"code":"lease_lost","message":"gone"}"#, true),
        (404, "404 page not found", false),
        (409, r#"{"code":"incomplete","message":"a file is missing"}"#, false),
    ] {
        let (address, server) = server(vec![Answer::Says(status, body)]);
        let client = Client::new(&address, "secret", &Interrupts::default());
        let error = client.heartbeat(Uuid::nil(), Uuid::nil()).expect_err("refused");
        assert_eq!(error.has_lost_job(), lost, "{body}");
        server.join().expect("one request");
    }
}

#[test]
fn answers_that_wait_come_in_and_how_unsure_the_model_is_goes_out() {
    let waiting = concat!(
        r#"{"prompt_id":"00000000-0000-0000-0000-000000000001","prompt":[{"role":"user","content":"Hi"}],"#,
        r#""responses":[{"content":"Hello"},{"content":"Hey"}]}"#,
        "\n"
    );
    let (address, server) = server(vec![Answer::Says(200, waiting), Answer::Says(200, r#"{"stored":1,"unknown":[]}"#)]);
    let client = Client::new(&address, "secret", &Interrupts::default());
    let found = client.waiting_answers(Uuid::nil()).expect("answers");
    assert_eq!((found.len(), found[0].responses.len()), (1, 2));
    let score = PromptScore { prompt_id: Uuid::from_u128(1), uncertainty: 0.5 };
    let scores = PromptScores { model: Some("reward-2".to_owned()), scores: vec![score] };
    assert_eq!(client.prompt_scores("tea", &scores).expect("stored").stored, 1);
    let heard = server.join().expect("served");
    assert!(heard[0].0.ends_with("/jobs/00000000-0000-0000-0000-000000000000/waiting HTTP/1.1"), "{heard:?}");
    assert!(heard[1].0.starts_with("POST /api/v1/projects/tea/prompt-scores"), "{heard:?}");
    let sent: PromptScores = serde_json::from_str(&heard[1].1).expect("scores");
    assert_eq!(sent, scores);
}

#[test]
fn a_download_appears_whole_with_the_right_digest_or_not_at_all() {
    let (address, server) =
        server(vec![Answer::BreaksOff("half"), Answer::Says(200, "changed"), Answer::Says(200, "the weights")]);
    let client = Client::new(&address, "secret", &Interrupts::default());
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("model.safetensors");
    let sha256 = Sha256::digest("the weights").iter().map(|byte| format!("{byte:02x}")).collect();
    let file = ModelFile { name: "model.safetensors".to_owned(), bytes: 11, sha256 };
    client.get_file(Uuid::nil(), &file, &path).expect("downloaded");
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "the weights");
    assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 1, "nothing half is left");
    assert_eq!(server.join().expect("served").len(), 3);
}

/// A server that was not updated with its worker has no address with a folder in it.
#[test]
fn a_file_in_a_folder_comes_to_older_servers_by_one_name() {
    let none = r#"{"code":"not_found","message":"the API has no such address"}"#;
    let script = [(404, none), (204, ""), (404, none), (200, "Tools: none"), (404, none), (404, none), (404, none)];
    let (address, server) = server(script.into_iter().map(|(status, body)| Answer::Says(status, body)).collect());
    let client = Client::new(&address, "secret", &Interrupts::default());
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("tool_use.jinja");
    std::fs::write(&path, "Tools: none").expect("written");
    let name = "additional_chat_templates/tool_use.jinja";
    client.put_file(Uuid::nil(), name, &path).expect("uploaded");
    let sha256 = Sha256::digest("Tools: none").iter().map(|byte| format!("{byte:02x}")).collect();
    let file = ModelFile { name: name.to_owned(), bytes: 11, sha256 };
    client.get_file(Uuid::nil(), &file, &path).expect("downloaded");
    // What is nowhere is asked for twice, and what is in no folder once.
    client.put_file(Uuid::nil(), name, &path).expect_err("unknown");
    client.put_file(Uuid::nil(), "config.json", &path).expect_err("unknown");
    let places = server.join().expect("served").into_iter().map(|(first, _)| {
        let place = first.split(' ').nth(1).expect("an address");
        place.rsplit("/files/").next().expect("a name").to_owned()
    });
    let escaped = name.replace('/', "%2F");
    let escaped = escaped.as_str();
    assert_eq!(places.collect::<Vec<_>>(), [name, escaped, name, escaped, name, escaped, "config.json"]);
}

#[test]
fn waiting_for_the_server_ends_when_the_process_is_to_end() {
    let interrupts = Interrupts::default();
    // Nobody listens there: the port was free a moment ago.
    let address =
        format!("http://{}", TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address"));
    let client = Client::new(&address, "secret", &interrupts);
    interrupts.raise(Interruption::Ending);
    let error = client.report(Uuid::nil(), &report()).expect_err("nobody there");
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
}
