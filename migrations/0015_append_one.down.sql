drop function append_one;
-- The function of 0014, where the reasons are.
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
    -- Written so that plpgsql evaluates what it can without the executor: for a single message start-up is the cost.
    foreach v_key in array p_locks loop
        if pg_advisory_xact_lock(v_key) is null then return; end if;
    end loop;
    -- Statements of their own: their snapshots must be younger than the locks.
    if cardinality(p_id) <= 3 then
        for i in 1 .. cardinality(p_id) loop
            if not exists (
                select from chat_members m join chats c on c.id = m.chat_id
                 where m.chat_id = p_chat[i] and m.user_id = p_sender[i] and m.state = 0 and c.status = 'active'
                   and (c.type <> 'channel' or m.role >= 50))
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
            select from chat_members m join chats c on c.id = m.chat_id
             where m.chat_id = i.chat_id and m.user_id = i.sender_id and m.state = 0 and c.status = 'active'
               and (c.type <> 'channel' or m.role >= 50)
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
drop trigger chats_pass_send_role on chats;
drop function chats_pass_send_role;
drop trigger chat_heads_set_send_role on chat_heads;
drop function chat_heads_set_send_role;
alter table chat_heads drop column send_role;
drop function send_role_of;
