//! Nights of a worker whose server is played here: what is refused before anything is trained, and what is said at the end.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
};

use laurel_records::{ClaimedJob, FinishRequest, HeartbeatAnswer, JobKind, JobOutcome, ModelFile, ModelRecord, Stage};
use laurel_trainer::{
    cli::device::device_of_tests,
    model::{
        Decoder, ModelDirectory, RewardModel,
        hf::{Lineage, file_names, sha256_of_file, write_decoder, write_reward_model},
    },
    night::{Client, Interruption, Interrupts, Worker, WorkerSettings},
};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::world::{World, demonstrations, prompts, rankings, shorter, write_model};

/// A model of the world as the registry has it.
fn registered(world: &World, name: &str, stage: Stage, number: u128) -> ModelRecord {
    let path = world.path(name);
    let files = file_names(&path).unwrap().into_iter().map(|name| {
        let file = path.join(&name);
        ModelFile { bytes: fs::metadata(&file).unwrap().len(), sha256: sha256_of_file(&file).unwrap(), name }
    });
    ModelRecord {
        id: Uuid::from_u128(number),
        name: name.to_owned(),
        stage,
        round: 1,
        parent: None,
        files: files.collect(),
        digest: ModelDirectory::open(&path).unwrap().digest().unwrap(),
        complete: true,
        files_removed_at: None,
    }
}

/// A night from `base`, which answers now. Nothing in it takes long: texts of the world have a few words.
fn job(base: ModelRecord, config: Value) -> ClaimedJob {
    let mut settings = json!({"sampling": {"max_new_tokens": 6}, "ppo": {"max_new_tokens": 6}});
    settings.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    ClaimedJob {
        id: Uuid::from_u128(100),
        kind: JobKind::Nightly,
        project: "words".to_owned(),
        lease: Uuid::from_u128(101),
        lease_until: OffsetDateTime::UNIX_EPOCH,
        attempt: 0,
        config: settings.as_object().unwrap().clone(),
        policy: Some(base.clone()),
        base: Some(base),
        reward: None,
        completed: vec![],
        answers_per_prompt: 4,
        previous: None,
    }
}

/// A job that has ended, on a server that is played here.
const ENDED: u128 = 8;

/// What a worker says at the end of the job.
fn end_of(world: &World, job: ClaimedJob) -> FinishRequest {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let models = world.path("");
    let server = std::thread::spawn(move || play(&listener, &job, &models));
    let interrupts = Interrupts::default();
    let client = Client::new(&address, "secret", &interrupts);
    let device = |_: &str| anyhow::Ok(device_of_tests());
    let settings =
        WorkerSettings { name: "worker".to_owned(), work_dir: world.path("work"), device: &device, quiet: true };
    Worker::new(client, interrupts, settings).unwrap().once().unwrap();
    server.join().unwrap()
}

/// Plays the server until the job ends. The files of a model lie in the folder of its name; it takes no models.
fn play(listener: &TcpListener, job: &ClaimedJob, models: &Path) -> FinishRequest {
    let exports = exports();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let (path, said) = request(&stream);
        let parts: Vec<&str> = path.trim_start_matches("/api/v1/").split(['/', '?']).collect();
        let found = match parts.as_slice() {
            ["jobs", "claim"] => serde_json::to_vec(job).ok(),
            ["jobs", _, "heartbeat"] => {
                serde_json::to_vec(&HeartbeatAnswer { lease_until: job.lease_until, stop: false }).ok()
            }
            ["jobs", _, "report" | "finish" | "waiting"] => Some(vec![]),
            ["jobs", id] => {
                let state = if **id == Uuid::from_u128(ENDED).to_string() { "failed" } else { "queued" };
                serde_json::to_vec(&json!({ "state": state })).ok()
            }
            ["projects", _, "export", kind, query] => {
                let split = query.rsplit('=').next().unwrap_or_default();
                Some(exports.get(&format!("{kind} {split}")).cloned().unwrap_or_default().into_bytes())
            }
            ["models", id, "files", name @ ..] => {
                let mut known = job.base.iter().chain(&job.policy).chain(&job.completed);
                let model = known.find(|model| model.id.to_string() == **id);
                model.and_then(|model| fs::read(models.join(&model.name).join(name.join("/"))).ok())
            }
            _ => None,
        };
        let missing = || br#"{"code":"not_found","message":"it is not here"}"#.to_vec();
        let (status, body) = found.map_or_else(|| (404, missing()), |body| (200, body));
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        // Who does not listen any more misses nothing.
        let _ = stream.write_all(&[head.into_bytes(), body].concat());
        if path.ends_with("/finish") {
            return serde_json::from_slice(&said).unwrap();
        }
    }
    unreachable!("a listener never ends by itself");
}

