me-nav = Your work
me-title = Your work
me-done = Done
me-today = today
me-week = this week
me-ever = altogether
me-zone = Days and weeks are those of { $zone }; weeks begin on Monday.
me-pace = Time a task
me-pace-hint = The median in minutes and seconds, with its 95 % interval, over the last 90 days. Only the time in which you worked on the page counts.
me-too-few = Too few yet to say.
me-agreement = Agreement with others
me-shared = { $count ->
    [one] over one task that others judged too
   *[other] over { $count } tasks that others judged too
}
me-few-shared = Too few yet to say: others have judged { $count } of your tasks; from { $fewest } on there is a figure here.
me-agreement-hint = Of the pairs of answers that you and another person both put in an order, the share in which it was the same, with its 95 % interval. People never agree fully: about 73 % is usual for open questions.
me-checks = Known answers
me-checked = { $count ->
    [one] over one check
   *[other] over { $count } checks
}
me-checks-hint = Now and then a task has a known answer. This is the share of its pairs that you ordered the same way, with its 95 % interval.
me-courses = Courses
me-feedback = From reviewers
me-feedback-none = No reviewer has said anything about your work yet.
me-verdict-accepted = Accepted
me-verdict-corrected = Corrected
me-verdict-rejected = Rejected
