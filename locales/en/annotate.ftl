annotate-queue-title = Queue
annotate-waiting = { $count ->
    [one] One task waits for you
   *[other] { $count } tasks wait for you
}
annotate-finish-begun = Finish what you have begun
annotate-all-done = All done
annotate-all-done-text = Nothing waits for you right now. New tasks appear here when prompts are added or a new model has answered.
annotate-queue-hint = Tasks come one after the other. What you write is saved as you go; you can stop at any time.
annotate-nothing-for-you = Nothing waits for you at the moment: others have the rest, or you have done your part of it.
annotate-next-task = Next task
annotate-go-on = Go on
annotate-begun = Begun
annotate-has-draft = Draft
annotate-time-over = Time is over
annotate-projects = Projects
annotate-no-projects = No projects yet
annotate-no-projects-text = Your team's admin has not given you a project. Ask them to add you to one.
annotate-to-rank = to rank
annotate-to-write = to write
annotate-done-by-you = done by you
annotate-recent = What you submitted last
annotate-recent-older = Older
annotate-recent-newest = Newest
annotate-recent-skipped = Tasks that you skipped
annotate-back-to-queue = Back to the queue
annotate-kind-demonstration = Write
annotate-kind-ranking = Rank

annotate-guidelines = Guidelines
annotate-guidelines-page = Open on their own page
annotate-guidelines-version = Version { $version }
annotate-no-guidelines = This project has no guidelines yet.

annotate-conversation = Conversation
annotate-role-system = System
annotate-role-user = User
annotate-role-assistant = Assistant
annotate-source = Source
annotate-unfold = Show all
annotate-fold = Show less
annotate-close = Close
annotate-characters = { $count } characters

annotate-demonstration-title = Write the assistant's answer
annotate-your-answer = Your answer
annotate-write-here = Answer as the assistant should.
annotate-markdown-hint = Markdown works: **bold**, lists, ```code```.
annotate-preview = Preview
annotate-length = { $words } words · { $characters } characters

annotate-ranking-title = Rank { $count } answers, best first
annotate-answer = Answer
annotate-place = Rank next
annotate-ranked = Rank { $rank }
annotate-ranked-tied = Rank { $rank }, tied
annotate-rank-of = Rank of answer { $letter }
annotate-your-order = Your order
annotate-board-hint = Press the letters from best to worst; = before a letter ties it. Or drag.
annotate-radio-hint = Give every answer a rank: 1 is best, the same number is a tie.
annotate-unranked = Not ranked yet
annotate-drop-here = Best answer first
annotate-move = Move the picked answer
annotate-move-up = Move up
annotate-move-down = Move down
annotate-tie = Tie with the previous
annotate-remove = Take out of the order
annotate-undo = Undo
annotate-note = Note (optional)
annotate-said-ranked = { $letter }: rank { $rank }
annotate-said-tied = { $letter }: rank { $rank }, tied with { $others }
annotate-said-removed = { $letter } is not ranked any more
annotate-said-picked = { $letter } picked, rank { $rank }
annotate-said-tie-next = The next letter ties with { $letter }
annotate-said-tie-off = The next letter comes after
annotate-said-undone = Undone
annotate-said-complete = { $place }. All answers are ranked. Enter submits.
annotate-still-unranked = Not ranked yet: { $letters }

annotate-submit-next = Submit and next
annotate-submit-stop = Submit and stop
annotate-keys = Keys
annotate-key-letters = from best to worst; a ranked answer is picked
annotate-key-tie = ties the next letter with the previous, or the picked answer with the one above
annotate-key-arrows = move the picked answer
annotate-key-remove = take the picked answer out of the order
annotate-key-undo = undo
annotate-key-note = write a note
annotate-key-submit = submit
annotate-key-guidelines = guidelines
annotate-key-source = source of all texts
annotate-key-fold = unfold and fold long texts
annotate-key-guidelines-writing = guidelines, also while you write
annotate-key-source-writing = source of all texts, also while you write
annotate-key-leave = leave the field: the keys of the page work again
annotate-key-keys = this list
annotate-single-keys = Single keys work (on every page, in this browser)

annotate-skip = Skip…
annotate-skip-why = Why do you skip this task?
annotate-skip-unclear = The prompt is unclear
annotate-skip-knowledge = I don't know enough about it
annotate-skip-language = I don't speak its language
annotate-skip-offensive = It is offensive or harmful
annotate-skip-personal = It has somebody's personal data
annotate-skip-other = Something else
annotate-skip-detail = In your words
annotate-skip-do = Skip this task

annotate-draft-saved = Draft saved
annotate-draft-saving = Saving…
annotate-draft-offline = Offline: kept in this browser
annotate-draft-kept = Not saved on the server: kept in this browser
annotate-draft-restored = Restored from this browser
annotate-draft-here = Kept in this browser until you save it
annotate-draft-nowhere = Not kept: this browser has no room for it. Save it before you leave.
annotate-login-again = You have been logged out. Your work is kept in this browser.
annotate-login-link = Log in and go on
annotate-sending = Sending…
annotate-send-offline = You are offline, or the server does not answer. What you submitted is kept here and sent as soon as it can be. Change something, and it waits for you to submit it again.
annotate-send-changed = You have changed it since you submitted it, so it is not sent by itself any more. Submit it again when it is ready.
annotate-send-failed = The server did not answer. Your work is kept; try again.
annotate-lost = Your time for this task has ended, and others have been given it. What you submit is still kept, as an extra opinion.

annotate-after-stored = Stored.
annotate-after-extra = Stored as an extra opinion: others had finished this task after your time for it ended.
annotate-after-skipped = Skipped. The task goes to somebody else.
annotate-after-skipped-again = Skipped. It is a task of the course, so it comes again.
annotate-after-skipped-nobody = Skipped.
annotate-after-look = Look at it
annotate-done-title = What you submitted
annotate-done-text = This task is submitted. It is stored once, as you see it here.

annotate-error-empty = Write an answer first, or skip the task.
annotate-error-too-long = This text is too long: at most { $longest } characters.
annotate-error-unranked = { $count ->
    [one] Answer { $letters } has no rank yet.
   *[other] These answers have no rank yet: { $letters }.
}
annotate-error-not-a-rank = The rank of answer { $letter } is not a number from 1 up.
annotate-error-gap = Answer { $letter } has rank { $rank }, but rank { $expected } is not taken: leave no gap.
annotate-error-too-few = A ranking needs at least two answers.
annotate-error-no-reason = Choose why you skip this task.
annotate-error-no-detail = Say in your words why you skip this task.
annotate-error-draft = This draft can't be read.
annotate-error-submitted = This task is submitted already.
annotate-error-not-skipped = This task was submitted already, from another tab or computer, so it is not skipped: what you submitted stays as it is, and your reason was not sent. If something is wrong with the prompt, tell your lead.
annotate-error-newer-draft = Not submitted yet: you have gone on with this task on another device. What you wrote there is offered above; submit once more what is to count.

annotate-beside = This task was submitted already, from another tab or computer, with something else. What you wrote here is not stored: it is kept in this browser.
annotate-beside-closed = This task was submitted already, from another tab or computer, with something else, and can't be corrected any more. What you wrote here is not stored.
annotate-beside-correct = Go on with it as a correction
annotate-beside-look = Show what you wrote
annotate-beside-plain = This task was submitted already with something else. What you wrote stands here and is not stored yet: save it as a correction, or leave what was submitted as it is.
annotate-beside-final = This task was submitted already with something else, and can't be corrected any more. What you wrote stands here, so that you can copy it.
