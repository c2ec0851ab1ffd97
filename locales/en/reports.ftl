reports-title = Reports
reports-what = Prompts that people reported when they skipped a task. A prompt that is withdrawn is asked no more, no model answers it, and exports of prompts leave it out; its labels stay.
reports-none = Nobody has reported a prompt.
reports-reports = What people say
reports-keep = Keep
reports-replace = Ask for another
reports-decision-kept = kept
reports-decision-withdrawn = withdrawn
reports-decision-replaced = to be replaced
reports-waiting = { $count ->
    [one] One prompt has been reported
   *[other] { $count } prompts have been reported
}
reports-error-decision = Keep, withdraw, or ask for another.
