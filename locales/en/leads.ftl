leads-tab-people = People
leads-no-projects = You lead no project yet
leads-no-projects-why = A lead manages the projects that they are a member of. Ask an admin to add you to one.
leads-members = Members
leads-members-open = Everyone with an account gets tasks of this project. Its leads are the members with the role Lead.
leads-members-closed = Only the people ticked here get tasks of this project. Its leads are the members with the role Lead.
leads-members-save = Save members
leads-invite = Invite an annotator by link
leads-invite-what = The link makes an account that is a member of this project.
leads-invite-others = Reviewers, leads and admins are invited by an admin.

connection-offline = The server does not answer. What stands here may be old; the page asks again by itself.
connection-refused = The server could not give what stands here. Load the page again; if it stays so, tell the person who runs this server.
connection-login = You have been logged out: what stands here may be old.
