import-kind = What the file holds
import-kind-prompts = Prompts
import-kind-responses = Answers to rank
import-kind-demonstrations = Demonstrations
import-kind-rankings = Rankings
import-kind-comparisons = Comparisons
import-file = File
import-file-hint = JSON lines, a JSON list, or CSV with column names.
import-now = Import
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

export-what = What people and models said, as files that TRL and datasets read unconverted.
export-kind = Records
export-every-split = Every split
export-format = Format
export-download = Download
export-elsewhere = From a command or a program