/// Path and body.
fn request(stream: &TcpStream) -> (String, Vec<u8>) {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (first.split(' ').nth(1).unwrap_or_default().to_owned(), body)
}

/// The project's records, by kind and split.
fn exports() -> BTreeMap<String, String> {
    let lines = |records: &[Value]| records.iter().map(|record| format!("{record}\n")).collect::<String>();
    let (demonstrations, rankings, prompts) = (demonstrations(), rankings(), prompts());
    let kinds = [("demonstrations", &demonstrations, 8), ("rankings", &rankings, 8), ("prompts", &prompts, 4)];
    let divided = kinds.into_iter().flat_map(|(kind, records, held_out)| {
        let (held_out, learned) = records.split_at(held_out);
        [(format!("{kind} train"), lines(learned)), (format!("{kind} validation"), lines(held_out))]
    });
    divided.collect()
}

#[track_caller]
fn assert_refused(end: &FinishRequest, words: &[&str]) {
    let error = end.error.as_deref().unwrap_or_default();
    assert!(end.outcome == JobOutcome::Failed && words.iter().all(|word| error.contains(word)), "{end:?}");
}

#[test]
fn answers_of_ppo_that_leave_no_room_for_a_prompt_are_refused_before_anything_is_trained() {
    let world = World::new();
    let base = registered(&world, "base", Stage::Base, 1);
    for (settings, answer, context) in [
        (json!({"max_new_tokens": 64}), "64", "64"),
        (json!({"max_new_tokens": 8, "max_length": 8}), "8", "8"),
        // A bound above the model's own is none.
        (json!({"max_new_tokens": 70, "max_length": 80}), "70", "64"),
    ] {
        let end = end_of(&world, job(base.clone(), json!({"ppo": settings})));
        assert_refused(&end, &["settings: ppo: ", "no room for a prompt", answer, context]);
    }
}

#[test]
fn the_policy_that_answers_now_has_to_be_there_and_to_have_room_before_anything_is_trained() {
    let world = World::new();
    let base = registered(&world, "base", Stage::Base, 1);
    let ask = |policy: ModelRecord, sampling: Value| {
        let job = job(base.clone(), json!({"sampling": sampling}));
        end_of(&world, ClaimedJob { policy: Some(policy), ..job })
    };
    let gone = ModelRecord { id: Uuid::from_u128(2), name: "gone".to_owned(), digest: "0".repeat(64), ..base.clone() };
    assert_refused(&ask(gone, json!({"max_new_tokens": 6})), &["downloading the model gone", "it is not here"]);

    // The base has room for the answers of the evaluation, the other policy has not.
    shorter(&world, "short", 16);
    let short = registered(&world, "short", Stage::Sft, 3);
    let end = ask(short, json!({"max_new_tokens": 16}));
    assert_refused(&end, &["settings: sampling: ", "no room for a prompt", "16"]);
    let end = ask(base.clone(), json!({"max_new_tokens": 64}));
    assert_refused(&end, &["settings: sampling: ", "no room for a prompt", "64"]);
}

#[test]
fn layers_that_the_base_does_not_have_are_refused_before_anything_is_trained() {
    let world = World::new();
    let base = registered(&world, "base", Stage::Base, 1);
    let end = end_of(&world, job(base, json!({"ppo": {"max_new_tokens": 6, "freeze_layers": 3}})));
    assert_refused(&end, &["settings: ppo: ", "freeze_layers", "2 layers"]);
    write_model(&world.path("gpt2"), "gpt2-tiny");
    let gpt2 = registered(&world, "gpt2", Stage::Base, 2);
    let end = end_of(&world, job(gpt2, json!({"reward": {"lora": "on", "lora_targets": ["gate_proj"]}})));
    assert_refused(&end, &["settings: reward: ", "lora_targets", "gate_proj"]);
}

