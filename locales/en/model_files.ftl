models-room = { $count ->
    [one] The files of one model take { $size }.
   *[other] The files of { $count } models take { $size } together.
}
models-files-removed = files removed
models-need-answers = stay: it answers now
models-need-answered_before = stay: going back leads to it
models-need-base = stay: training starts from it
models-need-reward = stay: the reward model in use
models-need-job = stay: a job uses it
models-need-adapter = stay: an adapter needs it
models-remove = Remove files
models-remove-ask = Remove the files of { $model }?
models-remove-what = This frees { $size } on the server and can’t be taken back: the model can’t be promoted, sampled from or downloaded afterwards. Its record, its figures, its answers and all labels stay.
models-remove-confirm = Remove the files
models-remove-needed-answers = The files of this model stay: it answers now.
models-remove-needed-answered_before = The files of this model stay: it answered before the one that answers now, and going back leads to it.
models-remove-needed-base = The files of this model stay: training starts from it. Bring another base model first.
models-remove-needed-reward = The files of this model stay: it is the newest reward model, or that of the policy that answers now.
models-remove-needed-job = The files of this model stay: a job that waits or runs uses it. Wait for its end, or stop it.
models-remove-needed-adapter = The files of this model stay: an adapter that is here can’t be loaded without it.
models-removed = The files are removed. The record of the model stays.
models-removed-before = The files of this model were removed before.
models-error-removed = The files of this model were removed: it can’t answer any more.
models-error-name = A model of this name was here, and its files were removed. Choose another name.
models-freed = Freed
