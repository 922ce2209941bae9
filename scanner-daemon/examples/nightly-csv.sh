#!/bin/sh
# Writes the open services, known-good ones left out, to DIR/services-DATE.csv, keeps the newest 30, and mails nobody: cron does
# that with what is printed, which is only what is new since the file before.
#
#   17 4 * * *  PORTOLAN_URL=… PORTOLAN_TOKEN_FILE=/etc/portolan/viewer-token /opt/portolan/scanner-daemon/examples/nightly-csv.sh /var/lib/exports
set -eu

if [ $# -ne 1 ]; then sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; fi
dir=$1
: "${PORTOLAN_URL:?the address of the API}" "${PORTOLAN_TOKEN_FILE:?a file with the token of a viewer}"
headers=$(mktemp)
new=$dir/.services.csv.$$
trap 'rm -f "$headers" "$new"' EXIT
printf 'authorization: Bearer %s\n' "$(cat "$PORTOLAN_TOKEN_FILE")" > "$headers"

before=$(ls "$dir"/services-*.csv 2>/dev/null | tail -n 1)
# --fail: a problem must not become a file; the whole file appears at once or not at all.
curl -sS --fail --max-time 600 -H @"$headers" -o "$new" "$PORTOLAN_URL/v1/services.csv"
after=$dir/services-$(date -u +%Y-%m-%dT%H%M%SZ).csv
mv "$new" "$after"
if [ -n "$before" ]; then
  # Address, protocol and port are the first three columns in whatever order they stand: compare those alone.
  for file in "$before" "$after"; do tail -n +2 "$file" | cut -d, -f1-3 | sort > "$file.keys"; done
  comm -13 "$before.keys" "$after.keys" | sed 's/^/new: /'
  rm -f "$before.keys" "$after.keys"
fi
ls "$dir"/services-*.csv | head -n -30 | while read -r old; do rm -f "$old"; done
