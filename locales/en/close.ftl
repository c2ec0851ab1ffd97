close-title = Close the project
close-ask = Close { $project }?
close-what = Nobody is given a task of a closed project, and nothing is trained in it. Its prompts, answers, labels and models stay readable and can be exported, and it can be opened again.
close-in-hand = { $count ->
    [one] One person has a task in hand and can still hand it in.
   *[other] { $count } people have tasks in hand and can still hand them in.
}
close-closed = closed
close-closed-why = This project is closed: nobody is given a task of it, and nothing is trained.
close-reopen = Open it again
close-closed-projects = Closed projects
close-no-run = This project is closed: nothing is trained in it. Open it again first.
