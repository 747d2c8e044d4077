#!/bin/sh
# Run once by the image of PostgreSQL, in an empty data directory: supd's own role, which is no superuser, and its database.
set -eu
password=$(cat /run/secrets/supd_db_password)
psql -v ON_ERROR_STOP=1 -v password="$password" --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
create role supd login nosuperuser nocreatedb nocreaterole password :'password';
create database supd owner supd encoding 'UTF8' template template0;
revoke all on database supd from public;
SQL
