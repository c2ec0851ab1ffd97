//! `/admin/projects/{slug}/import/{upload}`: a file as it was understood, with names for its columns, before it goes in.

use std::path::{Path as FilePath, PathBuf};

use askama::Template;
use axum::{
    extract::{Multipart, Path, RawQuery, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio::{fs::File, sync::Mutex};
use tokio_util::io::StreamReader;
use uuid::Uuid;

use super::{
    import::{done_address, text_of},
    project::{Frame, InProject, actor},
    show, table_file,
};
use crate::{
    db::{
        projects::Project,
        uploads::{self, Upload},
    },
    import::{
        self, BadRecord, ImportError, ImportReport, Kind, Written,
        mapping::{self, LEFT_OUT, Mapping},
        preview::{self, Column, Look, Understood},
    },
    web::{
        AppState, Page, PageError,
        authorise::Lead,
        csrf::{self, CsrfForm},
        session::Visitor,
    },
};

/// Larger files are not rehearsed for the preview: their records are counted when they go in.
const REHEARSED: i64 = 32 * 1024 * 1024;
/// Bad records that a preview shows, and that its report has.
const SHOWN: usize = 20;
const REPORTED: usize = 100_000;

/// One import of a file at a time: a second press waits, and finds what became of the first. Files share these by their ids.
static TURNS: [Mutex<()>; 16] = [const { Mutex::const_new(()) }; 16];

/// What the columns are, as typed: `target` of the first `column`, and so on.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Chosen {
    kind: String,
    column: Vec<String>,
    target: Vec<String>,
}

impl Chosen {
    /// What the columns of this kind are. A field that the kind does not have was chosen for another one: the page shows such a column
    /// as it is, and so it goes in.
    fn mapping(&self, kind: Kind) -> Mapping {
        let pairs = self.column.iter().cloned().zip(self.target.iter().cloned());
        Mapping::new(pairs.filter(|(_, field)| field == LEFT_OUT || mapping::fields(kind).contains(&field.as_str())))
    }

    /// The kind, and what its columns are.
    fn read(&self, upload: &Upload) -> (Kind, Mapping) {
        let kind = self.kind(upload);
        (kind, self.mapping(kind))
    }

    fn kind(&self, upload: &Upload) -> Kind {
        Kind::from_word(&self.kind).or_else(|| Kind::from_word(&upload.kind)).unwrap_or(Kind::Prompts)
    }
}

#[derive(Template)]
#[template(path = "admin/import_preview.html")]
struct PreviewPage {
    page: Page,
    frame: Frame,
    upload: Upload,
    kind: Kind,
    look: Look,
    mapping: Mapping,
    first: Vec<Understood>,
    /// What the import would do; none for large files.
    report: Option<ImportReport>,
    bad: Vec<BadRecord>,
    /// Address of the report of bad records.
    all_bad: String,
}

impl PreviewPage {
    fn kinds(&self) -> [Kind; 6] {
        Kind::ALL
    }

    fn fields(&self) -> &'static [&'static str] {
        mapping::fields(self.kind)
    }

    /// The field that a column was given.
    fn target(&self, column: &Column) -> &str {
        self.mapping.given(&column.name).unwrap_or_default()
    }

    fn written(&self) -> &'static str {
        match self.look.written {
            Written::Lines => "import-written-lines",
            Written::List => "import-written-list",
            Written::Table => "import-written-table",
        }
    }
}

fn place(state: &AppState, id: Uuid) -> PathBuf {
    state.config.data_dir.join("uploads").join(id.to_string())
}

async fn remove(state: &AppState, id: Uuid) {
    if let Err(error) = tokio::fs::remove_file(place(state, id)).await {
        tracing::warn!(%id, %error, "an upload could not be removed");
    }
}

