-- compat: 6
-- A user's own log: what concerns all of one person's devices and belongs to no chat. Followed by the same cursors as
-- chats are. A process of an older version writes and reads none of it: what is done there while both run is told to nobody.

-- One narrow row for each user with an entry, updated in place, as chat_heads is.
create table user_heads (
    user_id uuid primary key references users (id) on delete cascade,
    last_seq bigint not null,
    xid xid8 not null                    -- of the transaction that wrote last_seq: finds what a cursor missed
) with (fillfactor = 50);

create table user_events (
    user_id uuid not null references users (id) on delete cascade,
    seq bigint not null,                 -- 1, 2, 3 ... for each user, given under the log's lock
    kind text not null,                  -- the event's type: device_added, settings_updated ...
    data json not null,                  -- kept as written: sent as it is
    created_at timestamptz not null default date_trunc('milliseconds', clock_timestamp()),
    xid xid8 not null default pg_current_xact_id(),
    primary key (user_id, seq)
);
