drop table chat_members;
drop table chat_heads;
drop table chats;
