drop index chats_created_by;
alter table chat_changes drop column digest;
