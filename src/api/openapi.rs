//! The calls of the API, each once: the router and the description at `/api/v1/openapi.json` are made from the same list.

use axum::{
    Router,
    handler::Handler,
    routing::{self, MethodRouter},
};
use serde_json::{Map, Value, json};

use crate::{db::tokens::TokenRole, export::Format, web::AppState};

/// Forms of what is sent and answered, as JSON Schema by name.
const SCHEMAS: &str = include_str!("schemas.json");

/// One call: how it is reached, and what the description says of it.
pub struct Call {
    method: &'static str,
    path: &'static str,
    handler: MethodRouter<AppState>,
    role: TokenRole,
    summary: &'static str,
    body: Option<Content>,
    query: &'static [(&'static str, &'static str)],
    answers: Vec<(u16, &'static str, Option<Content>)>,
}

/// What a body holds.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// JSON of a schema.
    Json(&'static str),
    /// A list of them.
    List(&'static str),
    /// One record of a schema a line.
    Lines(&'static str),
    /// Bytes as they are.
    Bytes,
    /// Records in the form that was asked for.
    Exported,
}

impl Content {
    fn describe(self) -> Value {
        let of = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
        match self {
            Content::Json(name) => json!({ "application/json": { "schema": of(name) } }),
            Content::List(name) => json!({ "application/json": { "schema": { "type": "array", "items": of(name) } } }),
            Content::Lines(name) => json!({ "application/jsonl": { "schema": of(name) } }),
            Content::Bytes => {
                json!({ "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } })
            }
            Content::Exported => {
                let forms = Format::ALL.map(|format| {
                    let media_type = format.media_type().split(';').next().unwrap_or_default();
                    (media_type.to_owned(), json!({ "schema": { "type": "string", "format": "binary" } }))
                });
                Value::Object(forms.into_iter().collect())
            }
        }
    }
}

impl Call {
    fn new(method: &'static str, path: &'static str, handler: MethodRouter<AppState>) -> Self {
        Call {
            method,
            path,
            handler,
            role: TokenRole::Trainer,
            summary: "",
            body: None,
            query: &[],
            answers: Vec::new(),
        }
    }

    pub fn get<H: Handler<T, AppState>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new("get", path, routing::get(handler))
    }

    pub fn post<H: Handler<T, AppState>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new("post", path, routing::post(handler))
    }

    pub fn put<H: Handler<T, AppState>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new("put", path, routing::put(handler))
    }

    /// Another lowest role than trainer. The handler's extractor enforces it; a test holds the two together.
    pub fn of(self, role: TokenRole) -> Self {
        Call { role, ..self }
    }

    pub fn says(self, summary: &'static str) -> Self {
        Call { summary, ..self }
    }

    pub fn takes(self, body: Content) -> Self {
        Call { body: Some(body), ..self }
    }

    /// Parameters after the `?`, with what they mean; one that ends in `!` is needed.
    pub fn asks(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Call { query, ..self }
    }

    pub fn answers(mut self, status: u16, text: &'static str, content: impl Into<Option<Content>>) -> Self {
        self.answers.push((status, text, content.into()));
        self
    }

    fn describe(&self) -> Value {
        let role = self.role.as_str();
        let mut operation = json!({
            "summary": self.summary,
            "description": format!("Takes a token of role {role}{}.", if role == "admin" { "" } else { " or above" }),
            "tags": [self.path.split('/').nth(1).unwrap_or_default()],
            "parameters": self.parameters(),
            "responses": self.responses(),
        });
        if let Some(body) = self.body {
            operation["requestBody"] = json!({ "required": true, "content": body.describe() });
        }
        operation
    }

    /// The path without what is the router's own: a `*` where a parameter may be in folders.
    fn described_path(&self) -> String {
        self.path.replace("{*", "{")
    }

    fn parameters(&self) -> Vec<Value> {
        let path = self.described_path();
        let in_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(|name| {
            let schema =
                if name == "id" { json!({ "type": "string", "format": "uuid" }) } else { json!({ "type": "string" }) };
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        });
        let in_query = self.query.iter().map(|(name, text)| {
            let bare = name.trim_end_matches('!');
            let schema = json!({ "type": "string" });
            json!({ "name": bare, "in": "query", "required": *name != bare, "description": text, "schema": schema })
        });
        in_path.chain(in_query).collect()
    }

    fn responses(&self) -> Map<String, Value> {
        let refused = |text: &str| json!({ "description": text, "content": Content::Json("ApiError").describe() });
        let mut responses: Map<String, Value> = [
            ("401", "There is no token, or it does not work"),
            ("403", "The token's role may not do this"),
            ("404", "There is nothing of this name"),
            ("413", "The body, or a line of it, is too large"),
            ("422", "The request is wrong; the message and the details say where"),
        ]
        .into_iter()
        .map(|(status, text)| (status.to_owned(), refused(text)))
        .collect();
        for (status, text, content) in &self.answers {
            let mut answer = json!({ "description": text });
            if *status >= 400 {
                answer = refused(text);
            } else if let Some(content) = content {
                answer["content"] = content.describe();
            }
            responses.insert(status.to_string(), answer);
        }
        responses
    }
}

/// The router of these calls, and their description.
pub fn assemble(calls: Vec<Call>) -> (Router<AppState>, Value) {
    let mut paths = Map::new();
    let mut router = Router::new();
    for call in calls {
        let item = paths.entry(call.described_path()).or_insert_with(|| json!({}));
        item[call.method] = call.describe();
        router = router.route(call.path, call.handler);
    }
    let schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    let description = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Laurel",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "For programs: workers that train, scripts that bring and fetch data. Every call but this description \
                            takes the header `Authorization: Bearer TOKEN`; a token's role (annotator, trainer, admin) says what \
                            it may do.",
        },
        "servers": [{ "url": "/api/v1" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas,
        },
    });
    (router, description)
}

