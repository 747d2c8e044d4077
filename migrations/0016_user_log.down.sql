drop table user_events;
drop table user_heads;
