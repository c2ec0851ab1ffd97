work-tab-plan = Plan
work-plan = What is handed out
work-plan-hint = Weights say in which shares the kinds of task come. 3 and 1 mean three of one for each of the other; 0 hands out none. Where nothing of a kind waits, the others are given.
work-weight-rankings = Rankings
work-weight-demonstrations = Answers to write
work-weight-comparisons = Head to head
work-weight-hint = Weight, 0 to 100
work-error-no-weight = At least one kind of task needs a weight.
work-error-language = “{ $tag }” is no language. Use tags such as en, zh or de.

work-languages = Languages you work in
work-languages-hint = You are given tasks in these languages, and tasks that have none. Without a choice you are given all.
work-languages-others = Others
work-languages-others-hint = Tags such as ja or pt, separated by commas
work-languages-done = Your languages are saved. They count from the next task.
work-languages-of = Languages of { $name }
work-languages-save-of = Save the languages of { $name }
work-languages-column = Languages
work-languages-all = all

work-read-needed = Please read these guidelines before you go on.
work-read-again = These guidelines have changed since you read them. Please read them before you go on.
work-read-button = I have read this
work-read-at = You have read this version.
work-readers = Who has read them
work-readers-none = Nobody works on this project yet.
work-reader = Person
work-reader-version = Version read
work-reader-when = When
work-reader-never = none
work-reader-behind = behind

work-draft-other = You had written something else on another device. What you write here counts now.
work-draft-other-here = This browser has something else that you wrote while it was offline. What you wrote elsewhere later counts now.
work-draft-other-submitted = This is what you wrote when the task had been submitted with something else. Save it to replace that.
work-draft-other-correction = There is a correction that you began before the last one was saved.
work-draft-take = Take the other one
