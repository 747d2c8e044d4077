#!/bin/sh
# Run once by the image of PostgreSQL, in an empty data directory: supd's own role, which is no superuser, and its database.
# pg_monitor: `supd doctor` and the exporter look at the whole server, also at what other roles do.
set -eu
password=$(cat /run/secrets/supd_db_password)
psql -v ON_ERROR_STOP=1 -v password="$password" --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
create role supd login nosuperuser nocreatedb nocreaterole password :'password';
grant pg_monitor to supd;
create database supd owner supd encoding 'UTF8' template template0;
revoke all on database supd from public;
SQL
