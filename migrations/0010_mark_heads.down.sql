drop table mark_heads;