#[cfg(test)]
mod tests {
    use laurel_records::{
        ApiError, ClaimRequest, ClaimedJob, FinishRequest, HeartbeatAnswer, JobKind, JobOutcome, JobReport, Lease,
        LogLevel, LogLine, Message, MetricRecord, ModelFile, ModelRecord, PreviousRun, Progress, PromptRecord,
        RegisterModel, ResponseRecord, ResponsesAnswer, ResponsesRecord, Role, SampleRecord, Stage,
    };
    use serde_json::{Map, Value, json};
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::SCHEMAS;
    use crate::{
        domain::{flag::OwnFlag, label_scheme::LabelScheme, rating_scale::RatingScale},
        import::ImportReport,
    };

    fn model() -> ModelRecord {
        let file = ModelFile { name: String::new(), bytes: 0, sha256: String::new() };
        ModelRecord {
            id: Uuid::nil(),
            name: String::new(),
            stage: Stage::Sft,
            round: 0,
            parent: None,
            digest: String::new(),
            files: vec![file],
            complete: false,
            files_removed_at: Some(OffsetDateTime::UNIX_EPOCH),
        }
    }

    /// One of each, with every field that it can have.
    fn samples() -> Vec<(&'static str, Value)> {
        let (lease, at) = (Uuid::nil(), OffsetDateTime::UNIX_EPOCH);
        let message = Message { role: Role::User, content: String::new() };
        let metric = MetricRecord { stage: Stage::Sft, step: 0, name: String::new(), value: 0.0 };
        let line = LogLine { sequence: 0, at, level: LogLevel::Info, text: String::new() };
        let progress = Progress { stage: Stage::Sft, step: 0, total: 0 };
        let sample = SampleRecord {
            stage: Stage::Ppo,
            step: 0,
            position: 0,
            prompt: vec![message.clone()],
            policy: String::new(),
            policy_reward: Some(0.0),
            reference: String::new(),
            reference_reward: Some(0.0),
        };
        let report =
            JobReport { lease, progress: Some(progress), metrics: Vec::new(), log: Vec::new(), samples: Vec::new() };
        let response =
            ResponseRecord { id: Some(String::new()), content: String::new(), model: None, sampling: Some(json!({})) };
        let error = ApiError { code: String::new(), message: String::new(), details: vec![String::new()] };
        let previous = PreviousRun { started_at: at, summary: Map::new() };
        let claimed = ClaimedJob {
            id: lease,
            kind: JobKind::Sample,
            project: String::new(),
            lease,
            lease_until: at,
            attempt: 0,
            config: Map::new(),
            base: Some(model()),
            policy: None,
            reward: Some(model()),
            completed: Vec::new(),
            answers_per_prompt: 4,
            previous: Some(previous.clone()),
        };
        let finish = FinishRequest {
            lease,
            outcome: JobOutcome::Done,
            error: None,
            summary: Map::new(),
            policy_is_better: None,
        };
        let register = RegisterModel {
            lease,
            stage: Stage::Sft,
            parent: None,
            digest: String::new(),
            files: Vec::new(),
            metrics: std::collections::BTreeMap::new(),
            lineage: json!({}),
        };
        let prompt = PromptRecord {
            id: String::new(),
            project: Some(String::new()),
            prompt: vec![message.clone()],
            language: None,
            tags: Vec::new(),
            split: None,
            extra: Map::new(),
        };
        let responses = ResponsesRecord {
            prompt_id: Some(String::new()),
            prompt: Vec::new(),
            responses: Vec::new(),
            extra: Map::new(),
        };
        let scale = laurel_records::RatingScale {
            lowest_word: "bad".to_owned(),
            highest_word: "good".to_owned(),
            ..laurel_records::RatingScale::default()
        };
        let flag = OwnFlag {
            word: String::new(),
            names: std::collections::BTreeMap::new(),
            hint: "what it means".to_owned(),
            removed: true,
        };
        let scheme = LabelScheme {
            former_scales: vec![RatingScale::default()],
            own_flags: vec![flag.clone()],
            ..LabelScheme::default()
        };
        vec![
            ("RatingScale", json!(scale)),
            ("OwnFlag", json!(flag)),
            ("LabelScheme", json!(scheme)),
            ("ApiError", json!(error)),
            ("Lease", json!(Lease { lease })),
            ("ClaimRequest", json!(ClaimRequest { worker: String::new() })),
            ("ClaimedJob", json!(claimed)),
            ("PreviousRun", json!(previous)),
            ("HeartbeatAnswer", json!(HeartbeatAnswer { lease_until: at, stop: false })),
            ("MetricRecord", json!(metric)),
            ("LogLine", json!(line)),
            ("Progress", json!(progress)),
            ("SampleRecord", json!(sample)),
            ("JobReport", json!(report)),
            ("FinishRequest", json!(finish)),
            ("ModelFile", json!(model().files[0])),
            ("RegisterModel", json!(register)),
            ("ModelRecord", json!(model())),
            ("ResponsesAnswer", json!(ResponsesAnswer { stored: 0, already_there: 0 })),
            ("Message", json!(message)),
            ("PromptRecord", json!(prompt)),
            ("ResponseRecord", json!(response)),
            ("ResponsesRecord", json!(responses)),
            ("ImportReport", json!(ImportReport::default())),
        ]
    }

    fn keys(value: &Value) -> Vec<&str> {
        let mut keys: Vec<&str> = value.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn the_schemas_have_the_fields_that_the_records_have() {
        let schemas: Value = serde_json::from_str(SCHEMAS).expect("JSON");
        for (name, sample) in samples() {
            let schema = &schemas[name];
            assert_eq!(keys(&schema["properties"]), keys(&sample), "{name}");
            for needed in schema["required"].as_array().into_iter().flatten() {
                assert!(sample.get(needed.as_str().expect("a name")).is_some(), "{name}: {needed}");
            }
        }
    }
}
