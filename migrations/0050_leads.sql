-- Leads manage the projects that they are members of.

ALTER TABLE users DROP CONSTRAINT users_role;
ALTER TABLE users ADD CONSTRAINT users_role CHECK (role IN ('admin', 'lead', 'reviewer', 'annotator'));
ALTER TABLE invitations DROP CONSTRAINT invitations_role;
ALTER TABLE invitations ADD CONSTRAINT invitations_role CHECK (role IN ('admin', 'lead', 'reviewer', 'annotator'));
