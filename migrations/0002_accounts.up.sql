-- compat: 1
-- People, their devices, and the sessions and refresh tokens by which a device stays signed in.

create table users (
    id uuid primary key,                       -- v7, made by the server
    username text not null,                    -- as the person wrote it (NFKC); never changes
    username_key text not null unique,         -- NFKC_Casefold: what sign-in looks up
    username_skeleton text not null unique,    -- UTS 39 skeleton: names that look alike are one name
    display_name text not null,
    bio text not null default '',
    email text,                                -- as the person wrote it
    email_key text unique,                     -- folded: what sign-in looks up; null does not clash
    phone text,                                -- E.164; not unique, because nobody has proven it yet
    password_hash text,                        -- Argon2id string with its own parameters; null: no password sign-in
    is_admin boolean not null default false,
    status text not null default 'active' check (status in ('active', 'disabled', 'deleted')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
-- Every process asks once a second who is an administrator.
create index users_admins on users (id) where is_admin and status = 'active';

create table user_devices (
    id uuid primary key,
    user_id uuid not null references users (id) on delete cascade,
    name text not null,
    platform text not null check (platform in ('ios', 'android', 'web', 'desktop', 'bot', 'other')),
    created_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    removed_at timestamptz                     -- kept after removal: messages name the device that sent them
);
create index user_devices_of_user on user_devices (user_id, id) where removed_at is null;

-- A session is one family of refresh tokens: whatever revokes it ends them all.
create table sessions (
    id uuid primary key,
    user_id uuid not null references users (id) on delete cascade,
    device_id uuid not null references user_devices (id) on delete cascade,
    created_at timestamptz not null default now(),
    last_used_at timestamptz not null default now(),   -- the last refresh
    expires_at timestamptz not null,                   -- moves on with each refresh
    revoked_at timestamptz,
    revoke_reason text,                                -- logout, revoked, replaced, refresh_reuse, password_changed, disabled, device_removed
    remote_address text not null default '',
    user_agent text not null default ''
);
create index sessions_of_user on sessions (user_id, id) where revoked_at is null;
-- One live session per device: a sign-in on a device replaces what it had.
create unique index sessions_live_of_device on sessions (device_id) where revoked_at is null;
-- Every process asks once a second what was revoked lately.
create index sessions_revoked on sessions (revoked_at) where revoked_at is not null;
create index sessions_expiry on sessions (expires_at) where revoked_at is null;

create table refresh_tokens (
    hash bytea primary key,                    -- SHA-256 of the token; the token itself is never stored
    session_id uuid not null references sessions (id) on delete cascade,
    created_at timestamptz not null default now(),
    used_at timestamptz,                       -- null: this is the token that works
    successor_hash bytea                       -- of the token that took its place: tells a late retry from a theft
);
create index refresh_tokens_of_session on refresh_tokens (session_id);
create index refresh_tokens_used on refresh_tokens (used_at) where used_at is not null;
