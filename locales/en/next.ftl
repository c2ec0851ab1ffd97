next-title = What comes next
next-order = Order of the tasks
next-order-what = First comes what has a priority by hand, then:
next-order-as_made = the oldest
next-order-random = one by chance
next-order-uncertain = what the reward model is least sure of
next-order-hint = A task's priority is set by hand on its prompt's page.
next-scored = { $scored } of { $prompts } prompts have a score of the reward model's uncertainty.
next-scored-by = The newest is by { $model }.
next-unscored = No prompt has a score of the reward model's uncertainty yet; a trainer sends them through the API (prompt-scores).
next-hold-back = Hold back near-duplicates after every import
next-percent = Near-duplicates from this similarity on, percent
next-percent-hint = 60 to 100. The share of letter triples that two prompts have in common.
next-error-order = Choose one of the orders.
next-queue = The next tasks
next-queue-empty = Nothing waits.
next-uncertainty = Uncertainty
next-duplicates = Near-duplicates
next-duplicates-what = Prompts that are nearly the same as an earlier one are held back: nobody is asked about them. What people have begun stays.
next-look = Look for near-duplicates now
next-found = { $count ->
    [0] No further near-duplicates.
    [one] One prompt is held back.
   *[other] { $count } prompts are held back.
 }
next-none-held-back = No prompt is held back.
next-held-back-count = { $count ->
    [one] One prompt is held back
   *[other] { $count } prompts are held back
 }
next-held-back = Held back
next-original = Nearly the same as
next-similarity = Similarity
next-release = Ask it all the same
