#!/usr/bin/env bash
# Makes a machine ready: .env from .env.example, secrets, folders, a development certificate, the first nginx configuration.
#   scripts/setup.sh [--environment development|staging|production] [--server-name NAME]
# Safe to run again: what is there stays, above all each secret. Run it as the user who will run the containers, not as
# root; needs nothing but the shell (openssl is taken from the PostgreSQL image where the machine has none).
set -euo pipefail

# shellcheck source=scripts/deploy/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/deploy/settings.sh"
# shellcheck source=scripts/deploy/nginx.sh
. "$root/scripts/deploy/nginx.sh"
# shellcheck source=scripts/deploy/tls.sh
. "$root/scripts/deploy/tls.sh"

readonly SECRET_BYTES=48 PASSWORD_BYTES=24

environment='' server_name=''
while [ $# -gt 0 ]; do
    case $1 in
        --environment) environment=${2:?}; shift ;;
        --server-name) server_name=${2:?}; shift ;;
        --help | -h) sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit ;;
        *) sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit "$EXIT_USAGE" ;;
    esac
    shift
done
case $environment in
    '' | development | staging | production) ;;
    *) die "$EXIT_USAGE" "unknown environment '$environment'" ;;
esac
[ "$(id -u)" -ne 0 ] ||
    die 77 "not as root: the containers run as whoever runs this. Make a user for it, e.g. useradd --create-home --groups docker supd"

made=()

# --- .env -------------------------------------------------------------------------------------------------------------

if [ ! -e "$env_file" ]; then
    (umask 077 && cp "$root/.env.example" "$env_file")
    chmod 600 "$env_file"
    made+=(.env)
fi
setting_of() { sed -n "s/^$1=//p" "$env_file" | tail -n 1; }
[ -n "$(setting_of SUPD_UID)" ] || write_setting SUPD_UID "$(id -u)"
[ -n "$(setting_of SUPD_GID)" ] || write_setting SUPD_GID "$(id -g)"
[ -z "$environment" ] || write_setting SUPD_ENVIRONMENT "$environment"
[ -z "$server_name" ] || write_setting SERVER_NAME "$server_name"
read_settings
[ "$(setting_of SUPD_UID)" = "$(id -u)" ] ||
    warn "SUPD_UID in .env is $(setting_of SUPD_UID), and you are $(id -u): the containers cannot read what you own"

# What an image that compose itself builds says of its source; a deployment finds it out by itself.
version=$(source_version) commit=$(source_commit)
if [ "$(setting_of SUPD_VERSION) $(setting_of SUPD_COMMIT)" != "$version $commit" ] || [ -z "$(setting_of SUPD_CREATED)" ]; then
    write_setting SUPD_VERSION "$version"
    write_setting SUPD_COMMIT "$commit"
    write_setting SUPD_CREATED "$(date -u +%FT%TZ)"
    made+=("SUPD_VERSION, SUPD_COMMIT and SUPD_CREATED in .env")
fi

# Read by compose for the containers of supd, which get no more of .env than compose.yaml says.
if [ ! -e "$home/supd.env" ]; then
    (umask 077 && cat >"$home/supd.env") <<'E'
# Keys of supd that have no setting in .env, as SUPD__SECTION__KEY=value, one a line, e.g.
#   SUPD__DATABASE__POOL_SIZE=16
# config/supd.example.toml explains each. Then deploy (scripts/deploy.sh), or `docker compose up -d`. No secrets: those are
# files in secrets/. What docker/compose.yaml itself sets (mode, name, addresses, data folder) cannot be changed here.

# Without the # once something is in secrets/jwt_previous_secrets or secrets/replica_urls, one a line.
#SUPD__AUTH__JWT_PREVIOUS_SECRETS_FILE=/run/secrets/jwt_previous_secrets
#DATABASE_REPLICA_URLS_FILE=/run/secrets/replica_urls
E
    made+=(supd.env)
fi

# --- folders ----------------------------------------------------------------------------------------------------------

install -d -m 700 "$secrets" "$var/deploy" "$var/snapshots" "$var/backups" "$var/letsencrypt"
for service in postgres-socket s3 prometheus alertmanager loki grafana mail; do
    install -d -m 700 "$var/data/$service"
done
install -d -m 755 "$var" "$var/nginx" "$var/nginx/run" "$var/tls" "$var/www" "$var/www/assets" "$var/www/.well-known" \
    "$var/www/.well-known/acme-challenge"

# --- secrets: made once, never changed here ---------------------------------------------------------------------------

random_text() { head -c "$1" /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_' | tr -d '='; }

# secret NAME TEXT: 0600, whole or not at all.
secret() {
    local file=$secrets/$1 part
    [ ! -s "$file" ] || return 0
    part=$(mktemp "$secrets/.$1.XXXXXX")
    printf '%s\n' "$2" >"$part"
    chmod 600 "$part"
    mv "$part" "$file"
    made+=("secrets/$1")
}
read_secret() { cat "$secrets/$1"; }

secret jwt_secret "$(random_text $SECRET_BYTES)"
secret postgres_password "$(random_text $PASSWORD_BYTES)"
secret supd_db_password "$(random_text $PASSWORD_BYTES)"
secret database_url "postgresql://supd:$(read_secret supd_db_password)@postgres:5432/supd"
secret redis_password "$(random_text $PASSWORD_BYTES)"
secret redis_url "redis://:$(read_secret redis_password)@redis:6379"
secret redis.conf "bind * -::*
protected-mode yes
save \"\"
appendonly no
dir /data
maxmemory 192mb
maxmemory-policy noeviction
requirepass $(read_secret redis_password)"
secret s3_access_key "supd$(random_text 12 | tr -d '_-')"
secret s3_secret_key "$(random_text $PASSWORD_BYTES)"
# What `supd backup key` would write.
secret backup_key "supd-backup-key-1 $(random_text 32)"
secret livekit_keys "supd: $(random_text $SECRET_BYTES)"
secret turn_secret "$(random_text $SECRET_BYTES)"
secret grafana_password "$(random_text $PASSWORD_BYTES)"
# Lists that are empty until somebody writes into them; supd.env then names them to supd.
optional_secret() { [ -e "$secrets/$1" ] || (umask 077 && : >"$secrets/$1"); }
optional_secret jwt_previous_secrets
optional_secret replica_urls
chmod 600 "$secrets"/*
# The id of the key, which is no secret, is told to supd by its environment.
if [ -z "$(setting_of S3_ACCESS_KEY)" ]; then
    write_setting S3_ACCESS_KEY "$(read_secret s3_access_key)"
    made+=("S3_ACCESS_KEY in .env")
fi

# --- certificate and nginx --------------------------------------------------------------------------------------------

if [ ! -s "$var/tls/certificate.pem" ] || [ ! -s "$var/tls/key.pem" ]; then
    tls_development "${SERVER_NAME:-localhost}" || die 1 "no certificate could be made: is openssl or docker there?"
    made+=("var/tls (a development certificate: scripts/init-letsencrypt.sh gets a real one)")
fi
if [ ! -e "$var/nginx/live/nginx.conf" ]; then
    load_driver
    nginx_render blue setup "$var/nginx/live"
    made+=(var/nginx)
fi

if [ ${#made[@]} -eq 0 ]; then
    say "setup: everything is there; nothing was changed"
else
    say "setup: made"
    printf '  %s\n' "${made[@]}"
fi
say "Look at .env, then: docker compose up -d"
