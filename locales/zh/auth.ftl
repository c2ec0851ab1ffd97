auth-login-title = 登录
auth-login-lead = 撰写、排序，让模型知道什么是好的回答。
auth-login-submit = 登录
auth-login-help = 没有账户，或忘记了密码？请向团队管理员索取链接。
auth-login-wrong = 邮箱地址与密码不匹配。
auth-login-wait = 尝试次数过多，请在 { $minutes } 分钟后再试。
auth-login-new = 这台服务器刚刚安装。请打开它启动时输出的链接来创建第一个账户。
auth-email = 邮箱地址
auth-email-fixed = 此邀请仅限该地址使用。
auth-password = 密码
auth-password-hint = 至少 { $least } 个字符。几个词组合在一起更容易记住。
auth-name = 您的姓名
auth-name-hint = 团队成员所认识的称呼。
auth-language = 语言

auth-first-title = 欢迎使用 Laurel
auth-first-lead = 这台服务器刚刚安装。请创建第一个账户，即管理员账户。
auth-invitation-title = 您已受邀
auth-invitation-lead = 创建账户即可开始。
auth-invitation-submit = 创建账户
auth-invitation-logged-in = 您当前以 { $email } 登录。创建新账户后将在此退出该账户。
auth-role-annotator = 您将撰写回答并为回答排序。
auth-role-reviewer = 您将撰写回答并为回答排序，还可以查看他人的标注。
auth-role-lead = 您将负责管理项目：提示、人员、导出与训练。
auth-role-admin = 您将成为管理员：管理项目、人员与训练。
auth-role-name-annotator = 标注员
auth-role-name-reviewer = 审核员
auth-role-name-lead = 项目负责人
auth-role-name-admin = 管理员
auth-over-title = 此链接已失效
auth-over-text = 一份邀请在七天内只能创建一个账户。如果您已经创建，请直接登录；否则请索取新的链接。

auth-account-title = 我的账户
auth-profile-title = 姓名与语言
auth-save = 保存
auth-password-title = 密码
auth-password-lead = 更改密码后，您在其他浏览器中将退出登录。
auth-password-present = 当前密码
auth-password-new = 新密码
auth-password-submit = 更改密码
auth-sessions-title = 其他浏览器
auth-sessions-count = { $count ->
    [0] 您仅在此处登录。
   *[other] 您还在另外 { $count } 个浏览器中登录。
}
auth-sessions-submit = 退出所有其他登录
auth-done-profile = 已保存。
auth-done-password = 密码已更改，其他浏览器已退出登录。
auth-done-sessions = 其他浏览器均已退出登录。

auth-error-email = 这不是有效的邮箱地址。
auth-error-email-taken = 此邮箱地址已有账户。
auth-error-name = 姓名应为 1 到 100 个字符。
auth-error-password-short = 密码至少需要 { $least } 个字符。
auth-error-password-long = 密码最多 { $most } 个字节。
auth-error-password-present = 当前密码不正确。
auth-error-language = 没有这种语言。
