-- compat: 5
-- Chats, their members, and the head counter that gives every entry of a chat's log its seq.

create table chats (
    id uuid primary key,
    type text not null check (type in ('direct', 'group', 'channel')),
    title text,
    context_type text,                       -- something outside that the chat is about, e.g. a booking
    context_id text,
    status text not null default 'active' check (status in ('active', 'archived', 'closed', 'deleted')),
    encryption text not null default 'none',
    created_by uuid not null references users (id),
    created_at timestamptz not null default date_trunc('milliseconds', now()),
    direct_low uuid references users (id),   -- of a direct chat: its two people, ordered, so that a pair is one key
    direct_high uuid references users (id),
    member_count int not null default 0,     -- joined ones; written under the chat's lock like everything here
    settings jsonb not null default '{}',
    check ((type = 'direct') = (direct_low is not null and direct_high is not null))
);
-- One open direct chat for a pair of people and context.
create unique index chats_direct_pair on chats (direct_low, direct_high, coalesce(context_type, ''), coalesce(context_id, ''))
    where type = 'direct' and status in ('active', 'archived');

-- Narrow and half empty: each entry updates its row in place (HOT), so no column here may be indexed but the key.
create table chat_heads (
    chat_id uuid primary key references chats (id),
    last_seq bigint not null default 0,
    last_message_seq bigint not null default 0,  -- for the chat list
    last_message_at timestamptz,
    xid xid8 not null default pg_current_xact_id()  -- of the transaction that wrote last_seq: finds what a cursor missed
) with (fillfactor = 50);

create table chat_members (
    chat_id uuid not null references chats (id),
    user_id uuid not null references users (id),
    role smallint not null default 0,            -- power: 0 member, 50 admin, 100 owner
    state smallint not null default 0,           -- 0 joined, 1 left, 2 removed
    from_seq bigint not null,                    -- first entry that this member may see
    to_seq bigint,                               -- last one, when no longer joined
    epoch int not null default 1,                -- counts changes of state and role
    read_seq bigint not null default 0,
    delivered_seq bigint not null default 0,
    settings jsonb not null default '{}',        -- the member's own: mute, pin, archive
    joined_at timestamptz not null default now(),
    xid xid8 not null default pg_current_xact_id(),        -- of the last change of state: finds joins for a cursor
    marks_xid xid8 not null default pg_current_xact_id(),  -- of the last read or delivered mark
    primary key (chat_id, user_id)
) with (fillfactor = 80);
create index chat_members_by_user on chat_members (user_id, xid);
-- Never two owners; that there is one at all is kept by the rules, under the chat's lock.
create unique index chat_members_owner on chat_members (chat_id) where role = 100 and state = 0;
