-- Which priorities people have given, in one place: five queries asked for it.

-- Whether somebody's last word on a task's priority puts it out of its order. 0 takes a priority back; what was noted before priorities
-- had the earlier one beside them is the new one alone.
CREATE FUNCTION is_put_by_hand(task uuid) RETURNS boolean
LANGUAGE sql STABLE
RETURN coalesce((
    SELECT coalesce(a.detail -> 'priority' -> 1, a.detail -> 'priority')
    FROM audit_log a
    WHERE a.action = 'task.priority' AND a.subject = 'task/' || task::text
    ORDER BY a.id DESC
    LIMIT 1
), '0') <> '0';

-- The priority that somebody has given a task. Null where nobody has: the number of its round, which a sampling job gives, is none.
CREATE FUNCTION priority_by_hand(task tasks) RETURNS integer
LANGUAGE sql STABLE
RETURN CASE WHEN task.priority > 0 AND (task.priority <> task.round OR is_put_by_hand(task.id)) THEN task.priority END;
