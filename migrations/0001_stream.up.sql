-- compat: 1
-- The stream of changes that clients follow with a cursor {epoch, W}; docs/architecture.md, "One cursor for a device".

create table stream_state (
    only_row boolean primary key default true check (only_row),
    epoch uuid not null default gen_random_uuid(),  -- a restore gives a new one: transaction ids do not survive it
    horizon xid8 not null default '0'               -- cursors below are refused: what they ask for may be pruned
);
insert into stream_state default values;

-- Which W belonged to which time, so that "cursors older than 30 days" can be turned into a horizon.
create table stream_marks (
    at timestamptz primary key default now(),
    w xid8 not null
);
