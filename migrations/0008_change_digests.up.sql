-- compat: 6
-- What tells the repeat of a change from another change under the same id, and what counts the chats a person made.

-- Of what the client asked for; null when there is nothing to tell apart, and once a deletion has emptied the change.
alter table chat_changes add column digest bytea;

create index chats_created_by on chats (created_by) where status <> 'deleted';
