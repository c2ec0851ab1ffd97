-- Which kind of task a person is given next follows their last 24: without an order by time, all that somebody has ever been given
-- was read and sorted, with the tasks of it, whenever they asked for the next one.
CREATE INDEX assignments_of_person ON assignments (user_id, id DESC);
