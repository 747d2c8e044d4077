-- compat: 6
-- The replies to a message, in order. Plain messages are not in it.
create index messages_replies on messages (reply_to, seq) where reply_to is not null;
