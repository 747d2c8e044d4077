# shellcheck shell=bash disable=SC2034,SC2154,SC2015,SC2016,SC2001  # names are shared with who reads this file
# Everything but the settings, for the scripts that need it all.
# shellcheck source=scripts/deploy/log.sh
. "$root/scripts/deploy/log.sh"
# shellcheck source=scripts/deploy/lock.sh
. "$root/scripts/deploy/lock.sh"
# shellcheck source=scripts/deploy/state.sh
. "$root/scripts/deploy/state.sh"
# shellcheck source=scripts/deploy/nginx.sh
. "$root/scripts/deploy/nginx.sh"
# shellcheck source=scripts/deploy/health.sh
. "$root/scripts/deploy/health.sh"
# shellcheck source=scripts/deploy/snapshot.sh
. "$root/scripts/deploy/snapshot.sh"
# shellcheck source=scripts/deploy/phases.sh
. "$root/scripts/deploy/phases.sh"
