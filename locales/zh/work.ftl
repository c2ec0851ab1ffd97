work-tab-plan = 计划
work-plan = 任务分配
work-plan-hint = 权重决定各类任务的比例。3 比 1 表示前者每三个配后者一个；0 表示不分配。某类任务没有待办时，分配其他类型。
work-weight-rankings = 排序
work-weight-demonstrations = 撰写回答
work-weight-comparisons = 两两对比
work-weight-hint = 权重，0 到 100
work-error-no-weight = 至少要有一类任务的权重大于 0。
work-error-language = “{ $tag }”不是语言代码。请使用 en、zh、de 这样的代码。

work-languages = 您的工作语言
work-languages-hint = 您会收到这些语言的任务，以及未标明语言的任务。不选则收到所有语言的任务。
work-languages-others = 其他
work-languages-others-hint = 语言代码，如 ja 或 pt，用逗号分隔
work-languages-done = 语言已保存，从下一个任务起生效。
work-languages-of = { $name } 的语言
work-languages-save-of = 保存 { $name } 的语言
work-languages-column = 语言
work-languages-all = 全部

work-read-needed = 请先阅读本指南，再继续工作。
work-read-again = 您上次阅读之后，指南已有更新。请先阅读新版，再继续工作。
work-read-button = 我已阅读
work-read-at = 您已阅读此版本。
work-readers = 谁已阅读
work-readers-none = 还没有人参与这个项目。
work-reader = 人员
work-reader-version = 已读版本
work-reader-when = 时间
work-reader-never = 未读
work-reader-behind = 未读新版

work-draft-other = 您在另一台设备上写了不同的内容。现在以这里的内容为准。
work-draft-other-here = 此浏览器中有您离线时写的不同内容。现在以您之后在别处写的内容为准。
work-draft-other-submitted = 这是任务以其他内容提交后您写的内容。保存后将取代已提交的内容。
work-draft-other-correction = 您还有一份在上次更正保存之前开始的更正。
work-draft-take = 改用另一份
