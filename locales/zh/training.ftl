training-kind-nightly = 训练
training-kind-sample = 生成新回答
training-state-queued = 等待中
training-state-running = 运行中
training-state-done = 已完成
training-state-failed = 失败
training-state-cancelled = 已停止
training-round = 第 { $round } 轮
