quality-tab = Quality
quality-what = How far people agree, and whose labels can be relied on. Everything here is of the rankings that stand.
quality-whose = Labels of
quality-whose-all = everyone
quality-whose-people = people only, without simulated annotators
quality-nothing = No rankings yet
quality-nothing-why = Once people rank, their agreement is shown here.
quality-agreement = Agreement
quality-alone = No answers have been ranked by two people yet, so nothing can be said about agreement. Set “People who rank” in the settings to two or more.
quality-pairwise = Pairwise agreement
quality-yardstick = InstructGPT’s labelers
quality-with-ties = Ties as an outcome
quality-tau = Kendall’s τ-b
quality-alpha = Krippendorff’s α
quality-alpha-nominal = Krippendorff’s α, pairs
quality-alpha-ordinal = Krippendorff’s α, ranks
quality-interval = 95 % interval
quality-basis = { $prompts ->
    [one] One prompt has answers that two people or more ranked
   *[other] { $prompts } prompts have answers that two people or more ranked
 }; { $rankings } rankings in all. Behind each figure stands its 95 % interval.
quality-little = Fewer than { $least } prompts were ranked twice: take these figures as a first impression.
quality-weeks = Agreement by week
quality-week = Week of
quality-people = By person
quality-people-plot = Agreement of each person with the others
quality-suspicious = { $count ->
    [one] The work of one person looks hasty or follows the order on the page. Look at it before you judge.
   *[other] The work of { $count } people looks hasty or follows the order on the page. Look at it before you judge.
 }
quality-shared = Shared prompts
quality-reliability = Reliability
quality-reliability-hint = Reliability is shown from { $least } pairs on that somebody else judged too.
quality-median = Median time
quality-too-fast = Far too fast
quality-first-best = First shown is best
quality-hasty = Far too fast
quality-first = Favours the first
quality-pairs-count = { $count ->
    [one] one pair
   *[other] { $count } pairs
 }
quality-of = of { $count }
quality-chance = chance: { $share }
quality-places = Does the place on the page matter?
quality-places-none = No ranking of a page of ours yet has one best answer.
quality-places-bias = Best answers stand at some places more often than chance explains.
quality-places-fair = No sign that the place of an answer decides its rank.
quality-places-few = Too few rankings to test it: five at each place are needed.
quality-place = Place on the page
quality-place-best = Best answer there
quality-place-chance = By chance
quality-pairs = By pair of people
quality-pair = People
quality-pairs-more = The { $count } pairs are all in the file:
quality-how = How these figures are reckoned
quality-how-agreement = Of the pairs of answers that two people both put in an order, the share in which they chose the same answer. Pairs that one of them tied are left out, or counted as an outcome of their own (“Ties as an outcome”). The interval is Wilson’s, for the effective number of pairs: the pairs of a prompt are alike, so prompts count, not pairs. The yardstick is what Ouyang et al. (2022) report for their labelers.
quality-how-tau = The rank correlation of two people’s rankings, corrected for ties (Kendall 1945): 1 is the same order, 0 no relation, −1 the reverse. Shown is the mean over every two rankings of the same answers.
quality-how-alpha = Agreement beyond chance, of any number of people: 1 is perfect, 0 what chance gives. Nominal over pairs (first better, second better, tied), ordinal over ranks (Krippendorff 2011).
quality-how-reliability = The chance that a person puts a pair of answers in the right order, estimated together with what is right (Dawid & Skene 1979, one rate a person, both orders alike). Everyone starts from 80 % with the weight of five pairs. Two people alone can’t be told apart: each gets the same.
quality-how-fast = Rankings given in less than a quarter of the time that reading the answers takes at 238 words a minute (Brysbaert 2019). A person is marked from five of them on, if they are more than a fifth of their rankings.
quality-how-places = Pearson’s chi-square test of whether the best answer is equally likely at every place of the page; rankings with several best answers are left out. A person is marked if p < 0.001 and the first place wins at least one and a half times as often as chance has it.
quality-csv = Download as CSV

export-more = By review and reliability
export-include-rejected = Also what reviewers rejected or corrected
export-weights = With a weight for the annotator’s reliability
export-minimum = Least reliability, percent
quality-as-of = These figures are of { $time }. Newer ones are being reckoned: load the page again in a moment.
quality-under-way = The figures are being reckoned
quality-under-way-what = There are many labels, so this takes a few seconds. This page shows the figures as soon as they are there.
quality-under-way-again = Look again now
quality-under-way-too-long = The figures are still being reckoned. Try again in a few minutes.
export-apply = Set and count
export-apply-hint = The counts and the files below follow these options; reliability is of rankings and comparisons.
