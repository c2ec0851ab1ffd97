-- An import looks whether a label is here already by the id that its file gives it.

CREATE INDEX demonstrations_external ON demonstrations (external_id) WHERE external_id IS NOT NULL;
CREATE INDEX rankings_external ON rankings (external_id) WHERE external_id IS NOT NULL;