#[test]
fn weights_that_a_reward_model_is_to_choose_are_refused_where_there_is_none_yet() {
    let world = World::new();
    let base = registered(&world, "base", Stage::Base, 1);
    let end = end_of(&world, job(base, json!({"sft": {"best_by": "reward"}})));
    assert_refused(&end, &["settings: sft: ", "best_by", "which a night makes after SFT"]);
}

#[test]
fn a_job_that_has_no_room_for_its_folder_fails_and_says_so() {
    let world = World::new();
    let job = job(registered(&world, "base", Stage::Base, 1), json!({}));
    let jobs = world.path("work").join("jobs");
    fs::create_dir_all(&jobs).unwrap();
    fs::write(jobs.join(job.id.to_string()), "in its way").unwrap();
    assert_refused(&end_of(&world, job), &["can't be made"]);
}

#[test]
fn what_is_left_of_a_job_that_has_ended_elsewhere_goes_before_the_next_one_needs_its_room() {
    let world = World::new();
    let jobs = world.path("work").join("jobs");
    let [waiting, ended] = [ENDED - 1, ENDED].map(|number| jobs.join(Uuid::from_u128(number).to_string()));
    for left in [&waiting, &ended] {
        fs::create_dir_all(left.join("ppo-from-1.checkpoints")).unwrap();
    }
    end_of(&world, job(registered(&world, "base", Stage::Base, 1), json!({"sft": {"best_by": "reward"}})));
    assert!(!ended.exists());
    assert!(waiting.exists(), "this worker may get it again, and goes on from there");
}

#[test]
fn a_worker_that_is_to_end_asks_for_nothing_more_after_a_job_that_was_stopped() {
    let world = World::new();
    let job = job(registered(&world, "base", Stage::Base, 1), json!({}));
    let (listener, models) = (TcpListener::bind("127.0.0.1:0").unwrap(), world.path(""));
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || (play(&listener, &job, &models), listener));
    let interrupts = Interrupts::default();
    let client = Client::new(&address, "secret", &interrupts);
    let raising = interrupts.clone();
    // Once the job is begun: SIGTERM, and “stop” on the dashboard.
    let device = move |_: &str| {
        raising.raise(Interruption::Ending);
        raising.raise(Interruption::Cancelled);
        anyhow::Ok(device_of_tests())
    };
    let settings =
        WorkerSettings { name: "worker".to_owned(), work_dir: world.path("work"), device: &device, quiet: true };
    Worker::new(client, interrupts, settings).unwrap().run().unwrap();
    let (end, listener) = server.join().unwrap();
    assert_eq!(end.outcome, JobOutcome::Cancelled);
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "another job was asked for");
}

#[test]
fn what_a_killed_download_left_does_not_stay_among_the_models() {
    let world = World::new();
    let base = registered(&world, "base", Stage::Base, 1);
    let models = world.path("work").join("models");
    let partial = models.join(format!(".partial-{}", base.digest));
    fs::create_dir_all(&partial).unwrap();
    fs::write(partial.join(".incoming-x"), "half a file").unwrap();
    let kept = models.join(&base.digest);
    end_of(&world, job(base.clone(), json!({"ppo": {"max_new_tokens": 64}})));
    let names: Vec<_> = fs::read_dir(kept).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), base.files.len(), "{names:?}");
    assert!(!partial.exists());
}

