//! OpenAI's own Python client, as people use it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::world::{NAME, Server, questions};

#[test]
fn the_official_client_lists_chats_streams_completes_and_hears_errors() {
    let client = sample_data().join("openai-client");
    assert!(
        client.join("openai").exists(),
        "{} is not there: `scripts/sample_data.py --only openai` fetches OpenAI's Python client",
        client.display()
    );
    let server = Server::of_tiny_model(&["--rows", "8"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serve/openai_client.py");
    let output = Command::new("python3")
        .arg(script)
        .args([&server.address, NAME, &questions("zh", 1)[0]])
        .env("PYTHONPATH", &client)
        // What the machine's own user has set must not reach the client.
        .env_remove("OPENAI_BASE_URL")
        .env("OPENAI_API_KEY", "any")
        .output()
        .expect("python3");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "3.57.0 is content\n");
}

fn sample_data() -> PathBuf {
    match std::env::var_os("LAUREL_SAMPLE_DATA") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/sample-data"),
    }
}
