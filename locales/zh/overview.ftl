overview-all = 合计
overview-in-hand = { $count ->
    [0] 目前没有人正在做任务。
   *[other] 有 { $count } 个任务正在进行。
 }
overview-finish = 预计完成
overview-finish-done = 所需的标注已全部完成。
overview-finish-nothing = 还没有需要的标注。
overview-finish-day = 约 { $day }
overview-finish-never = 十年以后
overview-finish-unknown = 暂时无法估计
overview-finish-unknown-why = 今天之前还没有任务标注，因此没有速度可参考。还需要 { $remaining } 个标注。
overview-finish-rule = 还需要 { $remaining } 个标注，速度为每天 { $rate } 个：最近 { $days } 个有标注的日子的平均值，不含今天。还需要 { $needed } 个这样的日子；休息日的频率按这段时间计算。
overview-labels-person = 每人每日标注，最近 { $days } 天
overview-imported = 来自文件
overview-others = 其他人
overview-total = 合计
overview-csv = 下载 CSV
overview-live = 页面打开期间自动更新。
overview-agreement-none = 还没有两个人对同一组回答排序。
overview-agreement-of = 截至 { $time }。
overview-agreement-more = 查看完整的一致性与表格
overview-agreement-unknown = 正在计算。