/// `POST /admin/projects/{slug}/import/preview`: keeps the file and leads to its preview. The fields come in the order of the
/// page: token, kind, file.
pub async fn upload(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    visitor: Visitor,
    page: Page,
    mut form: Multipart,
) -> Result<Redirect, PageError> {
    let (mut token, mut kind) = (String::new(), None);
    while let Some(field) = form.next_field().await.map_err(|_| PageError::TooLarge)? {
        match field.name() {
            Some("csrf") => token = text_of(field).await?,
            Some("kind") => kind = Kind::from_word(&text_of(field).await?),
            Some("file") => {
                csrf::check(&visitor, &token)?;
                let kind = kind.ok_or_else(|| PageError::Invalid(page.t("import-error-kind")))?;
                let name: String = field.file_name().unwrap_or_default().chars().take(255).collect();
                if name.is_empty() {
                    return Err(PageError::Invalid(page.t("import-error-file")));
                }
                for id in uploads::remove_old(&state.pool).await? {
                    remove(&state, id).await;
                }
                let id = Uuid::now_v7();
                let mut reader = StreamReader::new(field.map_err(std::io::Error::other));
                let bytes = keep(&place(&state, id), &mut reader).await.map_err(not_kept)?;
                let kept = Upload { id, kind: kind.as_str().to_owned(), name, bytes };
                uploads::create(&state.pool, project.id, user.id, &kept).await?;
                return Ok(Redirect::to(&format!("/admin/projects/{}/import/{id}", project.slug)));
            }
            _ => {}
        }
    }
    csrf::check(&visitor, &token)?;
    Err(PageError::Invalid(page.t("import-error-file")))
}

/// Writes a file; what breaks off leaves nothing.
async fn keep(path: &FilePath, reader: &mut (impl tokio::io::AsyncRead + Unpin)) -> std::io::Result<i64> {
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    let mut file = File::create(path).await?;
    let written = async {
        let bytes = tokio::io::copy(reader, &mut file).await?;
        file.sync_all().await?;
        Ok(i64::try_from(bytes).unwrap_or(i64::MAX))
    }
    .await;
    if written.is_err() {
        tokio::fs::remove_file(path).await.ok();
    }
    written
}

/// Why a file was not kept: it did not come to its end, or this server can't store it, as on a full disk.
fn not_kept(error: std::io::Error) -> PageError {
    match error.kind() {
        // What the reader of the form gives.
        std::io::ErrorKind::Other => {
            tracing::info!(%error, "an upload broke off");
            PageError::TooLarge
        }
        _ => anyhow::Error::from(error).context("an upload could not be kept").into(),
    }
}

/// `GET /admin/projects/{slug}/import/{upload}`.
pub async fn get(
    _: Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, id)): Path<(String, Uuid)>,
    RawQuery(query): RawQuery,
    page: Page,
) -> Result<Response, PageError> {
    show_preview(&state, page, &project, id, chosen(query), Vec::new()).await
}

/// The query as it was sent; what can't be read chooses nothing.
fn chosen(query: Option<String>) -> Chosen {
    serde_html_form::from_str(&query.unwrap_or_default()).unwrap_or_default()
}

/// The page; `refused` are the bad records that kept the file from going in, which a large one is not read for again.
async fn show_preview(
    state: &AppState,
    page: Page,
    project: &Project,
    id: Uuid,
    chosen: Chosen,
    refused: Vec<BadRecord>,
) -> Result<Response, PageError> {
    let upload = uploads::find(&state.pool, project.id, id).await?;
    let (kind, mapping) = chosen.read(&upload);
    let open = async || File::open(place(state, id)).await.map_err(|error| gone(&error));
    let unreadable = |error: std::io::Error| PageError::from(anyhow::Error::from(error));
    let look = preview::look(&mut open().await?).await.map_err(unreadable)?;
    let first = preview::first(kind, &mapping, &mut open().await?).await.map_err(unreadable)?;
    let (mut report, mut bad) = (None, refused);
    bad.truncate(SHOWN);
    if upload.bytes <= REHEARSED {
        let (would, wrong) = rehearse(state, project, kind, &mapping, &mut open().await?, SHOWN).await?;
        report = Some(would);
        bad = wrong;
    }
    let query =
        serde_html_form::to_string(Chosen { kind: kind.as_str().to_owned(), ..chosen }).map_err(anyhow::Error::from)?;
    let shown = PreviewPage {
        frame: Frame::new(&page, project, "import"),
        page,
        all_bad: format!("/admin/projects/{}/import/{id}/report.csv?{query}", project.slug),
        upload,
        kind,
        look,
        mapping,
        first,
        report,
        bad,
    };
    let status = if shown.bad.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, Html(shown.render()?)).into_response())
}

/// The row is there and the file is not: it was imported or removed meanwhile.
fn gone(error: &std::io::Error) -> PageError {
    tracing::info!(%error, "an upload is gone");
    PageError::NotFound
}

