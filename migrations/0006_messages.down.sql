drop function append_messages;
drop table message_hidden;
drop table message_reactions;
drop table message_edits;
drop table chat_changes;
drop table messages;
