//! Which checkpoints and best weights are kept, and which run may go on from them.

use std::io;

use serde_json::{Map, json};

use super::*;
use crate::{train::stored::Stored, transfer::testing::watched};

/// The checkpoints of a run in a folder, and what a run with these settings finds there.
fn open(folder: &Path, settings: &Value, earlier: Earlier) -> Result<(Checkpoints, Option<Loaded>), TrainError> {
    let settings = settings.as_object().cloned().unwrap();
    let identity = Identity { stage: "ppo".into(), inputs: BTreeMap::new(), seed: 1, settings };
    Checkpoints::open(&folder.join("out"), identity, 2, earlier)
}

fn tensors() -> Tensors {
    [("one".to_owned(), Stored::number(1.0))].into()
}

fn steps(checkpoints: &Checkpoints, kind: &str) -> Vec<usize> {
    checkpoints.files(kind).unwrap().into_keys().collect()
}

#[test]
fn the_newest_checkpoints_are_kept_and_the_best() {
    let folder = tempfile::tempdir().unwrap();
    let (checkpoints, _) = open(folder.path(), &json!({}), Earlier::Refuse).unwrap();
    for step in [0, 5, 10, 15] {
        checkpoints.add(Position::new(step, &(), None).unwrap(), &tensors()).unwrap();
    }
    let left = || steps(&checkpoints, "step-");
    assert_eq!(left(), [0, 5, 10, 15]);
    checkpoints.remove_surplus(Some(5)).unwrap();
    assert_eq!(left(), [5, 10, 15]);
    // The best may be one of the newest.
    checkpoints.remove_surplus(Some(15)).unwrap();
    assert_eq!(left(), [10, 15]);
    assert_eq!(checkpoints.without(15..=15), checkpoints.newest());
    assert_eq!(left(), [10]);
}

#[test]
fn what_is_to_be_overwritten_stays_until_the_run_begins_and_is_nothing_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (old, _) = open(folder.path(), &json!({}), Earlier::Refuse).unwrap();
    for step in [0, 5] {
        old.add(Position::new(step, &(), None).unwrap(), &tensors()).unwrap();
    }
    // A run that is killed before it begins leaves them, and can't take them for its own when it is resumed.
    let other = json!({"ensemble": 3, "learning_rate": 0.2});
    drop(open(folder.path(), &other, Earlier::Overwrite).unwrap());
    let error = open(folder.path(), &other, Earlier::Resume).map(drop).unwrap_err();
    assert!(error.is_wrong_input() && error.to_string().contains("belongs to another run"), "{error}");
    let (_, theirs) = open(folder.path(), &json!({"learning_rate": 0.2}), Earlier::Resume).unwrap();
    assert_eq!(theirs.unwrap().changed, ["learning_rate was null and is 0.2"]);
    // Another run's, with whose settings nothing could go on.
    let (mut new, loaded) = open(folder.path(), &json!({"ensemble": 3}), Earlier::Overwrite).unwrap();
    assert!(loaded.is_none());
    assert_eq!((new.newest(), new.without(0..=0), steps(&old, "step-")), (None, None, vec![0, 5]));
    new.begin().unwrap();
    assert!(!new.directory.exists());
    new.add(Position::new(3, &(), None).unwrap(), &tensors()).unwrap();
    new.begin().unwrap();
    assert_eq!((steps(&new, "step-"), new.newest()), (vec![3], Some(new.path("step-", 3))));
}

#[test]
fn what_a_run_left_half_written_that_was_killed_goes_when_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (killed, _) = open(folder.path(), &json!({}), Earlier::Refuse).unwrap();
    killed.add(Position::new(5, &(), None).unwrap(), &tensors()).unwrap();
    for name in [".tmpAb3dE6", "step-00000010.partial", "notes"] {
        fs::write(killed.directory.join(name), "half").unwrap();
    }
    let (mut resumed, loaded) = open(folder.path(), &json!({}), Earlier::Resume).unwrap();
    assert_eq!(loaded.unwrap().position.step, 5);
    assert_eq!(fs::read_dir(&resumed.directory).unwrap().count(), 4, "a run may still be refused");
    resumed.begin().unwrap();
    let mut left: Vec<_> = fs::read_dir(&resumed.directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["notes", "step-00000005.safetensors"]);
}

#[test]
fn of_the_best_weights_those_of_now_are_kept_and_those_that_a_checkpoint_speaks_of() {
    let folder = tempfile::tempdir().unwrap();
    let (checkpoints, _) = open(folder.path(), &json!({}), Earlier::Refuse).unwrap();
    let best = |step| {
        checkpoints.save_best(step, &tensors()).unwrap();
        steps(&checkpoints, "best-")
    };
    let save = |step, best| {
        let position = Position::new(step, &(), Some(best)).unwrap();
        checkpoints.add(position, &tensors()).and_then(|()| checkpoints.tidy(None))
    };
    // Also before the first checkpoint, and where none is ever written.
    assert_eq!((best(1), best(2)), (vec![1], vec![2]));
    save(3, 2).unwrap();
    assert_eq!((best(4), best(5)), (vec![2, 4], vec![2, 5]));
    // A checkpoint that can no longer be read needs none, and ends no run.
    fs::write(checkpoints.path("step-", 3), "half").unwrap();
    save(6, 5).unwrap();
    assert_eq!((steps(&checkpoints, "step-"), steps(&checkpoints, "best-")), (vec![3, 6], vec![5]));
}

