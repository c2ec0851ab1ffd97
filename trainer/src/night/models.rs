//! Models of the registry on this machine: downloaded once and kept by digest; new ones are registered and uploaded.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, ensure};
use laurel_records::{ModelFile, ModelRecord, RegisterModel, Stage};
use uuid::Uuid;

use super::client::Client;
use crate::model::{
    ModelDirectory,
    hf::{Lineage, file_names, is_file_name, sha256_of_file},
};

/// Models that stay on the disk after a job, those used last.
const KEPT: usize = 8;

/// What a model was made from.
const LINEAGE: &str = "laurel.json";

/// A model of the registry that lies on this machine.
#[derive(Debug, Clone)]
pub struct LocalModel {
    pub record: ModelRecord,
    pub path: PathBuf,
}

/// What is told of a model when it is registered.
#[derive(Debug)]
pub struct Announcement {
    pub job: Uuid,
    pub lease: Uuid,
    pub stage: Stage,
    pub parent: Option<Uuid>,
}

/// The folder of models: one directory a model, named by its digest.
#[derive(Debug)]
pub struct ModelStore {
    client: Client,
    folder: PathBuf,
}

impl ModelStore {
    /// Keeps models under `folder`.
    pub fn new(client: &Client, folder: PathBuf) -> Self {
        Self { client: client.clone(), folder }
    }

    /// The model's directory, downloaded if it is not here.
    pub fn fetch(&self, record: &ModelRecord) -> anyhow::Result<LocalModel> {
        let path = self.place(&record.digest)?;
        let here = if path.exists() { self.renew_lineage(record, &path) } else { self.download(record, &path) };
        here.with_context(|| format!("downloading the model {}", record.name))?;
        touch(&path);
        Ok(LocalModel { record: record.clone(), path })
    }

    /// Registers the model at `directory` and uploads its files; then it is kept with the others. Where the job already has
    /// a complete model of this stage (an earlier attempt made it), that one counts.
    pub fn publish(&self, directory: &Path, announcement: &Announcement) -> anyhow::Result<LocalModel> {
        let model = ModelDirectory::open(directory)?;
        let lineage = model.lineage()?.unwrap_or_else(|| Lineage::of("unknown"));
        let request = RegisterModel {
            lease: announcement.lease,
            stage: announcement.stage,
            parent: announcement.parent,
            digest: model.digest()?,
            files: files_of(directory)?,
            metrics: serde_json::from_value(lineage.metrics.clone()).unwrap_or_default(),
            lineage: serde_json::to_value(&lineage)?,
        };
        let mut record = self.client.register(announcement.job, &request)?;
        if record.complete && record.digest != request.digest {
            return self.fetch(&record);
        }
        if !record.complete {
            for file in &record.files {
                self.client.put_file(record.id, &file.name, &directory.join(&file.name))?;
            }
            record = self.client.complete(record.id, announcement.lease)?;
        }
        let path = self.place(&record.digest)?;
        if path.exists() {
            return self.fetch(&record);
        }
        fs::create_dir_all(&self.folder)?;
        fs::rename(directory, &path).with_context(|| format!("moving the model to {}", path.display()))?;
        Ok(LocalModel { record, path })
    }

    /// Removes the models that were not used for longest.
    pub fn prune(&self) -> anyhow::Result<()> {
        if !self.folder.exists() {
            return Ok(());
        }
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let found = entry.metadata()?;
            // What lies between them otherwise is somebody else's.
            if found.is_dir() {
                kept.push((found.modified()?, entry.path()));
            }
        }
        kept.sort();
        for (_, path) in kept.iter().rev().skip(KEPT) {
            fs::remove_dir_all(path).with_context(|| format!("removing {}", path.display()))?;
        }
        Ok(())
    }

    fn place(&self, digest: &str) -> anyhow::Result<PathBuf> {
        ensure!(
            digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "the registry names a model by the digest “{digest}”, which is none"
        );
        Ok(self.folder.join(digest))
    }

    /// Brings what a model that lies here was made from, where the record has another: it is no part of the digest, and the same
    /// weights may have been made again, from other records.
    fn renew_lineage(&self, record: &ModelRecord, path: &Path) -> anyhow::Result<()> {
        let Some(file) = record.files.iter().find(|file| file.name == LINEAGE) else { return Ok(()) };
        let place = path.join(LINEAGE);
        if !place.is_file() || sha256_of_file(&place)? != file.sha256 {
            self.client.get_file(record.id, file, &place)?;
        }
        Ok(())
    }

    /// Downloads into a folder beside `path`, where what an earlier try brought is used, and renames it.
    fn download(&self, record: &ModelRecord, path: &Path) -> anyhow::Result<()> {
        let partial = self.folder.join(format!(".partial-{}", record.digest));
        fs::create_dir_all(&partial)?;
        for file in &record.files {
            ensure!(is_file_name(&file.name), "“{}” is no file of a model", file.name);
            let place = partial.join(&file.name);
            fs::create_dir_all(place.parent().unwrap_or(&partial))?;
            let there = fs::metadata(&place).is_ok_and(|found| found.len() == file.bytes)
                && sha256_of_file(&place)? == file.sha256;
            if !there {
                self.client.get_file(record.id, file, &place)?;
            }
        }
        keep_only(&partial, &record.files)?;
        fs::rename(&partial, path).with_context(|| format!("moving the model to {}", path.display()))
    }
}

