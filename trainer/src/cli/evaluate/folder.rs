//! The folder of an evaluation: what both models answered, and the report.

use std::fs;

use anyhow::Context;
use laurel_records::{ResponseRecord, ResponsesRecord};
use serde_json::{Map, json};

use super::{Evaluation, Measured, Which, figure, report::Report};
use crate::{cli::output, data::records, evaluate::Answers};

impl Evaluation<'_> {
    /// Writes the directory, which appears whole.
    pub(super) fn write(
        &self,
        report: &Report,
        [ours, theirs]: [&Measured; 2],
        rewards: Option<&[Vec<Vec<f64>>; 2]>,
    ) -> anyhow::Result<()> {
        let out = &self.command.out;
        let name = || out.display().to_string();
        let partial =
            tempfile::Builder::new().prefix(".evaluate-").tempdir_in(output::folder_of(out)).with_context(name)?;
        for (which, file, measured) in [(Which::Model, "model.jsonl", ours), (Which::Against, "against.jsonl", theirs)]
        {
            output::write_lines(&partial.path().join(file), self.records(which, measured).into_iter())?;
        }
        let text = serde_json::to_string_pretty(report)? + "\n";
        fs::write(partial.path().join("report.json"), text).with_context(name)?;
        if let Some([ours, theirs]) = rewards {
            fs::write(partial.path().join("report.svg"), figure::svg(report, ours, theirs)).with_context(name)?;
        }
        let folder = partial.keep();
        fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).with_context(name)?;
        fs::rename(&folder, out).with_context(name)
    }

    fn records(&self, which: Which, measured: &Measured) -> Vec<ResponsesRecord> {
        let samples = self.command.samples();
        let Answers { texts, finished, .. } = &measured.answers;
        let groups = self.prompts.chunks(samples).zip(texts.chunks(samples)).zip(finished.chunks(samples)).enumerate();
        groups
            .map(|(number, ((prompts, texts), finished))| {
                let responses = texts.iter().zip(finished).enumerate().map(|(at, (text, finished))| {
                    let mut sampling = json!(self.sampling);
                    sampling["seed"] = json!(self.common.seed);
                    sampling["finished"] = json!(finished);
                    if let Some(rewards) = &measured.rewards {
                        sampling["score"] = json!(rewards[number][at]);
                    }
                    let model = Some(self.command.name(which));
                    ResponseRecord { id: None, content: text.clone(), model, sampling: Some(sampling) }
                });
                ResponsesRecord {
                    prompt_id: records::given_id(&prompts[0]),
                    prompt: prompts[0].prompt.clone(),
                    responses: responses.collect(),
                    extra: Map::new(),
                }
            })
            .collect()
    }
}
