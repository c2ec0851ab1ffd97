leads-tab-people = 人员
leads-no-projects = 您还没有负责的项目
leads-no-projects-why = 项目负责人管理自己所属的项目。请让管理员把您加入项目。
leads-members = 成员
leads-members-open = 所有有账户的人都会得到此项目的任务。成员中角色为“项目负责人”的人管理此项目。
leads-members-closed = 只有勾选的人会得到此项目的任务。其中角色为“项目负责人”的人管理此项目。
leads-members-save = 保存成员
leads-invite = 通过链接邀请标注员
leads-invite-what = 链接会创建一个属于此项目的账户。
leads-invite-others = 审核员、项目负责人和管理员由管理员邀请。

connection-offline = 服务器没有响应。此处的内容可能已过时；页面会自动重试。
connection-refused = 服务器无法提供此处的内容。请重新加载页面；如果问题仍在，请告知服务器管理员。
connection-login = 您已退出登录：此处的内容可能已过时。
