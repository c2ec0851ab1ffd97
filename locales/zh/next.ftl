next-title = 接下来的任务
next-order = 任务顺序
next-order-what = 手动设定优先级的任务最先，然后是：
next-order-as_made = 最早的任务
next-order-random = 随机的任务
next-order-uncertain = 奖励模型最不确定的任务
next-order-hint = 任务的优先级可在其提示的页面上手动设定。
next-scored = { $prompts } 条提示中有 { $scored } 条有奖励模型的不确定度。
next-scored-by = 最新的来自 { $model }。
next-unscored = 还没有提示带有奖励模型的不确定度；训练器通过 API（prompt-scores）发送。
next-hold-back = 每次导入后搁置近似重复的提示
next-percent = 相似度达到此百分比即为近似重复
next-percent-hint = 60 到 100。两条提示共有的三字符片段所占的比例。
next-error-order = 请选择一种顺序。
next-queue = 接下来的任务
next-queue-empty = 没有等待中的任务。
next-uncertainty = 不确定度
next-duplicates = 近似重复
next-duplicates-what = 与更早的提示几乎相同的提示会被搁置，不再分配给任何人。已经开始的不受影响。
next-look = 立即查找近似重复
next-found = { $count ->
    [0] 没有发现更多近似重复。
   *[other] 搁置了 { $count } 条提示。
 }
next-none-held-back = 没有被搁置的提示。
next-held-back-count = 已搁置 { $count } 条提示
next-held-back = 被搁置
next-original = 近似于
next-similarity = 相似度
next-release = 仍然分配
