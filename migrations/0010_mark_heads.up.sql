-- compat: 6
-- Which read and delivered marks moved last: what a process has not heard from another one is found by it.

-- Written where marks are, one row for all that one transaction moves of an owner. The version is dense, so that who
-- was told of every one of them knows it.
create table mark_heads (
    owner_id uuid primary key,           -- the chat; in larger ones, where a mark is told to its own user only, the user
    version bigint not null default 1,
    xid xid8 not null                    -- of the transaction that moved the last ones
) with (fillfactor = 50);
