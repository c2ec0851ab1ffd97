gold-tab = Known answers
gold-checks = Checks and course
gold-percent = Checks, percent
gold-percent-hint = Of a hundred tasks, so many are checks with a known answer. Nobody sees which.
gold-course-tasks = Tasks of the course
gold-course-tasks-hint = Known tasks with explanations that come before real work; 0 asks for none.
gold-course-pass = Pass mark, percent
gold-course-pass-hint = Share of the known pairs that has to be right over the last tasks of the course
gold-tasks = Tasks with known answers
gold-tasks-hint = Answers to them are scored and never exported as data. To add one, open a prompt that has been ranked and choose “Set a known answer”.
gold-none = No answer is known yet.
gold-purpose = Use
gold-purpose-check = Check
gold-purpose-course = Course
gold-retired = Not in use
gold-order = Known order
gold-answers = Answered
gold-agreed = Right
gold-people = How people do on them
gold-people-none = Nobody has answered one yet.
gold-checks-done = Checks
gold-course-done = Course tasks
gold-course = Course
gold-passed = Passed
gold-not-passed = Not passed
gold-let-pass = Let pass
gold-task-title = Known answer
gold-task-new = Saving copies this task. The task itself is handed out no more; what people have said of it stays data.
gold-rank-of = Rank of { $letter }
gold-as-check = A check: it comes unannounced
gold-as-course = The course: its explanation is shown after it
gold-explanation = Explanation
gold-explanation-hint = Why this order is right, in Markdown. Shown after a task of the course.
gold-retire = Don't hand it out any more
gold-back = Back
gold-set = Set a known answer
gold-error-ranks = Give every answer a rank from 1 up without a gap; equal ranks are ties.
gold-error-all-tied = At least one answer has to be better than another.
gold-error-purpose = Choose what the known answer is for.

gold-lesson = What was expected
gold-lesson-right = { $agreed } of { $pairs } pairs right
gold-lesson-to-go = { $count ->
    [one] One task of the course to go.
   *[other] { $count } tasks of the course to go.
}
gold-lesson-passed = You have passed the course. Real work comes next.
gold-lesson-failed = You have done every task of the course and not reached its mark. Ask your lead how to go on.
gold-comes-again = You skipped this task of the course, so it comes again: real work comes after the course.
gold-queue-course = Course: { $count ->
    [one] one task
   *[other] { $count } tasks
} before real work
gold-queue-failed = The course is not passed. Ask your lead how to go on.
gold-again = Ask to take it again
gold-retakes = { $count ->
    [one] taken again once
   *[other] taken again { $count } times
}
gold-import = Import known answers
import-kind-known-answers = Known answers
