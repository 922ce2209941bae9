#!/bin/sh
# Makes known-good rules from an inventory: a CSV with the columns name,address,ports,team, as many systems export it.
#
#   name,address,ports,team
#   web-1,192.0.2.10,"80,443",web team
#
# Rules that are there already stay as they are, and none is taken away, so it may be run every night.
#
#   PORTOLAN_URL=… PORTOLAN_TOKEN_FILE=/etc/portolan/operator-token known-good-from-inventory.sh inventory.csv
set -eu

if [ $# -ne 1 ]; then sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; fi
: "${PORTOLAN_URL:?the address of the API}" "${PORTOLAN_TOKEN_FILE:?a file with the token of an operator}"
answer=$(mktemp) headers=$(mktemp) rules=$(mktemp)
trap 'rm -f "$answer" "$headers" "$rules"' EXIT
printf 'authorization: Bearer %s\n' "$(cat "$PORTOLAN_TOKEN_FILE")" > "$headers"

# The columns are only renamed; quoting stays as it came. What is left out gets its default.
[ "$(head -n 1 "$1" | tr -d '\r')" = name,address,ports,team ] || { echo "$1 does not begin with name,address,ports,team" >&2; exit 2; }
{ echo reason,ranges,ports,owner; tail -n +2 "$1"; } > "$rules"
status=$(curl -sS --max-time 60 -o "$answer" -w '%{http_code}' -H @"$headers" -H 'content-type: text/csv' \
  --data-binary @"$rules" "$PORTOLAN_URL/v1/known-good/import")
cat "$answer"; echo
[ "$status" = 200 ] || { echo "refused ($status); nothing was changed" >&2; exit 2; }
