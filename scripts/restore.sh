#!/usr/bin/env bash
# Restores a backup after showing what would happen and asking; what `supd restore` does, for people.
#   scripts/restore.sh --list
#   scripts/restore.sh [--yes] ARCHIVE [options of supd, e.g. --config FILE --end-sessions]
# Stop every supd that serves the database first. SUPD names the program; else that of PATH, else the newest build here.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
supd=${SUPD:-$(command -v supd || echo "$root/build/release/src/supd")}
[ -x "$supd" ] || { echo "restore.sh: no supd; set SUPD to its path" >&2; exit 69; }

sure=
case ${1:-} in
    "" | -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
    --list) shift; exec "$supd" restore --list "$@" ;;
    --yes) sure=1; shift ;;
esac
[ $# -gt 0 ] || { echo "restore.sh: name the archive" >&2; exit 64; }

"$supd" restore --dry-run "$@"
if [ -z "$sure" ]; then
    [ -t 0 ] || { echo "restore.sh: nobody to ask; say --yes" >&2; exit 64; }
    read -r -p "Restore it now? Type yes: " answer
    [ "$answer" = yes ] || { echo "nothing was changed"; exit 1; }
fi
exec "$supd" restore "$@"
