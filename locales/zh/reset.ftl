auth-reset-title = 设置新密码
auth-reset-lead = 用于 { $name } 的账户。您在其他地方将退出登录。
auth-reset-over = 设置新密码的链接只能使用一次，一天内有效，生成更新的链接或更改密码后即失效。请向团队管理员索取新的链接。
people-reset = 重设密码链接
people-reset-link = 请把此链接交给 { $name }。
people-reset-once = 只显示这一次，可设置一次新密码，{ $hours } 小时内有效。持有链接的人能以此人身份登录。