async fn rehearse(
    state: &AppState,
    project: &Project,
    kind: Kind,
    mapping: &Mapping,
    file: &mut File,
    most: usize,
) -> Result<(ImportReport, Vec<BadRecord>), PageError> {
    import::rehearse(&state.pool, project, kind, mapping, file, most).await.map_err(failed)
}

fn failed(error: ImportError) -> PageError {
    match error {
        ImportError::Database(error) => error.into(),
        other => anyhow::Error::from(other).into(),
    }
}

/// `POST /admin/projects/{slug}/import/{upload}`: what was seen goes in; 409 where it has gone in already.
pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, id)): Path<(String, Uuid)>,
    page: Page,
    CsrfForm(chosen): CsrfForm<Chosen>,
) -> Result<Response, PageError> {
    let _turn = TURNS[usize::from(id.as_bytes()[15] % 16)].lock().await;
    let upload = match uploads::find(&state.pool, project.id, id).await {
        Err(sqlx::Error::RowNotFound) => return Err(PageError::ConflictAs("import-gone")),
        found => found?,
    };
    let mut file = File::open(place(&state, id)).await.map_err(|error| gone(&error))?;
    let (kind, mapping) = chosen.read(&upload);
    match import::import_mapped(&state.pool, &actor(&user), &project, kind, &mapping, &mut file).await {
        Ok(report) => {
            uploads::remove(&state.pool, id).await?;
            remove(&state, id).await;
            Ok(Redirect::to(&done_address(&project.slug, kind, &report)?).into_response())
        }
        Err(ImportError::BadRecords(bad)) => show_preview(&state, page, &project, id, chosen, bad).await,
        Err(error) => Err(failed(error)),
    }
}

/// `GET /admin/projects/{slug}/import/{upload}/report.csv`: every record that is in the way, in the reader's words.
pub async fn report(
    _: Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, id)): Path<(String, Uuid)>,
    RawQuery(query): RawQuery,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let chosen = chosen(query);
    let upload = uploads::find(&state.pool, project.id, id).await?;
    let mut file = File::open(place(&state, id)).await.map_err(|error| gone(&error))?;
    let (kind, mapping) = chosen.read(&upload);
    let (_, bad) = rehearse(&state, &project, kind, &mapping, &mut file, REPORTED).await?;
    let rows = bad.into_iter().map(|record| {
        let reason = record.reason.words(&page.translator);
        vec![record.line.to_string(), record.field, reason]
    });
    table_file::csv(&format!("{}-import-report.csv", project.slug), &["line", "field", "reason"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::{Language, Translator};

    #[test]
    fn a_field_that_was_chosen_for_another_kind_of_records_is_forgotten() {
        let chosen = Chosen {
            column: ["question", "first answer", "secret"].map(str::to_owned).to_vec(),
            target: ["prompt", "responses", LEFT_OUT].map(str::to_owned).to_vec(),
            ..Chosen::default()
        };
        let given = |kind| {
            let mapping = chosen.mapping(kind);
            ["question", "first answer", "secret"].map(|column| mapping.given(column).map(str::to_owned))
        };
        let some = |field: &str| Some(field.to_owned());
        assert_eq!(given(Kind::Rankings), [some("prompt"), some("responses"), some(LEFT_OUT)]);
        assert_eq!(given(Kind::Demonstrations), [some("prompt"), None, some(LEFT_OUT)]);
    }

    #[tokio::test]
    async fn a_file_that_this_server_cannot_store_is_not_called_too_large() {
        let folder = tempfile::tempdir().expect("a folder");
        let taken = folder.path().join("uploads");
        std::fs::write(&taken, "a file in the folder's place").expect("written");
        let error = keep(&taken.join("one"), &mut &b"{}"[..]).await.expect_err("no folder");
        assert!(matches!(not_kept(error), PageError::Internal(_)));
        assert!(matches!(not_kept(std::io::Error::other("the connection broke")), PageError::TooLarge));
    }

    #[test]
    fn every_field_that_a_column_may_be_has_a_word_in_every_language() {
        for language in Language::all() {
            let translator = Translator { language };
            for field in Kind::ALL.into_iter().flat_map(mapping::fields) {
                let word = translator.known(&format!("import-field-{field}"));
                assert!(word.is_some_and(|word| word.contains(field)), "{}: {field}", language.tag());
            }
        }
    }
}
