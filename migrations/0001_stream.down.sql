drop table stream_marks;
drop table stream_state;
