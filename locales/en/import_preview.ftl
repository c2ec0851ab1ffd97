import-preview = Look before importing
import-at-once = Import at once
import-preview-hint = The preview shows the records as they are understood, lets you say what its columns are, and changes nothing.
import-preview-title = Preview of an import
import-written-lines = JSON lines
import-written-list = JSON list
import-written-table = Table (CSV)
import-tool = written like { $tool }
import-would = What importing it does
import-large = This file is large: its records are counted when they go in.
import-confirm = Import it like this
import-preview-bad = { $count ->
    [one] One record is in the way, so nothing would be imported:
   *[other] Records are in the way, so nothing would be imported; the first { $count }:
 }
import-report = Download the report of every bad line
import-columns = Columns
import-columns-hint = Where the file calls something otherwise than we do, say what it is. Columns with an answer each may all be “responses”.
import-column = Column
import-example = Example
import-target = Is
import-target-of = What { $column } is
import-as-it-is = as it is called
import-left-out = left out
import-again = Show it like this
import-first = The first records as they are understood
