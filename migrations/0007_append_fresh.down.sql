drop function append_fresh;