#[test]
fn what_cannot_be_written_leaves_what_was_there_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let (checkpoints, _) = open(folder.path(), &json!({}), Earlier::Refuse).unwrap();
    let add = |step| checkpoints.add(Position::new(step, &(), None).unwrap(), &tensors());
    // A folder stands where the file would be written.
    let stands_in_the_way =
        |step| fs::create_dir_all(checkpoints.path("step-", step).with_extension("partial")).unwrap();
    stands_in_the_way(3);
    let first = add(3).unwrap_err().to_string();
    assert!(first.contains("step-00000003.safetensors can't be written: "), "{first}");
    assert!(first.ends_with("; there is no checkpoint yet"), "{first}");
    add(4).unwrap();
    stands_in_the_way(5);
    let error = add(5).unwrap_err();
    let last_good = checkpoints.path("step-", 4);
    assert!(matches!(&error, TrainError::NotWritten { checkpoint: Some(path), .. } if *path == last_good), "{error}");
    assert!(!error.is_wrong_input() && error.to_string().contains("--resume goes on from it"), "{error}");
    assert_eq!(checkpoints.load(&last_good).unwrap().tensors, tensors());
    // The two folders and the one checkpoint: nothing half written.
    assert_eq!(fs::read_dir(&checkpoints.directory).unwrap().count(), 3);

    let model = |kind: io::ErrorKind| {
        let error = ModelError::file("out/model.safetensors")(kind.into());
        checkpoints.model_not_written(TrainError::Model(error)).to_string()
    };
    let full = model(io::ErrorKind::StorageFull);
    assert!(full.starts_with("out/model.safetensors can't be written: no storage space; the last good"), "{full}");
    // Somebody has put a model there meanwhile.
    assert!(!model(io::ErrorKind::AlreadyExists).contains("can't be written"));
}

#[test]
fn what_is_written_and_read_of_a_checkpoint_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (checkpoints, _) = open(folder.path(), &json!({}), Earlier::Refuse).unwrap();
    let ((), told) = watched(|| checkpoints.add(Position::new(3, &(), None).unwrap(), &tensors()).unwrap());
    assert_eq!(told, [("Writing step-00000003.safetensors".to_owned(), 4, 4)]);
    let (loaded, told) = watched(|| checkpoints.load(&checkpoints.path("step-", 3)).unwrap());
    assert_eq!((loaded.position.step, loaded.tensors), (3, tensors()));
    assert_eq!(told, [("Reading step-00000003.safetensors".to_owned(), 4, 4)]);
}

#[test]
fn a_run_goes_on_with_other_rates_but_not_with_other_data_or_another_scale() {
    let folder = tempfile::tempdir().unwrap();
    let settings =
        json!({"block_length": 256, "normalise_scores": false, "rating_coefficient": 0.5, "learning_rate": 0.1});
    let (checkpoints, _) = open(folder.path(), &settings, Earlier::Refuse).unwrap();
    checkpoints.add(Position::new(3, &(), None).unwrap(), &tensors()).unwrap();
    let resumed = |name: &str, value: Value| {
        let mut settings = settings.clone();
        settings[name] = value;
        open(folder.path(), &settings, Earlier::Resume).map(|(_, loaded)| loaded.unwrap().changed)
    };
    assert_eq!(resumed("learning_rate", json!(0.2)).unwrap(), ["learning_rate was 0.1 and is 0.2"]);
    assert_eq!(resumed("rating_coefficient", json!(0.25)).unwrap(), ["rating_coefficient was 0.5 and is 0.25"]);
    for (name, value) in
        [("block_length", json!(128)), ("normalise_scores", json!(true)), ("rating_coefficient", json!(0))]
    {
        let error = resumed(name, value).unwrap_err();
        assert!(error.is_wrong_input() && error.to_string().contains(&format!("{name} was")), "{error}");
    }
}

#[test]
fn a_run_does_not_go_on_from_a_checkpoint_that_says_nothing_of_an_input_of_its() {
    let folder = tempfile::tempdir().unwrap();
    let open = |inputs: &[(&str, &str)], earlier| {
        let inputs = inputs.iter().map(|(name, digest)| (name.to_string(), digest.to_string())).collect();
        let identity = Identity { stage: "reward".into(), inputs, seed: 1, settings: Map::new() };
        Checkpoints::open(&folder.path().join("out"), identity, 2, earlier)
    };
    // As a build wrote it that resampled rankings otherwise.
    let (checkpoints, _) = open(&[("data", "a")], Earlier::Refuse).unwrap();
    checkpoints.add(Position::new(3, &(), None).unwrap(), &tensors()).unwrap();
    assert!(open(&[("data", "a")], Earlier::Resume).unwrap().1.is_some());
    let error = open(&[("data", "a"), ("resampling of the rankings", "b")], Earlier::Resume).map(drop).unwrap_err();
    assert!(error.is_wrong_input(), "{error}");
    assert!(error.to_string().contains("its resampling of the rankings is another"), "{error}");
}

#[test]
fn settings_of_many_digits_are_the_same_when_they_come_back() {
    let folder = tempfile::tempdir().unwrap();
    // What halves in twelve steps, and 16/34: numbers that a quick reader of JSON gets wrong in the last bit.
    let settings = json!({"ema_decay": 0.5f64.powf(1.0 / 12.0), "kl_coefficient": 16.0 / 34.0, "learning_rate": null});
    let (checkpoints, _) = open(folder.path(), &settings, Earlier::Refuse).unwrap();
    checkpoints.add(Position::new(3, &(), None).unwrap(), &tensors()).unwrap();
    let (_, loaded) = open(folder.path(), &settings, Earlier::Resume).unwrap();
    assert_eq!(loaded.unwrap().changed, Vec::<String>::new());
}