/// Removes what a download that was killed has left beside the files of a model: half a file, as large as weights are.
fn keep_only(model: &Path, files: &[ModelFile]) -> anyhow::Result<()> {
    let wanted: HashSet<PathBuf> = files.iter().map(|file| model.join(&file.name)).collect();
    let folders: HashSet<&Path> = wanted.iter().filter_map(|file| file.parent()).collect();
    for folder in &folders {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if !wanted.contains(&path) && !folders.contains(path.as_path()) {
                if path.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
            }
        }
    }
    Ok(())
}

/// Every file of a model directory with its size and digest, by name.
fn files_of(directory: &Path) -> anyhow::Result<Vec<ModelFile>> {
    let mut files = Vec::new();
    for name in file_names(directory)? {
        let path = directory.join(&name);
        files.push(ModelFile { bytes: fs::metadata(&path)?.len(), sha256: sha256_of_file(&path)?, name });
    }
    Ok(files)
}

/// Notes that a model was used now; that this fails only makes it be forgotten earlier.
fn touch(path: &Path) {
    if let Ok(directory) = fs::File::open(path) {
        let _ = directory.set_modified(SystemTime::now());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
        thread,
    };

    use super::*;
    use crate::night::{Interrupts, client::ClientError};

    /// A server that answers one request so; the first line of what it was asked.
    fn answering(status: u16, body: &'static str) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let request = BufReader::new(stream.try_clone().expect("a stream")).lines().map_while(Result::ok);
            let head: Vec<String> = request.take_while(|line| !line.is_empty()).collect();
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all((answer + body).as_bytes()).expect("sent");
            head[0].clone()
        });
        (address, server)
    }

    fn sft(digest: String, file: ModelFile) -> ModelRecord {
        ModelRecord {
            id: Uuid::nil(),
            name: "sft-2".to_owned(),
            stage: Stage::Sft,
            round: 2,
            parent: None,
            digest,
            files: vec![file],
            complete: true,
            files_removed_at: None,
        }
    }

    fn store(address: &str, folder: &Path) -> ModelStore {
        let client = Client::new(address, "secret", &Interrupts::default()).trying_once();
        ModelStore::new(&client, folder.to_owned())
    }

    #[test]
    fn weights_that_were_made_again_say_what_they_were_made_from_the_last_time() {
        let scratch = tempfile::tempdir().expect("a folder");
        let (digest, newest) = ("a".repeat(64), r#"{"stage":"sft","data":"with a review"}"#);
        let here = scratch.path().join(&digest);
        fs::create_dir_all(&here).expect("a model");
        fs::write(here.join(LINEAGE), newest).expect("written");
        let sha256 = sha256_of_file(&here.join(LINEAGE)).expect("a digest");
        fs::write(here.join(LINEAGE), r#"{"stage":"sft","data":"without"}"#).expect("written");
        let (address, server) = answering(200, newest);
        let file = ModelFile { name: LINEAGE.to_owned(), bytes: newest.len() as u64, sha256 };
        let (record, store) = (sft(digest, file), store(&address, scratch.path()));
        // The second time it lies here, and nobody is asked.
        for _ in 0..2 {
            let model = store.fetch(&record).expect("here");
            assert_eq!(fs::read_to_string(model.path.join(LINEAGE)).expect("a file"), newest);
        }
        assert!(server.join().expect("served").contains("/files/laurel.json"));
    }

    #[test]
    fn that_the_files_of_a_model_were_removed_is_told_in_the_servers_words_and_loses_no_job() {
        let scratch = tempfile::tempdir().expect("a folder");
        let (address, server) = answering(
            409,
            r#"{"code":"conflict","message":"the files of the model “sft-2” were removed on 2026-11-30","details":[]}"#,
        );
        let file = ModelFile { name: "config.json".to_owned(), bytes: 2, sha256: "b".repeat(64) };
        let record = sft("a".repeat(64), file);
        let error = store(&address, scratch.path()).fetch(&record).expect_err("refused");
        let told = format!("{error:#}");
        assert!(told.contains("downloading the model sft-2: "), "{told}");
        assert!(told.contains("“sft-2” were removed on 2026-11-30"), "{told}");
        let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<ClientError>());
        assert!(!causes.any(ClientError::has_lost_job), "{told}");
        server.join().expect("served");
    }
}
