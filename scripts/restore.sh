#!/usr/bin/env bash
# Restores a backup after showing what would happen and asking; what `supd restore` does, for people.
#   scripts/restore.sh --list
#   scripts/restore.sh [--yes] ARCHIVE [options of supd, e.g. --config FILE --end-sessions]
#   scripts/restore.sh --recovered     the database came back by other means: makes it fit for clients
# Stop every supd that serves the database first. Which program runs: as scripts/backup.sh says.
# shellcheck disable=SC2034,SC2317  # names are shared with scripts/deploy/*.sh, functions are called by name
set -uo pipefail

# shellcheck source=scripts/deploy/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/deploy/settings.sh"
# shellcheck source=scripts/deploy/all.sh
. "$root/scripts/deploy/all.sh"
# shellcheck source=scripts/deploy/program.sh
. "$root/scripts/deploy/program.sh"

sure=
case ${1:-} in
    "" | -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit "$EXIT_USAGE" ;;
    --list | --recovered) choose_supd "$@"; supd restore "$@"; exit ;;
    --yes) sure=1; shift ;;
esac
[ $# -gt 0 ] || die "$EXIT_USAGE" "name the archive"
choose_supd "$@"

supd restore --dry-run "$@" || exit
if [ -z "$sure" ]; then
    [ -t 0 ] || die "$EXIT_USAGE" "nobody to ask; say --yes"
    read -r -p "Restore it now? Type yes: " answer
    [ "$answer" = yes ] || { say "nothing was changed"; exit 1; }
fi
supd restore "$@"
