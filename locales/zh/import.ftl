import-kind = 文件内容
import-kind-prompts = 提示
import-kind-responses = 待排序的回答
import-kind-demonstrations = 示范
import-kind-rankings = 排序
import-kind-comparisons = 比较
import-file = 文件
import-file-hint = JSON 行、JSON 列表，或带列名的 CSV。
import-whole = 整个文件要么全部导入，要么完全不导入。重复导入同一文件不会有变化。
import-forms = 格式
import-foreign = 每条记录一个对象。也能识别 Anthropic HH、Open-Assistant、Alpaca、ShareGPT、TRL、Argilla 和 Label Studio 的文件。
import-done = 已导入。
import-records = 记录
import-added = 新增
import-duplicates = 已存在
import-prompts-added = 新增提示
import-tasks = 新建任务
import-bad = 没有导入任何内容。以下记录有误（前 { $count } 条）：
import-line = 行
import-field = 字段
import-reason = 问题
import-error-kind = 请选择文件内容。
import-error-file = 请选择文件。
import-gone = 该文件已不在等待导入：它已被导入，或因 24 小时内无人导入而被移除。

export-what = 人和模型所说的内容，TRL 和 datasets 可直接读取的文件。
export-kind = 记录
export-every-split = 全部划分
export-format = 格式
export-download = 下载
export-elsewhere = 通过命令或程序
export-csv = 记录的 CSV 文件为不带字节顺序标记（BOM）的 UTF-8，便于程序读取；要在 Excel 中打开，请选择“数据”中的“从文本/CSV”。图表的数据表和导入报告带有该标记，可双击用 Excel 打开。

# 各种记录的样子
import-example-question = 天空为什么是蓝色的？
import-example-tag = 科学
import-example-answer = 因为……
import-example-explanation = 第二个回答是编造的。

# 一列可以对应的字段；括号中是文件里的名称
import-field-prompt = 提示（prompt）
import-field-prompt_id = 提示的编号（prompt_id）
import-field-id = 记录的编号（id）
import-field-language = 语言（language）
import-field-tags = 标签（tags）
import-field-responses = 回答（responses）
import-field-completion = 示范回答（completion）
import-field-annotator = 标注员（annotator）
import-field-seconds = 用时秒数（seconds）
import-field-created_at = 时间（created_at）
import-field-ranks = 名次（ranks）
import-field-note = 备注（note）
import-field-purpose = 用途（purpose）
import-field-explanation = 讲解（explanation）
import-field-chosen = 较好的回答（chosen）
import-field-rejected = 较差的回答（rejected）
import-field-margin = 名次之差（margin）
