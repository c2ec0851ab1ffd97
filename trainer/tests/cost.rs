//! `laurel-trainer cost` as people call it.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

use serde_json::{Value, json};

fn cost(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_laurel-trainer")).arg("cost").args(arguments).output().unwrap()
}

/// The result as programs read it.
fn estimate(arguments: &[&str]) -> Value {
    let output = cost(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn result<'a>(estimate: &'a Value, section: &str, name: &str) -> &'a Value {
    let found = estimate["results"].as_array().unwrap().iter();
    let mut found = found.filter(|result| result["section"] == section && result["name"] == name);
    found.next().unwrap_or_else(|| panic!("no {section}: {name} in {estimate:#}"))
}

#[track_caller]
fn close(result: &Value, expected: f64) {
    let found = result["value"].as_f64().unwrap();
    assert!((found / expected - 1.0).abs() < 1e-3, "{found}, expected {expected}");
}

/// The published figure of Sunyan 2023; its inputs are named in the tests of the arithmetic.
#[test]
fn the_price_of_gpt3_and_what_was_assumed_for_it() {
    let gpt3 = estimate(&["--parameters", "175e9", "--tokens", "300B", "--hardware", "tpu-v4"]);
    close(result(&gpt3, "Training", "operations"), 3.15e23);
    close(result(&gpt3, "Training", "device hours"), 688_705.0);
    let price = result(&gpt3, "Training", "price");
    close(price, 1.398e6);
    assert_eq!(price["assumed"], json!(["peak-tflops", "utilisation", "price-per-hour"]));
    let input = |name: &str| gpt3["inputs"].as_array().unwrap().iter().find(|input| input["name"] == name).unwrap();
    assert_eq!((&input("parameters")["assumed"], &input("utilisation")["assumed"]), (&json!(false), &json!(true)));
    assert!(input("price-per-hour")["source"].as_str().unwrap().contains("commitment"));

    // What is given is no assumption any more; what nobody knows is asked for.
    let given = ["--parameters", "175e9", "--tokens", "300e9", "--hardware", "custom", "--peak-tflops", "275"];
    let given = estimate(&[&given[..], &["--utilisation", "0.462", "--devices", "1000"]].concat());
    let hours = result(&given, "Training", "device hours");
    close(hours, 688_705.0);
    assert_eq!(hours["assumed"], json!([]));
    close(result(&given, "Training", "time"), 28.696);
    let price = result(&given, "Training", "price");
    assert_eq!((&price["value"], &price["how"]), (&Value::Null, &json!("give --price-per-hour")));
}

/// SemiAnalysis 2023 and Guosheng Securities 2023; see the tests of the arithmetic.
#[test]
fn the_machines_for_a_crowd_and_their_electricity() {
    let crowd = ["--users", "13M", "--tokens-per-second", "312", "--price-per-hour", "1"];
    let chatgpt = estimate(&[&["--parameters", "175B"][..], &crowd].concat());
    close(result(&chatgpt, "Serving", "rent a day"), 694_444.0);
    assert_eq!(result(&chatgpt, "Serving", "whole devices")["value"], 28_936.0);
    assert_eq!(result(&chatgpt, "Serving", "whole servers")["value"], 3617.0);
    let search = ["--queries-per-second", "320e3", "--tokens-per-second", "156", "--busy", "1"];
    let search = estimate(&[&["--parameters", "175B"][..], &search].concat());
    close(result(&search, "Serving", "servers"), 512_820.51);

    let visits = ["--users", "25M", "--queries-per-user", "10", "--tokens-per-query", "30", "--busy", "1"];
    let rate = ["--tokens-per-second", "2.857142857142857", "--server-price", "199e3"];
    let visits = estimate(&[&["--parameters", "175B"][..], &visits, &rate].concat());
    assert_eq!(result(&visits, "Serving", "whole devices")["value"], 30_382.0);
    close(result(&visits, "Serving", "to buy"), 756e6);
    close(result(&visits, "Serving", "electricity a day"), 47_400.0);
}

