reports-title = Reports
reports-what = Prompts, and prompts to write, that people reported or skipped for what they are. A prompt that is withdrawn is asked no more, no model answers it, and exports of prompts leave it out; its labels stay.
reports-none = Nobody has reported a prompt or found one unfit.
reports-reports = What people say
reports-keep = Keep
reports-replace = Ask for another
reports-decision-kept = kept
reports-decision-withdrawn = withdrawn
reports-decision-replaced = to be replaced
reports-waiting = { $count ->
    [one] One prompt has been reported or found unfit
   *[other] { $count } prompts have been reported or found unfit
}
reports-error-decision = Keep, withdraw, or ask for another.
reports-skipped-by = { $count ->
    [one] Skipped by one person
   *[other] Skipped by { $count } people
}
reports-reason-report = reported
reports-reason-unanswerable = can't be answered
reports-reason-offensive = offensive or harmful
reports-reason-personal = personal data
reports-reason-unclear = unclear
reports-reason-knowledge = knows too little about it
reports-reason-language = doesn’t speak its language
reports-reason-other = something else
