-- compat: 1
-- The first answer to each Idempotency-Key, kept 24 h. status is null while the request is running.
create table idempotency_keys (
    user_id      uuid        not null,
    key          text        not null check (length(key) between 1 and 255),
    route        text        not null,
    body_hash    bytea       not null,
    status       int,
    content_type text,
    body         text,
    created_at   timestamptz not null default now(),
    primary key (user_id, key)
);

create index idempotency_keys_by_age on idempotency_keys (created_at);
