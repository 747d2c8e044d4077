alter table stream_state drop column origin;
