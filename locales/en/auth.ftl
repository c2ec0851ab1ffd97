auth-login-title = Log in
auth-login-lead = Write, rank, and teach the model what a good answer is.
auth-login-submit = Log in
auth-login-help = No account, or the password is gone? Ask an admin of your team for a link.
auth-login-wrong = This email address and password do not belong together.
auth-login-wait = { $minutes ->
    [one] Too many attempts. Please try again in a minute.
   *[other] Too many attempts. Please try again in { $minutes } minutes.
}
auth-login-new = This server is new. Open the link that it printed when it started to make the first account.
auth-email = Email address
auth-email-fixed = The invitation is for this address.
auth-password = Password
auth-password-hint = At least { $least } characters. A few words together are easy to remember.
auth-name = Your name
auth-name-hint = As your team knows you.
auth-language = Language

auth-first-title = Welcome to Laurel
auth-first-lead = This server is new. Make the first account: it is the admin's.
auth-invitation-title = You are invited
auth-invitation-lead = Make your account and begin.
auth-invitation-submit = Make the account
auth-invitation-logged-in = You are logged in as { $email }. A new account logs you out of it here.
auth-role-annotator = You will write and rank answers.
auth-role-reviewer = You will write and rank answers, and see what others wrote.
auth-role-lead = You will run a project: its prompts, people, exports and training.
auth-role-admin = You will be an admin: projects, people, training.
auth-role-name-annotator = Annotator
auth-role-name-reviewer = Reviewer
auth-role-name-lead = Lead
auth-role-name-admin = Admin
auth-over-title = This link does not work any more
auth-over-text = An invitation makes one account, once, within seven days. If you have made yours, log in; if not, ask for a new link.

auth-account-title = Your account
auth-profile-title = Name and language
auth-save = Save
auth-password-title = Password
auth-password-lead = A new password logs you out in every other browser.
auth-password-present = Present password
auth-password-new = New password
auth-password-submit = Change the password
auth-sessions-title = Other browsers
auth-sessions-count = { $count ->
    [0] You are logged in here only.
    [one] You are logged in in one other browser.
   *[other] You are logged in in { $count } other browsers.
}
auth-sessions-submit = Log out everywhere else
auth-done-profile = Saved.
auth-done-password = The password is changed. Other browsers are logged out.
auth-done-sessions = Every other browser is logged out.

auth-error-email = This is not an email address.
auth-error-email-taken = There is an account with this email address already.
auth-error-name = A name has 1 to 100 characters.
auth-error-password-short = A password has at least { $least } characters.
auth-error-password-long = A password has at most { $most } bytes.
auth-error-password-present = This is not your present password.
auth-error-language = This language is not there.
