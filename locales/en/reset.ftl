auth-reset-title = A new password
auth-reset-lead = For the account of { $name }. You are logged out everywhere else.
auth-reset-over = A link for a new password works once, within a day, until a newer one is made or the password is changed. Ask an admin of your team for another.
people-reset = Link for a new password
people-reset-link = Give this link to { $name }.
people-reset-once = It is shown this once, sets a new password once, and works for { $hours } hours. Whoever has it can log in as this person.