/// As transformers saves a tokenizer that has several.
#[test]
fn every_chat_template_comes_with_a_model_of_the_registry() {
    let world = World::new();
    let template = "additional_chat_templates/tool_use.jinja";
    let place = world.path("base").join(template);
    fs::create_dir(place.parent().unwrap()).unwrap();
    fs::write(&place, "{{ tools }}").unwrap();
    let base = registered(&world, "base", Stage::Base, 1);
    let models = world.path("work").join("models");
    let left = models.join(format!(".partial-{}", base.digest)).join("additional_chat_templates/.incoming-x");
    fs::create_dir_all(left.parent().unwrap()).unwrap();
    fs::write(left, "half a file").unwrap();
    end_of(&world, job(base.clone(), json!({"ppo": {"max_new_tokens": 64}})));
    let kept = models.join(&base.digest);
    assert_eq!(fs::read_to_string(kept.join(template)).unwrap(), "{{ tools }}");
    assert_eq!(fs::read_dir(kept.join(template).parent().unwrap()).unwrap().count(), 1);
    assert_eq!(ModelDirectory::open(&kept).unwrap().digest().unwrap(), base.digest);
}

/// A night all of whose models an earlier attempt has made: what is left is to measure them.
fn measured(world: &World, score_mean: f64, config: Value) -> FinishRequest {
    let directory = ModelDirectory::open(world.path("base")).unwrap();
    let companions = directory.companions().unwrap();
    for (name, seed) in [("sft", 4), ("ppo", 5)] {
        let decoder = Decoder::init_with_seed(directory.config(), seed, &device_of_tests());
        if !world.path(name).exists() {
            write_decoder(&world.path(name), &decoder, &companions, &Lineage::of(name)).unwrap();
        }
    }
    let name = format!("reward-{score_mean}");
    let mut reward = RewardModel::from_policy(&directory.load_decoder(&device_of_tests()).unwrap(), 3);
    reward.set_score_mean(score_mean);
    if !world.path(&name).exists() {
        write_reward_model(&world.path(&name), &reward, &companions, &Lineage::of("reward")).unwrap();
    }
    let completed = [("sft", Stage::Sft, 2), (name.as_str(), Stage::Reward, 3), ("ppo", Stage::Ppo, 4)];
    let completed = completed.map(|(name, stage, number)| registered(world, name, stage, number)).to_vec();
    let end = end_of(world, ClaimedJob { completed, ..job(registered(world, "base", Stage::Base, 1), config) });
    assert_eq!((end.outcome, &end.error), (JobOutcome::Done, &None));
    end
}

#[test]
fn rewards_of_a_night_count_from_the_zero_of_the_reward_models_scale() {
    let world = World::new();
    let config = json!({"evaluate": {"prompts": 3}});
    let [plain, shifted] = [0.0, 5.0].map(|mean| measured(&world, mean, config.clone()));
    for name in ["reward_before", "reward_after"] {
        let [plain, shifted] = [&plain, &shifted].map(|end| end.summary[name].as_f64().unwrap());
        assert!((plain - shifted - 5.0).abs() < 1e-6, "{name}: {plain} and {shifted}");
    }
    assert_eq!(plain.summary["win_rate"], shifted.summary["win_rate"]);
    assert!(plain.policy_is_better.is_some(), "{plain:?}");
}

#[test]
fn a_policy_that_was_compared_with_nothing_is_not_called_better() {
    let world = World::new();
    let end = measured(&world, 0.0, json!({"evaluate": {"prompts": 0}}));
    // What is known of the SFT model says nothing of the policy that PPO made of it.
    assert!(end.summary["nll_after"].is_f64() && end.summary["reward_accuracy"].is_f64(), "{end:?}");
    assert_eq!(end.policy_is_better, None);
}

#[test]
fn a_night_whose_models_learned_other_records_is_not_what_the_next_one_goes_by() {
    let world = World::new();
    let night = || measured(&world, 0.0, json!({"evaluate": {"prompts": 0}}));
    assert!(night().summary.contains_key("inputs"));
    // The attempt before this one was made elsewhere, and demonstrations have come since.
    let lineage = Lineage { data: Some("0".repeat(64)), ..Lineage::of("sft") };
    fs::write(world.path("sft").join("laurel.json"), serde_json::to_string(&lineage).unwrap()).unwrap();
    // The worker keeps a model by what it does, and has it as it was.
    fs::remove_dir_all(world.path("work")).unwrap();
    assert!(!night().summary.contains_key("inputs"));
}
