# shellcheck shell=bash disable=SC2034,SC2154,SC2015,SC2016,SC2001,SC2317  # names are shared with who reads this file
# The supd that scripts/backup.sh and scripts/restore.sh run: that of SUPD, or with --config FILE that of PATH, since such a
# daemon is none of .env's; else, where there is a .env, what is deployed, with this machine's settings; else that of PATH or the
# newest build here.

# choose_supd ARGUMENTS...: those of the script. Afterwards `supd ARGUMENTS...` runs it.
choose_supd() {
    if [ -z "${SUPD:-}" ] && [ -e "$env_file" ] && [[ " $*" != *" --config"* ]]; then
        read_settings
        load_driver
        supd() { driver_command "$@"; }
        return
    fi
    program=${SUPD:-$(command -v supd || say "$root/build/release/src/supd")}
    [ -x "$program" ] || die "$EXIT_UNAVAILABLE" "no supd; set SUPD to its path"
    supd() { "$program" "$@"; }
}
