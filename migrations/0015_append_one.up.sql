-- compat: 6
-- A message alone in its batch: at a quiet hour nearly every one is, and what PostgreSQL does for it is most of its
-- latency. Two things make that less: it comes as scalars instead of fourteen arrays, and who may send is read from the
-- row that gives the seq, which is written anyway, and the member's row, without the chat's.

-- What a chat's type and status ask of a sender, as the least chat_members.role; above every role when nobody may.
create function send_role_of(p_type text, p_status text) returns smallint
language sql immutable
return (case when p_status <> 'active' then 32767 when p_type = 'channel' then 50 else 0 end)::smallint;

-- Kept by triggers, so that no writer can forget it, one of an older version neither. Whoever changes a chat's status
-- holds the chat's lock, so a sender's transaction sees the change or comes before it.
alter table chat_heads add column send_role smallint not null default 0;

create function chat_heads_set_send_role() returns trigger language plpgsql as $$
begin
    select send_role_of(c.type, c.status) into new.send_role from chats c where c.id = new.chat_id;
    return new;
end
$$;
create trigger chat_heads_set_send_role before insert on chat_heads
    for each row execute function chat_heads_set_send_role();

create function chats_pass_send_role() returns trigger language plpgsql as $$
begin
    update chat_heads set send_role = send_role_of(new.type, new.status) where chat_id = new.id;
    return null;
end
$$;
create trigger chats_pass_send_role after update of type, status on chats
    for each row when (send_role_of(old.type, old.status) <> send_role_of(new.type, new.status))
    execute function chats_pass_send_role();

-- After the triggers: from here on nobody changes a chat unseen.
update chat_heads h set send_role = send_role_of(c.type, c.status)
  from chats c where c.id = h.chat_id and send_role_of(c.type, c.status) <> 0;

-- No seq: this sender may not send to this chat, nothing was kept, append_messages tells why. A known id is the unique
-- index's error.
create function append_one(
    p_lock bigint, p_chat uuid, p_id uuid, p_sender uuid, p_device uuid, p_type text, p_text text, p_extra text,
    p_digest bytea, p_expires int, out r_seq bigint, out r_created_ms bigint)
language plpgsql
as $$
declare
    v_now timestamptz;
begin
    if pg_advisory_xact_lock(p_lock) is null then return; end if;
    v_now := date_trunc('milliseconds', clock_timestamp());
    -- A statement of its own: its snapshot must be younger than the lock. Only who may send gets a transaction id.
    update chat_heads h
       set last_seq = h.last_seq + 1, last_message_seq = h.last_seq + 1, last_message_at = v_now,
           xid = pg_current_xact_id()
      from chat_members m
     where h.chat_id = p_chat and m.chat_id = p_chat and m.user_id = p_sender and m.state = 0 and m.role >= h.send_role
    returning h.last_seq into r_seq;
    if r_seq is null then return; end if;
    r_created_ms := (extract(epoch from v_now) * 1000)::bigint;
    insert into messages (chat_id, seq, id, sender_id, sender_device_id, type, text, extra, digest, created_at, expires_at,
                          xid)
    values (p_chat, r_seq, p_id, p_sender, p_device, p_type, p_text, p_extra::json, p_digest, v_now,
            v_now + make_interval(secs => p_expires), pg_current_xact_id());
end
$$;

-- For two rows and more, by the same rule.
create or replace function append_fresh(
    p_locks bigint[], p_group_chat uuid[], p_group_rows int[], p_group int[], p_place int[], p_chat uuid[], p_id uuid[],
    p_sender uuid[], p_device uuid[], p_type text[], p_text text[], p_extra text[], p_digest bytea[], p_expires int[])
returns table (r_group bigint, r_base bigint, r_created_ms bigint)
language plpgsql
as $$
declare
    v_xid xid8;
    v_now timestamptz;
    v_base bigint[];
    v_key bigint;
    v_seq bigint;
begin
    -- Written so that plpgsql evaluates what it can without the executor: for a few messages start-up is the cost.
    foreach v_key in array p_locks loop
        if pg_advisory_xact_lock(v_key) is null then return; end if;
    end loop;
    -- Statements of their own: their snapshots must be younger than the locks.
    if cardinality(p_id) <= 3 then
        for i in 1 .. cardinality(p_id) loop
            if not exists (
                select from chat_members m join chat_heads h on h.chat_id = m.chat_id
                 where m.chat_id = p_chat[i] and m.user_id = p_sender[i] and m.state = 0 and m.role >= h.send_role)
            then
                return;
            end if;
        end loop;
        v_xid := pg_current_xact_id();
        v_now := date_trunc('milliseconds', clock_timestamp());
        r_created_ms := (extract(epoch from v_now) * 1000)::bigint;
        for i in 1 .. cardinality(p_id) loop
            update chat_heads h
               set last_seq = h.last_seq + 1, last_message_seq = h.last_seq + 1, last_message_at = v_now, xid = v_xid
             where h.chat_id = p_chat[i]
            returning h.last_seq into v_seq;
            insert into messages (chat_id, seq, id, sender_id, sender_device_id, type, text, extra, digest, created_at,
                                  expires_at, xid)
            values (p_chat[i], v_seq, p_id[i], p_sender[i], p_device[i], p_type[i], p_text[i], p_extra[i]::json,
                    p_digest[i], v_now, v_now + make_interval(secs => p_expires[i]), v_xid);
            if p_place[i] = 1 then
                r_group := p_group[i];
                r_base := v_seq - 1;
                return next;
            end if;
        end loop;
        return;
    end if;
    if exists (
        select from unnest(p_chat, p_sender) i (chat_id, sender_id)
         where not exists (
            select from chat_members m join chat_heads h on h.chat_id = m.chat_id
             where m.chat_id = i.chat_id and m.user_id = i.sender_id and m.state = 0 and m.role >= h.send_role
            offset 0))
    then
        return;
    end if;
    v_xid := pg_current_xact_id();
    v_now := date_trunc('milliseconds', clock_timestamp());
    with heads as (
        update chat_heads h
           set last_seq = h.last_seq + g.rows, last_message_seq = h.last_seq + g.rows, last_message_at = v_now, xid = v_xid
          from unnest(p_group_chat, p_group_rows) with ordinality g (chat_id, rows, ord)
         where h.chat_id = g.chat_id
        returning g.ord, h.last_seq - g.rows as base
    )
    select array_agg(h.base order by h.ord) into v_base from heads h;
    insert into messages (chat_id, seq, id, sender_id, sender_device_id, type, text, extra, digest, created_at, expires_at,
                          xid)
    select i.chat_id, v_base[i.grp] + i.place, i.id, i.sender_id, i.device_id, i.type, i.text, i.extra::json, i.digest,
           v_now, v_now + make_interval(secs => i.expires), v_xid
      from unnest(p_chat, p_group, p_place, p_id, p_sender, p_device, p_type, p_text, p_extra, p_digest, p_expires)
        as i (chat_id, grp, place, id, sender_id, device_id, type, text, extra, digest, expires);
    r_created_ms := (extract(epoch from v_now) * 1000)::bigint;
    for v_group in 1 .. coalesce(cardinality(v_base), 0) loop
        r_group := v_group;
        r_base := v_base[v_group];
        return next;
    end loop;
end
$$;
