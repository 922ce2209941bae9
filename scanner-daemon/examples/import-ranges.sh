#!/bin/sh
# Brings a range group to exactly what a file says: one CIDR, first-last or address a line, "#" begins a comment.
# For lists that another system keeps (an IPAM, a cloud account); run it from cron as often as you like.
#
#   PORTOLAN_URL=https://portolan.example PORTOLAN_TOKEN_FILE=/etc/portolan/operator-token \
#     import-ranges.sh office ranges.txt             shows what would change, and changes nothing
#     import-ranges.sh office ranges.txt --write     does it
#
# Ends with 0 when all is as the file says, 1 when a dry run found differences, 2 when it is used wrongly or refused.
set -eu

if [ $# -lt 2 ] || [ $# -gt 3 ]; then sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; fi
group=$1 file=$2 dry_run=true
[ "${3:-}" = --write ] && dry_run=false
: "${PORTOLAN_URL:?the address of the API}" "${PORTOLAN_TOKEN_FILE:?a file with the token of an operator}"
# An empty file would empty the group: more likely something went wrong before us.
grep -q '^[^#]*[0-9a-fA-F]' "$file" || { echo "$file holds no range; nothing was done" >&2; exit 2; }

answer=$(mktemp) headers=$(mktemp)
trap 'rm -f "$answer" "$headers"' EXIT
# The token goes by a file of mode 0600, not by an argument that other users could see.
printf 'authorization: Bearer %s\n' "$(cat "$PORTOLAN_TOKEN_FILE")" > "$headers"
status=$(curl -sS --max-time 60 -o "$answer" -w '%{http_code}' -H @"$headers" -H 'content-type: text/plain' \
  --data-binary @"$file" "$PORTOLAN_URL/v1/range-groups/import?group=$group&mode=replace&dryRun=$dry_run")
cat "$answer"; echo
[ "$status" = 200 ] || { echo "refused ($status); nothing was changed" >&2; exit 2; }
[ "$dry_run" = false ] || grep -q '"added":\[\],"changed":\[\],"removed":\[\]' "$answer"
