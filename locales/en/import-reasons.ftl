# Why a line of a file is not taken. Commands and programs get these words too.

# The file as a whole
import-reason-none = there are no records here
import-reason-compressed = the file is compressed: unpack it first
import-reason-parquet = this is a Parquet file: import takes JSON lines, a JSON list or CSV
import-reason-utf16 = the file is UTF-16: save it as UTF-8
import-reason-file-not-utf8 = the file is not UTF-8: save it as UTF-8
import-reason-no-table = this is neither JSON (one object {"{"}…{"}"} a line, or a list of them) nor CSV with a header (a column is one of { $columns })
import-reason-list-cut-off = the list is not closed: the file seems to be cut off

# A record as it is written
import-reason-record-not-utf8 = byte { $byte } of the record is not UTF-8: save the file as UTF-8
import-reason-record-nul = byte { $byte } of the record is a NUL character
import-reason-record-too-long = the record is longer than { $mebibytes } MiB
import-reason-not-json = this is not JSON: { $said } (column { $column })
import-reason-not-object = a record is an object {"{"}…{"}"}, this is { $found }
import-reason-text-nul = it has a NUL character (\u0000), which a database can't hold
import-reason-name-nul = a field's name has a NUL character
import-reason-quotation-open = a quotation mark is not closed
import-reason-row-unreadable = the row can't be read as CSV
import-reason-python = is a list as Python shows it, not JSON: write it with json.dumps
import-reason-cells = the row has { $cells } cells, the header has { $header }

# A field
import-reason-missing = is missing
import-reason-kind = is { $found }, but { $wanted } is wanted
import-reason-unknown-field = is not known here, and there is no place to keep it
import-reason-too-long = has more than { $longest } characters
import-reason-time = “{ $text }” is no time of the form 2026-11-24T14:05:00Z
import-reason-role = { $word } is none of system, user, assistant
import-reason-split = { $word } is none of train, validation, test
import-reason-negative = is less than 0
import-reason-said = { $said }

# What a value is
import-thing-null = null
import-thing-truth = true or false
import-thing-number = a number
import-thing-text = a text
import-thing-list = a list
import-thing-object = an object
import-thing-list-or-object = a list or an object
import-thing-message = a message
import-thing-messages = a list of messages
import-thing-answer = an answer
import-thing-dialogue = a dialogue
import-thing-scale = {"{"}"lowest": 1, "highest": 7{"}"} or another

# The prompt and the answers
import-reason-prompt-empty = it has no message
import-reason-prompt-silent = the message says nothing
import-reason-prompt-answered = a prompt ends with what the user says: the assistant's answer is not part of it
import-reason-task-answers = a ranking task has 2 to 9 answers, not { $answers }
import-reason-known-answers = a task has 2 to 9 answers, not { $answers }
import-reason-answer-empty = the answer is empty
import-reason-not-assistant = is the assistant's: nobody else answers
import-reason-one-message = is exactly one message, the assistant's answer; here are { $messages }
import-reason-purpose = “{ $word }” is neither check nor course

# Ranks, ratings, flags
import-reason-rank-count = there are { $ranks } ranks for { $answers } answers
import-reason-rank-whole = is { $found }, but a whole number from 1 is wanted
import-reason-rank-few = a ranking needs at least two answers, here there are { $answers }
import-reason-rank-zero = rank 0 of answer { $position }: ranks begin with 1
import-reason-rank-gap = rank { $rank } of answer { $position } leaves a gap: { $expected } would come next
import-reason-all-tied = all answers are tied: nothing is known of them
import-reason-margin = is the difference of two ranks: more than 0
import-reason-per-answer = there are { $number } of them for { $answers } answers
import-reason-rating = { $value } is no rating from { $lowest } to { $highest }
import-reason-scale-lowest = a scale begins with 0 or 1
import-reason-scale-highest = a scale ends with 2 to 10
import-reason-scale-word = the word of an end has at most { $longest } characters
import-reason-flag-list = a list of texts is wanted
import-reason-flag = is no flag: those have 1 to { $longest } characters, no comma and no line break
import-reason-confidence = { $value } is not from 1 to 9
import-reason-confidence-ranks = says something else than the ranks of the two answers

# What other tools export
import-reason-no-question = none of them is { $names }
import-reason-no-question-field = none of its fields is { $names }
import-reason-nothing-to-learn = there is no answer to learn from
import-reason-nothing-to-rank = there are no answers to rank
import-reason-no-order = nothing says which answer is better
import-reason-no-parent = the message “{ $id }” does not stand before this one in its tree
import-reason-prompter = is neither prompter nor assistant
import-reason-unranked-field = the ranking says nothing of the field “{ $name }”
import-reason-unranked-answer = the ranker says nothing of the answer “{ $id }”
import-reason-pairwise = a pairwise choice is of two answers, here are { $answers }
import-reason-side = “{ $word }” is neither left nor right
import-reason-dialogues-part = the two dialogues part at a turn that is not the assistant's
import-reason-history = is not a pair of an instruction and its answer
import-reason-no-user = the user says nothing
import-reason-speaker = “{ $word }” is neither the user, nor the assistant, nor the system
import-reason-marked-bad = this answer was marked as bad: it is no demonstration
import-reason-set-aside = a reviewer has set this label aside ({ $word }): here it would count, so leave it out

# What is here already, or stands in the file before
import-reason-no-prompt = there is no prompt “{ $name }” here, and the record has none
import-reason-other-prompt = “{ $name }” is the id of another prompt
import-reason-other-answer = “{ $name }” is the id of another answer
import-reason-other-ranking = “{ $name }” is the id of another ranking
import-reason-other-demonstration = “{ $name }” is the id of another demonstration
import-reason-twice = “{ $name }” stands here twice
import-reason-other-order = another order of these answers is known already