/// For ten users a day less than one device's time is needed, and still all those that the weights of one model fill.
#[test]
fn a_model_that_one_device_cannot_hold_takes_whole_groups_of_them() {
    let few = estimate(&["--parameters", "1T", "--users", "10", "--hardware", "h100"]);
    let number = |name: &str| result(&few, "Serving", name)["value"].as_f64().unwrap();
    assert!(number("devices") < 1.0);
    let names = ["devices that hold one model", "whole devices", "whole servers"];
    assert_eq!(names.map(number), [32.0, 32.0, 4.0]);
    let many = estimate(&["--parameters", "1T", "--users", "10k", "--hardware", "h100"]);
    let number = |name: &str| result(&many, "Serving", name)["value"].as_f64().unwrap();
    assert!(number("whole devices") >= number("devices") && number("whole devices") % 32.0 == 0.0);
}

/// Ouyang et al. 2022, section 5.1: 4.9 and 60 petaFLOP/s-days.
#[test]
fn the_stages_of_instructgpt() {
    let stages = estimate(&["--parameters", "175B", "--rlhf"]);
    let section = "SFT, reward model and PPO";
    let compute = |stage: &str| result(&stages, section, &format!("{stage}: compute"))["value"].as_f64().unwrap();
    assert!((compute("SFT") - 4.9).abs() < 0.1);
    assert!((compute("PPO") + compute("pretraining mix of PPO") - 60.0).abs() < 1.0);
}

#[test]
fn a_model_on_disk_gives_its_own_shape() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../sample/tiny-model");
    let tiny = estimate(&["--model", model, "--hardware", "cpu", "--batch", "1", "--context", "256"]);
    // 4 layers, 2 key-value heads of 20, float32: 4 · (parameters + 256 · 2 · 4 · 40) bytes.
    let parameters = tiny["inputs"][0]["value"].as_f64().unwrap();
    close(result(&tiny, "Serving", "weights and caches"), 4.0 * (parameters + 256.0 * 320.0) / 1e9);
}

#[test]
fn people_get_a_table_and_wrong_numbers_are_named() {
    let output = cost(&["--parameters", "175e9", "--tokens", "300e9", "--hardware", "tpu-v4"]);
    let table = String::from_utf8(output.stdout).unwrap();
    for words in
        ["Device: tpu-v4", "3.150e23", "688,705", "--utilisation", "assumed [2]: PaLM's", "hours · price [1 2 3]"]
    {
        assert!(table.contains(words), "{words} is not in\n{table}");
    }
    for (arguments, words) in [
        (&["--parameters", "many"][..], "175e9"),
        (&[], "--parameters"),
        (&["--parameters", "1B", "--utilisation", "46.2"], "share"),
        (&["--parameters", "1B", "--hardware", "abacus"], "tpu-v4"),
        (&["--model", "nowhere"], "nowhere"),
    ] {
        let output = cost(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

#[test]
fn figures_of_which_nothing_was_made_are_named() {
    let asked = ["--parameters", "1B", "--queries-per-user", "20", "--utilisation", "0.4", "--context", "100"];
    let output = cost(&asked);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim_end().ends_with("--utilisation, --queries-per-user"), "{said}");
    let output = cost(&[&asked[..], &["--users", "9", "--tokens", "1B"]].concat());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_reader_that_went_away_is_no_fault_and_a_full_disk_is_one() {
    let program = || Command::new(env!("CARGO_BIN_EXE_laurel-trainer"));
    let closed = || std::io::pipe().unwrap().1;
    let for_people = ["cost", "--parameters", "1B", "--tokens", "1B"];
    for arguments in [&for_people[..], &["cost", "--json", "--parameters", "1B"], &["settings", "ppo"]] {
        let output = program().args(arguments).stdout(closed()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*said), (Some(0), ""), "{arguments:?}");
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = program().args(arguments).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.starts_with("laurel-trainer: standard output: No space left"), "{said}");
    }
    let refused = program().args(["cost", "--model", "nowhere"]).stderr(closed()).status().unwrap();
    assert_eq!(refused.code(), Some(2));
}
