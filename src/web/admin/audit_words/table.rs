//! What the details of each kind of entry are called, and how their values are told. A test goes through the kinds that are written.

/// How a value is put into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// A name, an address, a number, yes or no.
    Plain,
    /// A word, or a list of them, for which there is a message: this, and the word.
    Word(&'static str),
    /// An email address, or somebody's id; or a list of them.
    Person,
    /// An address, or whoever has the link.
    Invited,
    Project,
    Run,
    Task,
    /// A tag, or a list of tags.
    Language,
    /// Whether everyone with an account works on it.
    Access,
    /// Ranks, by position.
    Order,
    /// A scale, or a list of scales.
    Scale,
    OwnFlags,
    /// A minute of the day.
    Clock,
    /// A number that is counted from 0.
    Counted,
    Digest,
    /// Bytes of files.
    Size,
    Promotion,
    PassedOver,
    /// Whether there is one at all: its id says no more.
    Given,
    /// The id of the row that was made, or of the one in whose place it stands: the entry says so itself.
    Itself,
    /// Settings of training: what differs.
    Settings,
    /// What an import did.
    Report,
}

/// What a detail is called, and how it is told; nothing where nobody has said so yet.
pub fn known(action: &str, key: &str) -> Option<(&'static str, How)> {
    use How::*;
    Some(match (action, key) {
        ("account.language", "language") => ("auth-language", Language),
        ("account.name" | "project.create" | "project.settings" | "token.create", "name") => ("admin-name", Plain),
        ("account.sessions", "ended") => ("audit-sessions-ended", Plain),
        ("blind_test.create", "first") => ("audit-model-first", Plain),
        ("blind_test.create", "second") => ("audit-model-second", Plain),
        ("blind_test.create", "tasks") => ("import-tasks", Plain),
        ("blind_test.create", "answers") => ("audit-answers-asked", Plain),
        ("blind_test.again" | "blind_test.create", "jobs") => ("audit-runs", Run),
        ("blind_test.again" | "blind_test.enough", "test") => ("board-test", Itself),
        ("blind_test.enough", "prompts") => ("audit-prompts-given-up", Plain),
        ("chat.endpoint", "base_url") => ("chat-base-url", Plain),
        ("chat.endpoint", "model") => ("chat-model", Plain),
        ("chat.endpoint", "has_key") => ("chat-key", Plain),
        ("chat.endpoint", "key_replaced") => ("audit-key-replaced", Plain),
        ("chat.endpoint", "system_prompt") => ("chat-system", Plain),
        ("chat.endpoint", "answers") => ("chat-answers", Plain),
        ("chat.endpoint", "temperature") => ("chat-temperature", Plain),
        ("chat.endpoint", "max_tokens") => ("chat-tokens", Plain),
        ("course.ask_again" | "course.let_pass", "person") => ("admin-annotator", Person),
        ("demonstration.review", "verdict") => ("audit-decision", Word("me-verdict")),
        ("demonstration.review", "text") => ("review-own-text", Given),
        ("demonstration.review" | "task.review", "replaces") => ("audit-second-thought", Given),
        ("demonstration.review", "review") | ("task.review", "decision") => ("audit-decision", Itself),
        ("task.review", "verdicts") => ("review-queue-rankings", Word("me-verdict")),
        ("task.review", "ranks") => ("review-decided-order", Order),
        ("gold.save", "task") => ("audit-thing-task", Task),
        ("gold.save", "purpose") => ("gold-purpose", Word("gold-purpose")),
        ("gold.save", "ranks") => ("gold-order", Order),
        ("gold.save", "retired") => ("gold-retired", Plain),
        ("guidelines.save", "version") => ("audit-version", Plain),
        ("invitation.accept" | "invitation.create" | "person.role" | "token.create" | "user.create", "role") => {
            ("people-role", Word("people-role"))
        }
        ("invitation.create", "email") => ("people-for", Invited),
        ("invitation.accept" | "invitation.create", "project") => ("people-project", Project),
        ("user.create", "email") => ("people-email", Plain),
        ("job.passed_over", "reason") => ("review-reason", PassedOver),
        ("job.start", "job") => ("training-what", Run),
        ("job.start", "round") => ("audit-round", Plain),
        ("label.correct", "kind") => ("browse-kind-labels", Word("audit-label")),
        ("label.correct", "turn") => ("audit-turn", Counted),
        ("label.correct", "label" | "replaces") => ("browse-label", Itself),
        ("model.import", "digest") => ("audit-digest", Digest),
        ("model.promote", "reason") => ("review-reason", Promotion),
        ("model.remove_files", "bytes") => ("models-freed", Size),
        ("model.remove_files", "keep") | ("project.settings", "keep_models") => ("admin-keep-models", Plain),
        ("person.languages", "languages") => ("work-languages-column", Language),
        ("project.audit", "audit_percent") => ("review-audit-percent", Plain),
        ("project.demonstration_review", "demonstration_review_percent") => ("review-text-share-percent", Plain),
        ("project.checks", "gold_percent") => ("gold-percent", Plain),
        ("project.checks", "course_tasks") => ("gold-course-tasks", Plain),
        ("project.checks", "course_pass_percent") => ("gold-course-pass", Plain),
        ("project.label_scheme", "rating") => ("scheme-rating-rule", Word("scheme-rating")),
        ("project.label_scheme", "scale") => ("audit-scale", Scale),
        ("project.label_scheme", "former_scales") => ("audit-scales-former", Scale),
        ("project.label_scheme", "flags") => ("scheme-flags", Word("flag")),
        ("project.label_scheme", "own_flags") => ("audit-flags-own", OwnFlags),
        ("project.label_scheme", "note") => ("scheme-note", Plain),
        ("project.members", "added") => ("audit-members-added", Person),
        ("project.members", "removed") => ("audit-members-removed", Person),
        ("project.order", "order") => ("next-order", Word("next-order")),
        ("project.order", "hold_back") => ("next-hold-back", Plain),
        ("project.order", "percent") => ("next-percent", Plain),
        ("project.plan", "demonstrations") => ("work-weight-demonstrations", Plain),
        ("project.plan", "rankings") => ("work-weight-rankings", Plain),
        ("project.plan", "comparisons") => ("work-weight-comparisons", Plain),
        ("project.plan", "prompts") => ("work-weight-prompts", Plain),
        ("project.settings", "description") => ("admin-description", Plain),
        ("project.settings", "open_to_everyone") => ("admin-access", Access),
        ("project.settings", "judgement") => ("admin-judgement", Word("admin-judgement")),
        ("project.settings", "answers_per_prompt") => ("admin-answers", Plain),
        ("project.settings", "demonstration_overlap") => ("admin-demonstration-overlap", Plain),
        ("project.settings", "ranking_overlap") => ("admin-ranking-overlap", Plain),
        ("project.settings", "lease_minutes") => ("admin-lease", Plain),
        ("project.settings", "validation_percent") => ("admin-validation", Plain),
        ("project.settings", "test_percent") => ("admin-test", Plain),
        ("project.settings", "promotion") => ("admin-promotion", Word("admin-promotion")),
        ("project.settings", "prompts_per_round") => ("admin-prompts-per-round", Plain),
        ("project.settings", "training") => ("admin-settings-training", Settings),
        ("prompt.report", "decision") => ("audit-decision", Word("reports-decision")),
        ("prompt.report", "reports") => ("reports-title", Plain),
        ("prompts.ask", "kind") => ("writing-kind", Word("writing-kind")),
        ("prompts.ask", "about") => ("writing-about", Plain),
        ("prompts.ask", "count") => ("writing-count", Plain),
        ("prompts.hold_back", "prompts") => ("audit-looked-at", Plain),
        ("prompts.hold_back", "held_back") => ("next-held-back", Plain),
        ("records.import", "kind") => ("import-kind", Word("import-kind")),
        ("records.import", "report") => ("import-records", Report),
        ("schedule.set", "enabled") => ("training-schedule-on", Plain),
        ("schedule.set", "minute") => ("training-time", Clock),
        ("schedule.set", "timezone") => ("training-timezone", Plain),
        ("task.priority", "priority") => ("browse-priority", Plain),
        _ => return None,
    })
}

/// What an import's report calls its numbers.
pub const REPORT: [(&str, &str); 5] = [
    ("records", "import-records"),
    ("added", "import-added"),
    ("duplicates", "import-duplicates"),
    ("prompts_added", "import-prompts-added"),
    ("tasks", "import-tasks"),
];
