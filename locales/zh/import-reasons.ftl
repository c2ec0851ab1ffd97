# 文件中某一行未被接受的原因。

# 整个文件
import-reason-none = 这里没有任何记录
import-reason-compressed = 文件是压缩过的：请先解压
import-reason-parquet = 这是 Parquet 文件：只能导入 JSON 行、JSON 列表或 CSV
import-reason-utf16 = 文件编码是 UTF-16：请另存为 UTF-8
import-reason-file-not-utf8 = 文件编码不是 UTF-8：请另存为 UTF-8
import-reason-no-table = 这既不是 JSON（每行一个对象 {"{"}…{"}"}，或由对象组成的列表），也不是带表头的 CSV（至少要有以下列名之一：{ $columns }）
import-reason-list-cut-off = 列表没有结束：文件似乎不完整

# 记录的写法
import-reason-record-not-utf8 = 记录的第 { $byte } 个字节不是 UTF-8：请将文件另存为 UTF-8
import-reason-record-nul = 记录的第 { $byte } 个字节是 NUL 字符
import-reason-record-too-long = 记录超过 { $mebibytes } MiB
import-reason-not-json = 这不是 JSON：{ $said }（第 { $column } 列）
import-reason-not-object = 一条记录应为一个对象 {"{"}…{"}"}，这里却是{ $found }
import-reason-text-nul = 含有 NUL 字符（\u0000），数据库无法保存
import-reason-name-nul = 某个字段的名称含有 NUL 字符
import-reason-quotation-open = 引号没有闭合
import-reason-row-unreadable = 这一行无法按 CSV 读取
import-reason-python = 是 Python 显示的列表，不是 JSON：请用 json.dumps 写出
import-reason-cells = 这一行有 { $cells } 个单元格，表头有 { $header } 个

# 字段
import-reason-missing = 缺少此字段
import-reason-kind = 应为{ $wanted }，这里却是{ $found }
import-reason-unknown-field = 不认识此字段，也没有地方保存它
import-reason-too-long = 超过 { $longest } 个字符
import-reason-time = “{ $text }”不是形如 2026-11-24T14:05:00Z 的时间
import-reason-role = { $word } 不是 system、user、assistant 之一
import-reason-split = { $word } 不是 train、validation、test 之一
import-reason-negative = 小于 0
import-reason-said = 内容有误：{ $said }

# 值的种类
import-thing-null = 空值（null）
import-thing-truth = 布尔值（true 或 false）
import-thing-number = 数字
import-thing-text = 文本
import-thing-list = 列表
import-thing-object = 对象
import-thing-list-or-object = 列表或对象
import-thing-message = 消息
import-thing-messages = 消息列表
import-thing-answer = 回答
import-thing-dialogue = 对话
import-thing-scale = 形如 {"{"}"lowest": 1, "highest": 7{"}"} 的对象

# 提示与回答
import-reason-prompt-empty = 没有任何消息
import-reason-prompt-silent = 这条消息没有内容
import-reason-prompt-answered = 提示应以用户的话结尾：助手的回答不属于提示
import-reason-task-answers = 一个排序任务应有 2 至 9 个回答，而不是 { $answers } 个
import-reason-known-answers = 一个任务应有 2 至 9 个回答，而不是 { $answers } 个
import-reason-answer-empty = 回答是空的
import-reason-not-assistant = 应为助手：只有助手才能回答
import-reason-one-message = 应当正好是一条消息，即助手的回答；这里有 { $messages } 条
import-reason-purpose = “{ $word }”既不是 check 也不是 course

# 名次、评分、标记
import-reason-rank-count = 有 { $ranks } 个名次，但有 { $answers } 个回答
import-reason-rank-whole = 应为从 1 开始的整数，这里却是：{ $found }
import-reason-rank-few = 排序至少需要两个回答，这里只有 { $answers } 个
import-reason-rank-zero = 回答 { $position } 的名次为 0：名次从 1 开始
import-reason-rank-gap = 回答 { $position } 的名次 { $rank } 造成空缺：接下来应为 { $expected }
import-reason-all-tied = 所有回答并列：无法得知哪个更好
import-reason-margin = 这是两个名次之差：应大于 0
import-reason-per-answer = 有 { $number } 项，但有 { $answers } 个回答
import-reason-rating = { $value } 不是 { $lowest } 到 { $highest } 之间的评分
import-reason-scale-lowest = 评分分制应从 0 或 1 开始
import-reason-scale-highest = 评分分制的最高分应为 2 至 10
import-reason-scale-word = 两端的说明最多 { $longest } 个字符
import-reason-flag-list = 应为文本列表
import-reason-flag = 不是标记：标记应有 1 至 { $longest } 个字符，不含英文逗号和换行
import-reason-confidence = { $value } 不在 1 到 9 之间
import-reason-confidence-ranks = 与两个回答的名次不一致

# 其他工具的导出
import-reason-no-question = 其中没有以下任何一个：{ $names }
import-reason-no-question-field = 其字段中没有以下任何一个：{ $names }
import-reason-nothing-to-learn = 没有可供学习的回答
import-reason-nothing-to-rank = 没有可供排序的回答
import-reason-no-order = 没有说明哪个回答更好
import-reason-no-parent = 在这棵树中，消息“{ $id }”没有出现在这条消息之前
import-reason-prompter = 既不是 prompter 也不是 assistant
import-reason-unranked-field = 排序中没有提到字段“{ $name }”
import-reason-unranked-answer = 排序中没有提到回答“{ $id }”
import-reason-pairwise = 二选一应有两个回答，这里有 { $answers } 个
import-reason-side = “{ $word }”既不是 left 也不是 right
import-reason-dialogues-part = 两段对话的分歧之处不是助手的发言
import-reason-history = 不是由指令及其回答组成的一对
import-reason-no-user = 用户什么也没有说
import-reason-speaker = “{ $word }”既不是用户，也不是助手或系统
import-reason-marked-bad = 这个回答被标记为差：不能作为示范
import-reason-set-aside = 审核者已否决或更正此标注（{ $word }）：导入后它会照常计入，请将其去掉

# 已有的内容，或文件前面出现过的内容
import-reason-no-prompt = 这里没有提示“{ $name }”，记录中也没有给出提示
import-reason-other-prompt = “{ $name }”是另一个提示的 id
import-reason-other-answer = “{ $name }”是另一个回答的 id
import-reason-other-ranking = “{ $name }”是另一份排序的 id
import-reason-other-demonstration = “{ $name }”是另一份示范的 id
import-reason-twice = “{ $name }”在这里出现了两次
import-reason-other-order = 这些回答已有另一种标准顺序
