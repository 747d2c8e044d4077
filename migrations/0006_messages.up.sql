-- compat: 6
-- The log of a chat: plain messages in one table, every other durable change in the other, one seq over both.

create table messages (
    chat_id uuid not null,
    seq bigint not null,
    id uuid not null,                  -- made by the client: the same id again is the same message
    sender_id uuid not null,
    sender_device_id uuid not null,
    type text not null,
    text text,
    reply_to uuid,
    extra json,                        -- as text, so that 1e-300 does not grow to 300 digits:
                                       -- attachments, mentions, metadata, forwarded_from: absent for a plain text
    digest bytea not null,             -- of what was sent, so that a repeat can be told from another content after edits
    created_at timestamptz not null,
    edited_at timestamptz,
    deleted_at timestamptz,
    expires_at timestamptz,
    xid xid8 not null,
    primary key (chat_id, seq)
);
create unique index messages_id on messages (id);
-- What is to be deleted by the clock; plain messages are not in it.
create index messages_expiring on messages (expires_at) where expires_at is not null;

create table chat_changes (
    chat_id uuid not null,
    seq bigint not null,
    id uuid not null,                  -- made by the client where one asks for the change
    kind text not null,                -- the event's type: message_edited, member_added ...
    actor_id uuid not null,
    message_id uuid,                   -- what it changes, so that a deletion can empty earlier edits
    users uuid[],                      -- who joins or leaves by it
    data json not null,                -- the event's data as clients get it
    created_at timestamptz not null,
    xid xid8 not null,
    primary key (chat_id, seq)
);
create unique index chat_changes_id on chat_changes (id);
create index chat_changes_message on chat_changes (message_id) where message_id is not null;

create table message_edits (
    message_id uuid not null,
    seq bigint not null,               -- of the change that replaced this text
    text text,
    edited_at timestamptz not null,
    primary key (message_id, seq)
);

create table message_reactions (
    message_id uuid not null,
    user_id uuid not null,
    emoji text not null,
    created_at timestamptz not null default now(),
    primary key (message_id, user_id, emoji)
);

-- "Delete for me": this person does not see the message any more, the others do.
create table message_hidden (
    user_id uuid not null,
    message_id uuid not null,
    hidden_at timestamptz not null default now(),
    primary key (user_id, message_id)
);

-- Appends a batch: one call is one transaction. Rows come in the order of arrival; p_locks are the sorted,
-- distinct lock keys of their chats. Locks are taken before the first write, so that a chat's transaction ids grow
-- with its seqs. Outcomes: 0 stored, 1 the same again, 2 the id is used for something else, 3 no such chat for this
-- sender, 4 the chat takes no messages from this sender, 5 reply_to is not in this chat.
-- The planner settings pin index look-ups: with empty statistics it would scan tables that later grow.
create function append_messages(
    p_locks bigint[], p_chat uuid[], p_id uuid[], p_sender uuid[], p_device uuid[], p_type text[], p_text text[],
    p_reply uuid[], p_extra text[], p_digest bytea[], p_expires int[])
returns table (r_ord bigint, r_outcome int, r_seq bigint, r_created_ms bigint)
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
declare
    v_xid xid8;
    v_now timestamptz;
begin
    perform pg_advisory_xact_lock(key) from unnest(p_locks) key;
    v_xid := pg_current_xact_id();
    v_now := date_trunc('milliseconds', clock_timestamp());
    return query
    with input as materialized (
        select * from unnest(p_chat, p_id, p_sender, p_device, p_type, p_text, p_reply, p_extra, p_digest, p_expires)
            with ordinality as i (chat_id, id, sender_id, device_id, type, text, reply_to, extra, digest, expires, ord)
    ),
    judged as materialized (
        select i.*, k.seq as known_seq, k.created_at as known_at,
            k.seq is not null and k.same as known_same,
            (select case when c.status <> 'active' or (c.type = 'channel' and m.role < 50) then 4 else 0 end
               from chat_members m join chats c on c.id = m.chat_id
              where m.chat_id = i.chat_id and m.user_id = i.sender_id and m.state = 0 and c.status <> 'deleted') as may,
            i.reply_to is null or exists (select from messages q where q.id = i.reply_to and q.chat_id = i.chat_id)
                as reply_ok
        from input i
        left join lateral (
            select q.seq, q.created_at,
                q.chat_id = i.chat_id and q.sender_id = i.sender_id
                and (q.digest = i.digest or q.deleted_at is not null) as same  -- a deletion empties the digest too
            from messages q where q.id = i.id offset 0) k on true
    ),
    fresh as materialized (
        select j.*, row_number() over (partition by j.chat_id order by j.ord) as n
        from judged j where j.known_seq is null and j.may = 0 and j.reply_ok
    ),
    heads as (
        update chat_heads h
           set last_seq = h.last_seq + f.rows, last_message_seq = h.last_seq + f.rows, last_message_at = v_now, xid = v_xid
          from (select g.chat_id, count(*) as rows from fresh g group by g.chat_id) f
         where h.chat_id = f.chat_id
        returning h.chat_id, h.last_seq - f.rows as base
    ),
    stored as (
        insert into messages (chat_id, seq, id, sender_id, sender_device_id, type, text, reply_to, extra, digest,
                              created_at, expires_at, xid)
        select f.chat_id, h.base + f.n, f.id, f.sender_id, f.device_id, f.type, f.text, f.reply_to, f.extra::json, f.digest,
               v_now, v_now + make_interval(secs => f.expires), v_xid
          from fresh f join heads h on h.chat_id = f.chat_id
        returning id, seq
    )
    select j.ord,
        case when j.known_same then 1 when j.known_seq is not null then 2 when j.may is null then 3 when j.may <> 0 then 4
             when not j.reply_ok then 5 else 0 end,
        coalesce(s.seq, j.known_seq),
        (extract(epoch from coalesce(j.known_at, v_now)) * 1000)::bigint
    from judged j left join stored s on s.id = j.id;
end
$$;
