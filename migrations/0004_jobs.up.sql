-- compat: 1
-- Consequences of what users do (pushes, mails, clean-up): rows written in the transaction that causes them, so
-- that they exist exactly when the cause does. A finished job is deleted; only what still has to happen, or failed
-- for good, stays.

-- Fencing tokens. A sequence never runs backwards, not even after a rollback, so a later holder of a job always has
-- the larger number and an earlier one can be told apart for ever.
create sequence job_fences as bigint;

create table jobs (
    -- Small and speakable: operators type it (`supd jobs retry 4711`).
    id           bigint generated always as identity primary key,
    kind         text not null check (length(kind) between 1 and 64),
    -- JSON as the writer made it. Not jsonb: that refuses \u0000, which clients may send in content we refer to.
    payload      text not null check (octet_length(payload) <= 65536),
    -- One waiting job per kind and key: a second request joins the first.
    unique_key   text check (length(unique_key) between 1 and 200),
    state        text not null default 'ready' check (state in ('ready', 'running', 'dead')),
    attempts     integer not null default 0 check (attempts >= 0),
    max_attempts integer not null check (max_attempts between 1 and 100),
    run_after    timestamptz not null default now(),
    -- Set while running: who may finish the job, and until when nobody else may take it (the database's clock).
    fence        bigint,
    lease_until  timestamptz,
    leased_by    text check (length(leased_by) <= 100),
    -- A code, never text of an exception: those carry content.
    last_error   text check (length(last_error) <= 64),
    created_at   timestamptz not null default now(),
    died_at      timestamptz,
    constraint jobs_lease_when_running check ((state = 'running') = (fence is not null and lease_until is not null)),
    constraint jobs_death_has_time check ((state = 'dead') = (died_at is not null))
);

-- The claim reads from the head of this one and nothing else; partial, so that a heap of dead jobs costs nothing.
create index jobs_ready on jobs (run_after, id) where state = 'ready';
-- Finds abandoned jobs; holds at most as many rows as there are workers.
create index jobs_running on jobs (lease_until) where state = 'running';
create index jobs_dead on jobs (died_at) where state = 'dead';
-- Among waiting jobs only: one that runs may have read the world before the change that asks again.
create unique index jobs_unique_key on jobs (kind, unique_key) where state = 'ready' and unique_key is not null;

-- A queue: every row is soon deleted. Clean up early, or the head of jobs_ready becomes a heap of dead entries.
alter table jobs set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200);

-- Recurring work: one row per schedule whatever the number of processes; whoever locks a due row runs it.
create table job_schedules (
    name        text primary key check (length(name) between 1 and 64),
    interval_s  double precision not null check (interval_s > 0),
    next_run_at timestamptz not null default now(),
    last_run_at timestamptz,
    runs        bigint not null default 0,
    failures    integer not null default 0,
    last_error  text check (length(last_error) <= 64)
);
