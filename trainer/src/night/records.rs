//! What a night learns from: the project's records, fetched once a job, and how much of it is new.

use std::{
    fs,
    path::{Path, PathBuf},
};

use laurel_records::{ClaimedJob, DemonstrationRecord, PromptRecord, RankingRecord};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::client::Client;
use crate::data::{DataError, records};

/// Kinds of records and their splits, as the export names them.
const KINDS: [&str; 3] = ["demonstrations", "rankings", "prompts"];
const SPLITS: [&str; 2] = ["train", "validation"];

/// Records of one kind: to learn from, and held out.
#[derive(Debug, Clone)]
pub struct Divided<T> {
    pub train: Vec<T>,
    pub held_out: Vec<T>,
}

/// Everything that a nightly run reads.
#[derive(Debug, Clone)]
pub struct Records {
    pub demonstrations: Divided<DemonstrationRecord>,
    /// Rankings that say something: all ties make no pair, and are left out.
    pub rankings: Divided<RankingRecord>,
    pub prompts: Divided<PromptRecord>,
    /// SHA-256 over all records, the settings and the base model: the same digest means the same models.
    pub digest: String,
    folder: PathBuf,
}

impl Records {
    /// Fetches the records of the job's project to `folder`. What is there already stays as it is: a run that is taken up
    /// again goes on with the records that it began with.
    pub fn fetch(client: &Client, job: &ClaimedJob, folder: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder)?;
        for (kind, split) in KINDS.into_iter().flat_map(|kind| SPLITS.map(|split| (kind, split))) {
            let path = path_in(&folder, kind, split);
            if !path.exists() {
                client.export(&job.project, kind, split, &path)?;
            }
        }
        for kind in &KINDS[..2] {
            join(&folder, kind)?;
        }
        let mut this = Self {
            demonstrations: divided(&folder, "demonstrations", records::demonstrations)?,
            rankings: divided(&folder, "rankings", records::rankings)?,
            prompts: divided(&folder, "prompts", records::prompts)?,
            digest: digest(&folder, job)?,
            folder,
        };
        for rankings in [&mut this.rankings.train, &mut this.rankings.held_out] {
            rankings.retain(|ranking| ranking.ranks.iter().any(|rank| *rank > 1));
        }
        Ok(this)
    }

    /// The file that a stage reads: all `demonstrations` or `rankings` of both splits, which the records name themselves.
    pub fn labels_file(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("{kind}.jsonl"))
    }

    /// The file with the prompts that PPO draws from: those of the training split.
    pub fn prompts_file(&self) -> PathBuf {
        path_in(&self.folder, "prompts", "train")
    }

    /// Demonstrations and rankings to learn from that were made after `since`.
    pub fn newer_than(&self, since: OffsetDateTime) -> (usize, usize) {
        let is_new = |at: Option<OffsetDateTime>| at.is_some_and(|at| at > since);
        let demonstrations = self.demonstrations.train.iter().filter(|record| is_new(record.created_at)).count();
        let rankings = self.rankings.train.iter().filter(|record| is_new(record.created_at)).count();
        (demonstrations, rankings)
    }
}

/// Both splits of a kind in one file; a stage learns from the one and chooses its best weights by the other.
fn join(folder: &Path, kind: &str) -> anyhow::Result<()> {
    let text = SPLITS.map(|split| fs::read_to_string(path_in(folder, kind, split)));
    let [train, held_out] = text;
    fs::write(folder.join(format!("{kind}.jsonl")), train? + &held_out?)?;
    Ok(())
}

fn path_in(folder: &Path, kind: &str, split: &str) -> PathBuf {
    folder.join(format!("{kind}-{split}.jsonl"))
}

fn divided<T>(
    folder: &Path,
    kind: &str,
    read: impl Fn(&Path) -> Result<Vec<T>, DataError>,
) -> anyhow::Result<Divided<T>> {
    let read = |split| {
        let path = path_in(folder, kind, split);
        // A project that has none of a kind exports an empty file.
        if fs::metadata(&path)?.len() == 0 { anyhow::Ok(vec![]) } else { Ok(read(&path)?) }
    };
    Ok(Divided { train: read(SPLITS[0])?, held_out: read(SPLITS[1])? })
}

/// Over the lines in order of their bytes, so that the order of an export does not matter.
fn digest(folder: &Path, job: &ClaimedJob) -> anyhow::Result<String> {
    let mut hasher = Sha256::new();
    hasher.update(serde_json::to_string(&job.config)?);
    hasher.update(job.base.as_ref().map(|base| base.digest.as_str()).unwrap_or_default());
    for (kind, split) in KINDS.into_iter().flat_map(|kind| SPLITS.map(|split| (kind, split))) {
        let text = fs::read_to_string(path_in(folder, kind, split))?;
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        hasher.update(format!("\n{kind} {split} {}\n", lines.len()));
        for line in lines {
            hasher.update(line);
            hasher.update("\n");
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
