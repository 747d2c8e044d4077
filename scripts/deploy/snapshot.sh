# shellcheck shell=bash disable=SC2034,SC2154,SC2015,SC2016,SC2001  # names are shared with who reads this file
# A dump of the database before its schema is touched: var/snapshots/<time>-<deployment>.dump, read back before it counts.

snapshot_folder=$var/snapshots

# snapshot_take NAME: prints nothing but leaves the path in $snapshot.
snapshot_take() {
    local file part
    file=$snapshot_folder/$1.dump
    part=$file.part
    mkdir -p "$snapshot_folder" && chmod 700 "$snapshot_folder"
    (umask 077 && driver_dump >"$part") || { rm -f "$part"; return 1; }
    driver_read_dump <"$part" >/dev/null || { rm -f "$part"; say "the snapshot cannot be read back"; return 1; }
    mv "$part" "$file"
    snapshot=$file
    say "snapshot: $file ($(stat -c %s "$file") bytes)"
    snapshot_clean
}

# The newest SUPD_SNAPSHOTS stay.
snapshot_clean() {
    local file
    find "$snapshot_folder" -name '*.part' -mmin +60 -delete 2>/dev/null || true
    snapshot_files | tail -n "+$((${SUPD_SNAPSHOTS:-7} + 1))" | while read -r file; do
        rm -f "$file"
        say "removed snapshot ${file##*/}"
    done
}

snapshot_files() { find "$snapshot_folder" -name '*.dump' -printf '%f\n' 2>/dev/null | sort -r | sed "s|^|$snapshot_folder/|"; }

snapshot_list() {
    local file
    snapshot_files | while read -r file; do
        printf '%s  %12s bytes  %s\n' "$(date -u -r "$file" +%FT%TZ)" "$(stat -c %s "$file")" "$file"
    done
}
