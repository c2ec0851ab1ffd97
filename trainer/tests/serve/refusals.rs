//! What is refused, in the form of OpenAI's errors.

use std::{fs, io::Read};

use serde_json::{Value, json};

use super::world::{NAME, Server, question_with, read, tiny_model, trainer, with_context};

#[test]
fn what_can_not_be_done_is_said_and_nothing_is_ignored() {
    let server = Server::of_tiny_model(&["--max-tokens", "100", "--rows", "4"]);
    let tool = json!({"type": "function", "function": {"name": "look"}});
    let image = json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]);
    for (fields, status, code, param) in [
        (json!({"model": "gpt-4o"}), 404, "model_not_found", "model"),
        (json!({"model": null}), 400, "missing_required_parameter", "model"),
        (json!({"messages": null}), 400, "missing_required_parameter", "messages"),
        (json!({"messages": image}), 400, "unsupported_parameter", "messages[0].content[0]"),
        (json!({"tools": [tool]}), 400, "unsupported_parameter", "tools"),
        (json!({"response_format": {"type": "json_object"}}), 400, "unsupported_parameter", "response_format"),
        (json!({"temperature": -1}), 400, "invalid_value", "temperature"),
        (json!({"n": 5}), 400, "invalid_value", "n"),
        (json!({"max_tokens": 101}), 400, "invalid_value", "max_tokens"),
        (json!({"top_logprobs": 2}), 400, "invalid_value", "top_logprobs"),
        (json!({"temprature": 1}), 400, "unknown_parameter", "temprature"),
        (
            json!({"messages": [{"role": "user", "content": "bees ".repeat(400)}]}),
            400,
            "context_length_exceeded",
            "messages",
        ),
    ] {
        let (found, answer) = server.post("/v1/chat/completions", &question_with("Hello", &fields));
        let error = &answer["error"];
        assert_eq!((found, &error["code"], &error["param"]), (status, &json!(code), &json!(param)), "{fields}");
        assert_eq!(error["type"], "invalid_request_error");
        assert!(error["message"].as_str().unwrap().len() > 10, "{error}");
    }
    for (fields, code) in [
        (json!({"prompt": "a", "echo": true}), "unsupported_parameter"),
        (json!({"prompt": "a", "suffix": "b"}), "unsupported_parameter"),
        (json!({"prompt": "a", "best_of": 3}), "unsupported_parameter"),
        (json!({"prompt": ""}), "invalid_value"),
        (json!({"prompt": [999_999]}), "invalid_value"),
        (json!({"prompt": "a", "messages": []}), "unknown_parameter"),
    ] {
        let mut body = fields.clone();
        body["model"] = json!(NAME);
        let (status, answer) = server.post("/v1/completions", &body);
        assert_eq!((status, &answer["error"]["code"]), (400, &json!(code)), "{fields}");
    }
    // The same, whether it would have been streamed or not.
    let (status, _) = server.post("/v1/chat/completions", &question_with("Hello", &json!({"stream": true, "n": 0})));
    assert_eq!(status, 400);

    let (status, answer) = read(server.send("/v1/chat/completions", b"{\"model\": ", None));
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("invalid_json")));
    let (status, answer) = read(server.send("/v1/chat/completions", &vec![b' '; 5_000_000], None));
    assert_eq!((status, &answer["error"]["code"]), (413, &json!("request_too_large")));
    assert_eq!(server.get("/v1/embeddings").0, 404);
    assert_eq!(server.get("/v1/completions").0, 405);
    for name in ["gpt-4o", "%ff"] {
        let (status, answer) = server.get(&format!("/v1/models/{name}"));
        assert_eq!((status, &answer["error"]["code"]), (404, &json!("model_not_found")), "{name}");
    }
    let (status, model) = server.get(&format!("/v1/models/{NAME}"));
    assert_eq!((status, &model["id"], &model["max_model_len"]), (200, &json!(NAME), &json!(256)));
}

#[test]
fn with_a_key_file_only_who_knows_the_key_is_answered() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, b"sesame\nnot this\n").unwrap();
    let server = Server::of_tiny_model(&["--api-key-file", file.path().to_str().unwrap()]);
    let body = question_with("Hello", &json!({"max_tokens": 2})).to_string();
    for (key, status) in [(None, 401), (Some("wrong"), 401), (Some("not this"), 401), (Some("sesame"), 200)] {
        let (found, answer) = read(server.send("/v1/chat/completions", body.as_bytes(), key));
        assert_eq!(found, status, "{answer}");
    }
    assert_eq!(server.get("/v1/models").1["error"]["code"], "invalid_api_key");
    assert_eq!(server.get("/healthz").0, 200);
}

#[test]
fn a_model_without_a_chat_template_says_so_and_still_continues_texts() {
    let (_directory, path) = with_context(64);
    let file = path.join("tokenizer_config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    config.as_object_mut().unwrap().remove("chat_template");
    fs::write(&file, config.to_string()).unwrap();
    let server = Server::start(&path, &[]);
    let (status, answer) = server.post("/v1/chat/completions", &question_with("Hello", &json!({})));
    assert_eq!((status, &answer["error"]["param"]), (400, &json!("messages")));
    assert!(answer["error"]["message"].as_str().unwrap().contains("no chat template"));
    let (status, _) = server.post("/v1/completions", &json!({"model": NAME, "prompt": "The moon", "max_tokens": 2}));
    assert_eq!(status, 200);
}

#[test]
fn a_command_that_can_not_serve_says_why() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let model = tiny_model();
    let model = model.to_str().unwrap();
    for (arguments, code, words) in [
        (vec!["--model", "nowhere", "--listen", "127.0.0.1:0"], 2, "nowhere"),
        (vec!["--model", model, "--listen", "somewhere"], 2, "--listen"),
        (vec!["--model", model, "--api-key-file", "nokey"], 2, "nokey"),
        // Before the model is read, which may take minutes.
        (vec!["--model", "nowhere", "--listen", &taken], 1, "in use"),
    ] {
        let mut child = trainer(&["serve"]).args(&arguments).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}
