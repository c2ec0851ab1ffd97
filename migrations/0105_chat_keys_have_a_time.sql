-- When a chat's key took the place of another: two leads who change nothing but the key can be told apart without showing anything of it.
ALTER TABLE chat_endpoints ADD COLUMN key_set_at timestamptz NOT NULL DEFAULT now();
