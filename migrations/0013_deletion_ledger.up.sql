-- compat: 6
-- What was erased for good. A backup brings back what was deleted after it was made; a restore replays the rows that are
-- newer than the backup, so that erased stays erased. Only ids: nothing here says what was erased.
create table deletion_ledger (
    kind text not null check (length(kind) between 1 and 32),  -- message, user, session; later features add theirs
    id uuid not null,
    deleted_at timestamptz not null default clock_timestamp(),
    primary key (kind, id)
);
-- The periodic copy and a restore read what is newer than a backup.
create index deletion_ledger_by_time on deletion_ledger (deleted_at);

-- Triggers and not statements of the modules: while two versions of supd share the database, the older one writes the
-- ledger too, and so does an operator by hand. Each fires on the one column whose change means deletion.
create function note_deletion() returns trigger language plpgsql as $$
begin
    insert into deletion_ledger (kind, id) values (tg_argv[0], old.id) on conflict do nothing;
    return null;
end
$$;
create trigger messages_note_deletion after update of deleted_at on messages
    for each row when (old.deleted_at is null and new.deleted_at is not null)
    execute function note_deletion('message');
create trigger users_note_deletion after update of status on users
    for each row when (old.status <> 'deleted' and new.status = 'deleted')
    execute function note_deletion('user');
-- A session that was revoked must not work again after a restore: its refresh token may be in a thief's hands.
create trigger sessions_note_revocation after update of revoked_at on sessions
    for each row when (old.revoked_at is null and new.revoked_at is not null)
    execute function note_deletion('session');
