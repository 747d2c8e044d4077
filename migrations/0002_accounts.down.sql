drop table refresh_tokens;
drop table sessions;
drop table user_devices;
drop table users;
