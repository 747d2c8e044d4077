#!/usr/bin/env bash
# The profiles of the compose stack beside its core, for real: they come up healthy with what setup.sh made, and each does what it
# is there for.
#   containers_profiles.sh [s3|calls|monitoring|mail]...      none named: all of them
# Needs a container engine; skipped where there is none. A service without an image, pulled or made, is named at the end.
set -euo pipefail

# shellcheck source=tests/operate/stack.sh
. "$(dirname "${BASH_SOURCE[0]}")/stack.sh"

services_of() {
    case $1 in
        s3) echo versitygw ;;
        calls) echo livekit coturn ;;
        monitoring) echo prometheus alertmanager loki alloy grafana blackbox-exporter postgres-exporter redis-exporter ;;
        mail) echo mailpit ;;
        *) return 1 ;;
    esac
}

profiles=("$@")
[ ${#profiles[@]} -gt 0 ] || profiles=(s3 calls monitoring mail)
wanted=()
for profile in "${profiles[@]}"; do
    services=$(services_of "$profile") || { sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 64; }
    read -ra services <<<"$services"
    wanted+=("${services[@]}")
done

stack_begin compose.publish.yaml compose.backup.yaml compose.exporters.yaml
set_value COMPOSE_PROFILES "core,blue,$(IFS=,; echo "${profiles[*]}")"

say "images"
supd_image
present=() missing=()
for service in postgres redis nginx; do image_at_hand "$service"; done
for service in "${wanted[@]}"; do
    if image_at_hand "$service"; then present+=("$service"); else missing+=("$service"); fi
done
is_present() { [[ " ${present[*]} " == *" $1 "* ]]; }

say "up"
# Named, so that a service without an image is left out; one of the colours comes with its profile.
docker compose up -d postgres redis supd-blue nginx "${present[@]}"
for service in postgres redis supd-blue nginx "${present[@]}"; do
    # Exporters have no check of their own: Prometheus is asked.
    [[ $service == *-exporter ]] || until_healthy "$service"
done

say "what the containers may do"
confined supd-blue "${present[@]}"

# --- s3 -------------------------------------------------------------------------------------------------------------------

supd() { docker compose run --rm -T supd-cli "$@" </dev/null; }

check_s3() {
    local made archive here there
    ! in_container versitygw wget -q -O - http://127.0.0.1:7070/supd-backups >/dev/null 2>&1 || fail "versitygw lists a bucket to anybody"
    made=$(supd backup create)
    archive=$(grep -oE 'backup-[A-Za-z0-9._-]+\.supd' <<<"$made" | head -n 1)
    here=$home/var/backups/$archive there=$home/var/data/s3/objects/supd-backups/backups/$archive
    cmp "$here" "$there" || fail "the copy is another"
    supd backup list --offsite | grep -F "$archive"
    # What is lost here comes back after a restart over there.
    rm "$here"
    docker compose restart versitygw >/dev/null 2>&1
    until_healthy versitygw
    supd backup fetch "$archive"
    cmp "$here" "$there" || fail "what was fetched is another"
    docker compose exec -T postgres psql -q -U postgres -c 'alter role supd createdb' </dev/null
    supd backup verify "$archive"
    ! docker compose run --rm -T -e SUPD__S3__SECRET_KEY_FILE=/run/secrets/jwt_secret supd-cli backup list --offsite </dev/null >/dev/null 2>&1 ||
        fail "versitygw takes a wrong key"
    echo "s3: $archive ($(stat -c %s "$there") bytes) went to versitygw, came back, and is in order"
}

# --- calls ----------------------------------------------------------------------------------------------------------------

# livekit_token KEY SECRET
livekit_token() {
    python3 - "$1" "$2" <<'P'
import base64, hashlib, hmac, json, sys, time
part = lambda value: base64.urlsafe_b64encode(value).rstrip(b"=")
claims = {"iss": sys.argv[1], "exp": int(time.time()) + 60, "video": {"roomCreate": True, "roomList": True}}
signed = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()) + b"." + part(json.dumps(claims).encode())
print((signed + b"." + part(hmac.new(sys.argv[2].encode(), signed, hashlib.sha256).digest())).decode())
P
}
livekit_room() {
    in_container livekit wget -q -O - --header "Authorization: Bearer $1" --header "Content-Type: application/json" --post-data '{"name":"room"}' \
        http://127.0.0.1:7880/twirp/livekit.RoomService/CreateRoom
}
# turn SECRET: an allocation, and a permission for an address that no relay may reach.
turn() { in_container coturn timeout 20 turnutils_uclient -v -n 1 -m 1 -y -u somebody -W "$1" 127.0.0.1 2>&1 || true; }

check_calls() {
    local key secret said
    if is_present livekit; then
        IFS=': ' read -r key secret <"$home/secrets/livekit_keys"
        said=$(livekit_room "$(livekit_token "$key" "$secret")")
        [[ $said == *'"name":"room"'* ]] || fail "LiveKit made no room: $said"
        ! livekit_room "$(livekit_token devkey secret)" >/dev/null 2>&1 || fail "LiveKit takes its default key"
        echo "calls: LiveKit makes a room for the key in secrets/, and none for its default one"
    fi
    if is_present coturn; then
        said=$(turn "$(cat "$home/secrets/turn_secret")")
        [[ $said == *"allocate response received"* && $said == *success* && $said == *"403 (Forbidden IP)"* ]] || fail "Coturn: $said"
        said=$(turn "not-the-secret")
        [[ $said == *"Cannot complete Allocation"* && $said != *success* ]] || fail "Coturn: $said"
        echo "calls: Coturn gives a relay to who knows the secret in secrets/, to nobody else, and none towards loopback"
    fi
}

# --- monitoring -------------------------------------------------------------------------------------------------------------

prometheus() { in_container prometheus wget -q -O - "http://127.0.0.1:9090/api/v1/$1"; }
value_of() { prometheus "query?query=$1" | jq -r '.data.result[0].value[1]'; }
has_value() { [ "$(value_of "$1")" = "$2" ]; }
alerts() { in_container alertmanager wget -q -O - http://127.0.0.1:9093/api/v2/alerts; }
is_told() { alerts | jq -e --arg alert "$1" --arg receiver "$2" 'any(.labels.alertname == $alert and any(.receivers[]; .name == $receiver))'; }

check_monitoring() {
    local job rules
    for job in prometheus supd postgres redis front; do
        until_true 90 "up of $job" has_value "up%7Bjob%3D%22$job%22%7D" 1
    done
    has_value 'count(up%3D%3D0)' null || fail "targets are down: $(prometheus 'query?query=up%3D%3D0')"
    prometheus targets | jq -r '.data.activeTargets[] | "target \(.labels.job) \(.scrapeUrl): \(.health)"'
    until_true 60 "the probe of the front" has_value probe_success 1
    until_true 60 "PostgreSQL's exporter" has_value pg_up 1
    until_true 60 "Redis' exporter" has_value redis_up 1
    rules=$(prometheus rules | jq '[.data.groups[].rules[]] | length')
    [ "$rules" = "$(cat "$root"/docker/monitoring/rules/*.yml | grep -c -- '- alert:')" ] || fail "$rules rules are loaded"
    until_true 60 "every rule was evaluated" rules_are_well
    until_true 90 "the watchdog reaches Alertmanager" is_told SupdWatchdog dead-mans-switch
    echo "monitoring: supd $(prometheus 'query?query=supd_build_info' | jq -c '.data.result[0].metric | {version, commit}') is scraped, $rules rules are evaluated without an error"
    docker compose stop supd-blue >/dev/null 2>&1
    until_true 240 "an alert that no supd answers" is_told SupdAbsent page
    docker compose start supd-blue >/dev/null 2>&1
    echo "monitoring: without supd Alertmanager is told SupdAbsent, for the receiver page"
    until_healthy supd-blue
}
rules_are_well() { prometheus rules | jq -e '[.data.groups[].rules[].health] | all(. == "ok")'; }

# --- mail -------------------------------------------------------------------------------------------------------------------

check_mail() {
    # By hand, from where supd is.
    # shellcheck disable=SC2016  # it is the other shell's
    in_container supd-blue bash -ec 'exec 3<>/dev/tcp/mailpit/1025
        for line in "HELO supd" "MAIL FROM:<supd@example.org>" "RCPT TO:<ann@example.org>" DATA "To: ann@example.org" "Subject: a letter" "" "to Ann" . QUIT; do
            printf "%s\r\n" "$line" >&3
        done
        grep -q "^221" <&3'
    in_container mailpit wget -q -O - http://127.0.0.1:8025/api/v1/messages | jq -e -r '.messages[] | select(.Subject == "a letter") | "mail: \(.Subject) to \(.To[0].Address)"'
}

for profile in "${profiles[@]}"; do
    say "$profile"
    "check_$profile"
done

docker compose ps
[ ${#missing[@]} -eq 0 ] || echo "$script: not tried, there is no image: ${missing[*]}"
echo "$script: came up healthy and did their work: ${present[*]}"
