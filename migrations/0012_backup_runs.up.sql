-- compat: 6
-- When a backup was made and when one was last proven by restoring it. In the database, so that every process can say
-- how old they are, wherever the command ran.
create table backup_runs (
    at timestamptz not null default now(),
    kind text not null check (kind in ('created', 'verified')),
    name text not null,                        -- of the archive
    primary key (kind, at)
);
