import-kind = What the file holds
import-kind-prompts = Prompts
import-kind-responses = Answers to rank
import-kind-demonstrations = Demonstrations
import-kind-rankings = Rankings
import-kind-comparisons = Comparisons
import-file = File
import-file-hint = JSON lines, a JSON list, or CSV with column names.
import-whole = The whole file goes in, or nothing of it. Importing the same file again changes nothing.
import-forms = Forms
import-foreign = One object a record. Files of Anthropic HH, Open-Assistant, Alpaca, ShareGPT, TRL, Argilla and Label Studio are recognised too.
import-done = Imported.
import-records = Records
import-added = New
import-duplicates = Here already
import-prompts-added = New prompts
import-tasks = Tasks made
import-bad = Nothing was imported. { $count ->
    [one] This record is wrong:
   *[other] These records are wrong (the first { $count }):
 }
import-line = Line
import-field = Field
import-reason = What is wrong
import-error-kind = Choose what the file holds.
import-error-file = Choose a file.
import-gone = This file does not wait any more: it has been imported already, or nobody imported it within 24 hours and it was removed.

export-what = What people and models said, as files that TRL and datasets read unconverted.
export-kind = Records
export-every-split = Every split
export-format = Format
export-download = Download
export-elsewhere = From a command or a program
export-csv = CSV files of records are UTF-8 without a byte order mark, as programs read them; to open one in Excel, choose Data, From Text/CSV. Tables behind plots and reports of imports begin with the mark: Excel opens them by a double click.

# What records of each kind look like
import-example-question = Why is the sky blue?
import-example-tag = science
import-example-answer = Because…
import-example-explanation = The second one makes it up.

# The fields that a column may be, by the names that files have for them
import-field-prompt = prompt
import-field-prompt_id = prompt_id
import-field-id = id
import-field-language = language
import-field-tags = tags
import-field-responses = responses
import-field-completion = completion
import-field-annotator = annotator
import-field-seconds = seconds
import-field-created_at = created_at
import-field-ranks = ranks
import-field-note = note
import-field-purpose = purpose
import-field-explanation = explanation
import-field-chosen = chosen
import-field-rejected = rejected
import-field-margin = margin
