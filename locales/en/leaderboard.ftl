board-tab = Leaderboard
board-what = Which models write the answers that people prefer. Every ranking that stands counts; who wrote what was hidden from those who ranked.
board-nothing = Nothing to compare yet
board-nothing-why = Once people have ranked answers of two models or more to the same prompt, the models stand here.
board-scores = Strength of the models, with 95 % intervals
board-score = Score
board-little = Fewer than { $least } prompts were compared: take these figures as a first impression.
board-groups = No comparison joins these groups of models, not even through others. Each group has an order and scores of its own: scores of different groups can’t be compared.
board-group = Group
board-group-of = Group { $number }: { $models }
board-win-rate = Win rate
board-won = Won
board-tied = Tied
board-lost = Lost
board-basis = { $comparisons ->
    [one] { $comparisons } comparison
   *[other] { $comparisons } comparisons
 } on { $prompts ->
    [one] { $prompts } prompt
   *[other] { $prompts } prompts
 }.
board-ties = Two equal models would tie in { $share } of the comparisons.
board-triads = { $circular } of { $complete } triads of models are circular (A beats B, B beats C, C beats A).
board-triads-many = One order does not fit these preferences well: look at the table of pairs.
board-matrix = Who beats whom
board-matrix-what = How often the model of the row was preferred to the model of the column; a tie counts as half.
board-tests = Blind tests
board-tests-what = Two models answer the same prompts; people judge the two answers without knowing which is whose. Answers that are here are used; those that lack, models of the registry can write.
board-tests-shown = { $count ->
    [one] One test.
   *[other] Tests { $from } to { $until } of { $count }, the newest first.
}
board-tests-pages = Pages of blind tests
board-test = Test
board-test-labels = Labels
board-test-share = First preferred
board-test-first = First model (prompts answered)
board-test-second = Second model (prompts answered)
board-test-prompts = Prompts, at most
board-test-make = Make the tasks
board-test-made = { $count ->
    [one] One task was made; it is handed out before the others.
   *[other] { $count } tasks were made; they are handed out before the others.
 }
board-test-asked = { $count ->
    [one] The models are asked for one answer. Its task becomes available by itself when it is here.
   *[other] The models are asked for { $count } answers. Tasks become available by themselves as the answers come in.
 }
board-test-short = { $tasks } of { $wanted } prompts that were asked for.
board-test-two = Choose two different models that have answers here or stand complete in the registry.
board-test-none = The two models have answered no prompt in common that people may be asked about and that was not tested already.
board-test-few = A blind test needs two models that have answers here or stand complete in the registry.
board-waiting = Waiting for answers
board-waiting-what = A prompt’s task becomes available by itself as soon as both answers to it are here.
board-waits-for = Waiting for { $answers }.
board-answers = { $count ->
    [one] one answer of { $model }
   *[other] { $count } answers of { $model }
 }
board-answers-both = { $first } and { $second }
board-job-for = For a blind test
board-job-failed = It failed before all answers were here.
board-job-cancelled = It was stopped before all answers were here.
board-job-done = It ended, and not all answers are here.
board-again = Try again
board-enough = Do without them
board-cannot-not_here = { $model } can’t be asked for answers: the model registry has no model of this name. Its answers were imported, or people wrote them.
board-cannot-incomplete = { $model } can’t be asked for answers: not all of its files are here. They have not arrived yet, or were removed.
board-cannot-judge = { $model } can’t be asked for answers: a reward model judges answers and can’t write them.
board-offer-both = { $both ->
    [0] No prompt has answers of both models that people can be asked about now.
    [one] One prompt has answers of both models that people can be asked about now.
   *[other] { $both } prompts have answers of both models that people can be asked about now.
 } { $missing ->
    [one] One more is asked for.
   *[other] { $missing } more are asked for.
 }
board-offer-write = { $prompts ->
    [one] The missing answers to one prompt can be written: { $answers }.
   *[other] The missing answers to { $prompts } prompts can be written: { $answers }.
 }
board-offer-short = There are no more prompts of your choice for which that is possible.
board-offer-how = Prompts that one of the two has answered come first, the others by chance; prompts that were withdrawn, held back as near-duplicates or reported are left out. A worker samples one answer to each prompt. These answers are for blind tests: people are asked about them in no other ranking.
board-offer-yes = Have the missing answers written
board-offer-no = { $count ->
    [one] Make the one task that there is
   *[other] Make the { $count } tasks that there are
 }
board-how = Scores are those of Bradley and Terry (1952) with ties after Davidson (1970), in natural-logarithm units: a lead of 1.1 wins three decided comparisons of four. Those of models that comparisons join sum to zero; half a win and half a defeat against an average model are added for each, so that few comparisons make no extreme. Intervals come from a bootstrap over prompts (Efron 1979) or, where that is wider, from the curvature of the likelihood (Efron & Hinkley 1978): prompts that all say the same leave a doubt that drawing them again does not show. Rankings that a reviewer corrected or rejected are left out. The share of circular triads is 0 where one order explains everything and about 1/4 where preferences are by chance (Kendall & Babington Smith 1940).
