//! What layers of settings make of each other, and what is refused.

use serde_json::{Map, Value};

use super::*;
use crate::train::sft::SftSettings;

fn layer(text: &str) -> Map<String, Value> {
    from_toml("settings.toml", text).unwrap()
}

fn refused(text: &str) -> String {
    read::<SftSettings>(&[layer(text)]).unwrap_err().to_string()
}

#[test]
fn later_layers_win_and_the_rest_is_default() {
    let file = layer("epochs = 5\nlearning_rate = 1e-3");
    let line = layer("epochs = 7");
    let settings: SftSettings = read(&[file, line]).unwrap();
    assert_eq!((settings.epochs, settings.learning_rate), (7, Some(1e-3)));
    assert_eq!(settings.adam_beta2, SftSettings::default().adam_beta2);
}

#[test]
fn wrong_names_and_values_are_refused_by_name() {
    assert!(refused("learningrate = 1").contains("learning_rate was meant"));
    for (written, meant) in [
        ("learning-rate", "learning_rate"),
        ("lerning_rate", "learning_rate"),
        ("Batch_Size", "batch_size"),
        ("bacth_size", "batch_size"),
        ("epoch", "epochs"),
        ("loraranks", "lora_rank"),
    ] {
        let expected = format!("there is no setting \"{written}\" here; {meant} was meant?");
        assert_eq!(refused(&format!("{written} = 1")), expected);
    }
    // Names of other stages and programs are near to none.
    for far in ["speed", "beta", "lr", "clip_range"] {
        let error = refused(&format!("{far} = 1"));
        assert!(error.starts_with(&format!("there is no setting \"{far}\" here; there are ")), "{error}");
    }
    assert_eq!(refused("epochs = 1.5"), "setting epochs: 1.5 is not a whole number of at least 0");
    assert_eq!(refused("epochs = -1"), "setting epochs: -1 is not a whole number of at least 0");
    assert!(refused("schedule = \"triangle\"").contains("triangle"));
    assert!(refused("warmup_ratio = 2.0").contains("warmup_ratio"));
    assert!(refused("learning_rate = 0.0").contains("learning_rate"));
    assert_eq!(refused("learning_rate = \"fast\""), "setting learning_rate: \"fast\" is not a number");
    assert!(refused("max_length = 1").contains("max_length: must be 0 or at least 2"));
    // Whether the adapters are new or learn on.
    for dropout in ["1.0", "1.5", "-0.5"] {
        let error = refused(&format!("lora_dropout = {dropout}"));
        assert_eq!(error, "setting lora_dropout: must be at least 0 and below 1");
    }
    // Not the default, as for a rate that is not given.
    for number in ["nan", "inf", "-inf"] {
        let error = from_toml("settings.toml", &format!("learning_rate = {number}")).unwrap_err().to_string();
        assert_eq!(error, "setting learning_rate: is not a finite number");
    }
}

#[test]
fn a_number_on_the_command_line_may_be_written_without_a_digit_before_or_after_the_point() {
    for default in [Value::from(1.0), Value::Null] {
        for (text, number) in [(".5", 0.5), ("5.", 5.0), ("-.25", -0.25), ("+0.5", 0.5), ("0.75", 0.75), ("2", 2.0)] {
            assert_eq!(from_text(&default, text).as_f64(), Some(number), "{text}");
        }
        for text in ["nan", "inf", "fast", "1e400", ""] {
            assert_eq!(from_text(&default, text), Value::from(text));
        }
    }
    // What is to be whole is refused in the words that were written.
    assert_eq!(from_text(&Value::from(2), "3."), Value::from("3."));
}

#[test]
fn adapters_are_for_large_models_and_bring_their_learning_rate() {
    let small = SftSettings::default().resolved(1_000_000);
    let large = SftSettings::default().resolved(135_000_000);
    assert_eq!((small.lora, large.lora), (LoraChoice::Off, LoraChoice::On));
    assert!(large.learning_rate > small.learning_rate);
    let given = SftSettings { learning_rate: Some(3e-4), ..SftSettings::default() };
    assert_eq!(given.resolved(135_000_000).learning_rate, Some(3e-4));
}

#[test]
fn who_names_a_setting_of_adapters_gets_some_unless_the_same_place_says_otherwise() {
    let of = |layers: &[&str]| {
        let layers: Vec<_> = layers.iter().map(|text| layer(text)).collect();
        read::<SftSettings>(&layers).unwrap().lora
    };
    assert_eq!(of(&["epochs = 3"]), LoraChoice::Auto);
    assert_eq!(of(&["lora_rank = 8"]), LoraChoice::On);
    // A file of all defaults says auto and a rank, and means neither; what is changed in it, or asked for after it, counts.
    assert_eq!(of(&["lora = \"auto\"\nlora_rank = 16\nlora_alpha = 32"]), LoraChoice::Auto);
    assert_eq!(of(&["lora = \"auto\"\nlora_rank = 8"]), LoraChoice::On);
    assert_eq!(of(&["lora = \"off\"\nlora_rank = 8"]), LoraChoice::Off);
    assert_eq!(of(&["lora = \"auto\"\nlora_rank = 16", "lora_alpha = 8.0"]), LoraChoice::On);
    assert_eq!(of(&["lora = \"off\"", "lora_rank = 8"]), LoraChoice::Off);
    assert_eq!(of(&["lora_rank = 8", "lora = \"off\""]), LoraChoice::Off);
}

#[test]
fn every_field_has_words_and_a_place_in_json() {
    let map = as_map(&SftSettings::default());
    assert_eq!(map.len(), SftSettings::FIELDS.len());
    for (name, documentation) in SftSettings::FIELDS {
        assert!(map.contains_key(*name) && documentation.len() > 10, "{name}");
    }
}
