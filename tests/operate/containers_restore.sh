#!/usr/bin/env bash
# The compose stack's data, for real: a backup, everything lost, and the way back as docs/runbooks/restore.md says it; then a
# migration down and up. Needs a container engine; skipped where there is none. Beside it: containers.sh, containers_profiles.sh.
set -euo pipefail

# shellcheck source=tests/operate/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/stack.sh"

stack_begin compose.publish.yaml compose.backup.yaml
set_value BACKUP_OFFSITE none

say "images"
supd_image
for service in postgres redis nginx; do image_at_hand "$service"; done

up() {
    docker compose up -d
    until_healthy postgres redis supd-blue nginx
}
say "up"
up

export CURL_CA_BUNDLE=$home/var/tls/certificate.pem
api=https://127.0.0.1:$https/api/v1
# api METHOD PATH TOKEN [BODY]: the answer; fails unless it is a success.
api() { curl -sS --fail-with-body -X "$1" "$api$2" -H "Authorization: Bearer $3" ${4:+-H 'Content-Type: application/json' -d "$4"}; }
texts() { api GET "/messages/chat/$chat?after_seq=0" "$token" | jq -r '.items[].text'; }
send() { api POST /messages "$token" "{\"id\": \"$(cat /proc/sys/kernel/random/uuid)\", \"chat_id\": \"$chat\", \"type\": \"text\", \"text\": \"$1\"}" >/dev/null; }
sign_in() { api POST /auth/login "" '{"identifier": "ann", "password": "a long sentence of hers"}' | jq -r .access_token; }
sql() { docker compose exec -T postgres psql -q -U postgres "$@" </dev/null; }

say "what must come back"
token=$(api POST /auth/register "" '{"username": "ann", "password": "a long sentence of hers"}' | jq -r .access_token)
ben=$(api POST /auth/register "" '{"username": "ben", "password": "a long sentence of his"}' | jq -r .user.id)
chat=$(api POST /chats "$token" "{\"type\": \"direct\", \"member_ids\": [\"$ben\"]}" | jq -r .id)
send "before the backup"
cursor=$(api GET /sync "$token" | jq -r .cursor)
"$root/scripts/backup.sh"
archive=$(cd "$home/var/backups" && echo backup-*.supd)
[ -s "$home/var/backups/$archive" ] || fail "there is no archive"
send "after the backup"
echo "$archive: $(stat -c %s "$home/var/backups/$archive") bytes"

say "all is lost"
"$root/scripts/deploy.sh" development stop
docker compose down -v
docker compose up -d postgres redis
until_healthy postgres redis
[ -z "$(sql -d supd -Atc "select to_regclass('messages')")" ] || fail "the database is still there"

say "the way back"
listed=$("$root/scripts/restore.sh" --list)
[[ $listed == *"$archive"* ]] || { echo "$listed"; fail "the archive is not listed"; }
refused=$("$root/scripts/restore.sh" --yes "$archive" 2>&1) && fail "restored without the right to make a database"
[[ $refused == *createdb* ]] || { echo "$refused"; fail "what is missing is not said"; }
sql -c 'alter role supd createdb'
cp -p "$home/var/backups/$archive" "$home/var/backups/backup-damaged.supd"
printf 'damaged' | dd of="$home/var/backups/backup-damaged.supd" bs=1 seek=$(($(stat -c %s "$home/var/backups/$archive") / 2)) conv=notrunc status=none
refused=$("$root/scripts/restore.sh" --yes backup-damaged.supd 2>&1) && fail "restored a damaged archive"
[[ $refused == *"is damaged or cut off"* ]] || { echo "$refused"; fail "it is not said that the archive is damaged"; }
rm "$home/var/backups/backup-damaged.supd"
"$root/scripts/restore.sh" --yes "$archive"
sql -c 'alter role supd nocreatedb'
up
token=$(sign_in)
[ "$(texts)" = "before the backup" ] || { texts || true; fail "other messages than those of the backup"; }
status=$(curl -s -o /dev/null -w '%{http_code}' "$api/sync?cursor=$(jq -rn --arg cursor "$cursor" '$cursor | @uri')" -H "Authorization: Bearer $token")
[ "$status" = 410 ] || fail "a cursor of before the restore is answered $status"
send "after the restore"
[ "$(texts)" = $'before the backup\nafter the restore' ] || { texts || true; fail "the chat did not go on"; }

say "the schema, down and up"
state() { "$root/scripts/migrate.sh" development status --json | jq -r '.migrations[-1].state'; }
"$root/scripts/deploy.sh" development stop
[ "$(state)" = applied ] || fail "the newest migration is not applied"
"$root/scripts/migrate.sh" development down
[ "$(state)" = pending ] || fail "nothing was taken back"
"$root/scripts/migrate.sh" development up
[ "$(state)" = applied ] || fail "it was not applied again"
"$root/scripts/deploy.sh" development start
until_healthy supd-blue
token=$(sign_in)
[ "$(texts)" = $'before the backup\nafter the restore' ] || { texts || true; fail "a message went with the schema"; }
"$root/scripts/deploy.sh" development backup --list
echo "containers_restore: everything was lost and came back, a damaged archive was refused, the schema went down and up"
