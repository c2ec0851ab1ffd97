//! `/admin/projects/{slug}/chat`: where the answers of a project's chat come from.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use laurel_records::{Message, Role};
use serde::Deserialize;

use super::{
    forms::{Errors, Saved, Told},
    project::{Frame, InProject, actor},
};
use crate::{
    chat::{Answer, Ask, ChatFailure, complete},
    db::{
        chat_endpoints::{self, ChatEndpoint},
        drawn::{DrawnWith, SaveError},
        projects::Project,
    },
    web::{AppState, Page, PageError, authorise::Lead, chat::explain, csrf::CsrfForm},
};

/// The fields as typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct EndpointForm {
    drawn: DrawnWith,
    base_url: String,
    model: String,
    api_key: String,
    /// The stored key is to be forgotten.
    forget_key: Option<String>,
    system_prompt: String,
    answers: String,
    temperature: String,
    max_tokens: String,
    /// `save`, `try` or `off`: which button was pressed.
    action: String,
}

#[derive(Template)]
#[template(path = "admin/chat.html")]
struct ChatSettingsPage {
    page: Page,
    frame: Frame,
    form: EndpointForm,
    errors: Errors,
    has_key: bool,
    on: bool,
    saved: bool,
    meanwhile: bool,
    /// What the endpoint said when it was tried, or why it said nothing.
    tried: Option<Result<String, String>>,
}

pub async fn get(
    _: Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(query): Query<Saved>,
    page: Page,
) -> Result<Response, PageError> {
    let stored = chat_endpoints::find(&state.pool, project.id).await?;
    let drawn = chat_endpoints::drawn_with(stored.as_ref());
    let form = EndpointForm { drawn, ..EndpointForm::from(&stored.clone().unwrap_or_default()) };
    show(page, &project, stored.as_ref(), form, Told::saved(&query), None)
}

pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
    CsrfForm(mut form): CsrfForm<EndpointForm>,
) -> Result<Response, PageError> {
    let stored = chat_endpoints::find(&state.pool, project.id).await?;
    let address = format!("/admin/projects/{}/chat?saved=1", project.slug);
    if form.action == "off" {
        chat_endpoints::remove(&state.pool, &actor(&user), (project.id, &project.slug)).await?;
        return Ok(Redirect::to(&address).into_response());
    }
    let mut errors = Errors::default();
    let endpoint = form.read(&page, stored.as_ref(), &mut errors);
    if !errors.is_empty() {
        return show(page, &project, stored.as_ref(), form, Told::wrong(errors), None);
    }
    if form.action == "try" {
        let tried = try_out(&page, endpoint).await?;
        return show(page, &project, stored.as_ref(), form, Told::default(), Some(tried));
    }
    let of = (project.id, project.slug.as_str());
    match chat_endpoints::save(&state.pool, &actor(&user), of, &form.drawn, &endpoint).await {
        Ok(()) => Ok(Redirect::to(&address).into_response()),
        Err(SaveError::Changed(drawn)) => {
            form.drawn = drawn;
            let standing = chat_endpoints::find(&state.pool, project.id).await?;
            show(page, &project, standing.as_ref(), form, Told::meanwhile(), None)
        }
        Err(SaveError::Database(error)) => Err(error.into()),
    }
}

/// Says hello to the model.
async fn try_out(page: &Page, endpoint: ChatEndpoint) -> Result<Result<String, String>, PageError> {
    let ask = Ask {
        base_url: endpoint.base_url,
        model: endpoint.model,
        api_key: endpoint.api_key,
        messages: vec![Message { role: Role::User, content: page.t("chat-try-message") }],
        temperature: endpoint.temperature,
        max_tokens: endpoint.max_tokens.min(64),
        seed: 1,
    };
    let answer: Result<Answer, ChatFailure> = tokio::task::spawn_blocking(move || complete(&ask, |_| true))
        .await
        .map_err(|error| PageError::Internal(error.into()))?;
    Ok(answer.map(|answer| answer.content).map_err(|failure| explain(page, &failure)))
}

fn show(
    page: Page,
    project: &Project,
    stored: Option<&ChatEndpoint>,
    form: EndpointForm,
    told: Told,
    tried: Option<Result<String, String>>,
) -> Result<Response, PageError> {
    let status = told.status();
    let Told { errors, saved, meanwhile } = told;
    let shown = ChatSettingsPage {
        frame: Frame::new(&page, project, "chat"),
        page,
        form,
        errors,
        has_key: stored.is_some_and(|endpoint| endpoint.api_key.is_some()),
        on: stored.is_some(),
        saved,
        meanwhile,
        tried,
    };
    Ok((status, Html(shown.render()?)).into_response())
}

impl From<&ChatEndpoint> for EndpointForm {
    /// Without the key, which is never shown.
    fn from(endpoint: &ChatEndpoint) -> Self {
        EndpointForm {
            base_url: endpoint.base_url.clone(),
            model: endpoint.model.clone(),
            system_prompt: endpoint.system_prompt.clone(),
            answers: endpoint.answers.to_string(),
            temperature: endpoint.temperature.to_string(),
            max_tokens: endpoint.max_tokens.to_string(),
            ..EndpointForm::default()
        }
    }
}

impl EndpointForm {
    /// What the fields mean. An empty key keeps the one that is stored, for the same address only: a key is not sent
    /// to somebody else.
    fn read(&self, page: &Page, stored: Option<&ChatEndpoint>, errors: &mut Errors) -> ChatEndpoint {
        let base_url = errors.text(page, "base_url", &self.base_url, 500).trim_end_matches('/').to_owned();
        let address = base_url.strip_prefix("https://").or_else(|| base_url.strip_prefix("http://"));
        if !base_url.is_empty() && !address.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
        {
            errors.add("base_url", page.t("chat-not-an-address"));
        }
        let typed = self.api_key.trim();
        let kept = stored.filter(|stored| stored.base_url == base_url && self.forget_key.is_none());
        let api_key =
            if typed.is_empty() { kept.and_then(|stored| stored.api_key.clone()) } else { Some(typed.to_owned()) };
        if self.system_prompt.chars().count() > 20_000 {
            errors.add("system_prompt", page.t1("admin-error-long", "most", 20_000));
        }
        let temperature = match self.temperature.trim().parse::<f64>() {
            Ok(temperature) if (0.0..=2.0).contains(&temperature) => temperature,
            _ => {
                errors.add("temperature", page.t2("admin-error-range", "from", 0, "to", 2));
                1.0
            }
        };
        ChatEndpoint {
            model: errors.text(page, "model", &self.model, 200),
            answers: errors.number(page, "answers", &self.answers, 2..=4),
            max_tokens: errors.number(page, "max_tokens", &self.max_tokens, 1..=32_768),
            system_prompt: self.system_prompt.replace("\r\n", "\n").replace('\0', "").trim().to_owned(),
            base_url,
            api_key,
            key_set_at: None,
            temperature,
        }
    }
}
