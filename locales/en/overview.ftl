overview-all = All
overview-in-hand = { $count ->
    [0] Nobody has a task in hand.
    [one] One task is in somebody's hands.
   *[other] { $count } tasks are in somebody's hands.
 }
overview-finish = Finished
overview-finish-done = All labels that were asked for are there.
overview-finish-nothing = No label is asked for yet.
overview-finish-day = about { $day }
overview-finish-never = In more than ten years
overview-finish-unknown = Can't be told yet
overview-finish-unknown-why = No day before today has a label of a task, so there is no pace to go by. { $remaining } labels are still to come.
overview-finish-rule = { $remaining } labels are still to come, at { $rate } a day: the mean of the last { $days ->
    [one] day
   *[other] { $days } days
 } with labels, today not counted. That is { $needed ->
    [one] one such day
   *[other] { $needed } such days
 }; days off are taken to be as frequent as they were since then.
overview-labels-person = Labels a day by person, last { $days } days
overview-imported = From files
overview-others = Everybody else
overview-total = Total
overview-csv = Download as CSV
overview-live = Kept up to date while this page is open.
overview-agreement-none = No answers have been ranked by two people yet.
overview-agreement-of = As of { $time }.
overview-agreement-more = Agreement in full, with its table
overview-agreement-unknown = It is being reckoned.
