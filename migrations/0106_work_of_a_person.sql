-- Which kind of task a person is given next follows their last 24: without an order by time, all that somebody has ever been given
-- was read and sorted, with the tasks of it, whenever they asked for the next one.
CREATE INDEX assignments_of_person ON assignments (user_id, id DESC);

-- The page of one's own work, what reviewers said of it, and the list of people, who has how many labels: each read the labels of
-- everybody for it, the list those of everybody for each of its people.
CREATE INDEX demonstrations_of_person ON demonstrations (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX rankings_of_person ON rankings (user_id) WHERE user_id IS NOT NULL;
