# shellcheck shell=bash disable=SC2034,SC2154,SC2015,SC2016,SC2001  # names are shared with who reads this file
# Where things are and what the operator has set. .env is read, never executed; the environment goes before it.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# .env, secrets/ and var/ (what the scripts write) are below this folder.
home=${SUPD_HOME:-$root}
home=$(cd "$home" && pwd) || exit 66
export SUPD_HOME=$home
env_file=$home/.env
secrets=$home/secrets
var=$home/var
dry_run=${dry_run:-}

readonly EXIT_USAGE=64 EXIT_UNAVAILABLE=69 EXIT_LOCKED=75 EXIT_SETUP=78

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
    local code=$1
    shift
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit "$code"
}

# planned COMMAND...: runs it, or only says so in a dry run.
planned() {
    if [ -n "$dry_run" ]; then
        say "would run: $*"
    else
        "$@"
    fi
}

need() {
    local tool missing=()
    for tool in "$@"; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    [ ${#missing[@]} -eq 0 ] || die "$EXIT_UNAVAILABLE" "missing tools: ${missing[*]}"
}

read_settings() {
    local line name value
    [ -r "$env_file" ] || die "$EXIT_SETUP" "there is no $env_file: run scripts/setup.sh"
    while IFS= read -r line || [ -n "$line" ]; do
        [[ $line =~ ^([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]] || continue
        name=${BASH_REMATCH[1]}
        value=${BASH_REMATCH[2]}
        value=${value%%[[:space:]]#*}
        value=${value%"${value##*[![:space:]]}"}
        [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]] && value=${BASH_REMATCH[1]}
        [ -n "${!name+set}" ] || export "$name=$value"
    done <"$env_file"
    driver=${SUPD_DRIVER:-compose}
    case $driver in
        compose | process) ;;
        *) die "$EXIT_SETUP" "SUPD_DRIVER is '$driver', not compose or process" ;;
    esac
}

# write_setting NAME VALUE: in .env and in force.
write_setting() {
    local name=$1 value=$2 next
    next=$(mktemp "$home/.env.XXXXXX")
    awk -v name="$name" -v value="$value" '
        index($0, name "=") == 1 { print name "=" value; done = 1; next }
        { print }
        END { if (!done) print name "=" value }' "$env_file" >"$next"
    chmod 600 "$next"
    mv "$next" "$env_file"
    export "$name=$value"
}

whole_number() { [[ $1 =~ ^[0-9]+$ ]]; }
seconds() { [[ $1 =~ ^[0-9]+(\.[0-9]+)?$ ]]; }

# The version of the source, and the commit with a mark when something is not committed.
source_version() { sed -nE 's/^project\(supd VERSION ([0-9.]+).*/\1/p' "$root/CMakeLists.txt"; }
source_commit() {
    local commit
    commit=$(git -C "$root" rev-parse --short=12 HEAD 2>/dev/null) || { say "${SUPD_COMMIT:-unknown}"; return; }
    [ -z "$(git -C "$root" status --porcelain 2>/dev/null)" ] || commit+=-dirty
    say "$commit"
}

load_driver() {
    # shellcheck source=scripts/deploy/process_driver.sh
    . "$root/scripts/deploy/${driver}_driver.sh"
}
