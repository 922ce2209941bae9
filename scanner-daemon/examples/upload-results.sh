#!/bin/sh
# Hands in what another program has found, with curl: masscan's -oJ ("json") or -oD ("ndjson"), masscan's or nmap's XML ("xml"),
# masscan's -oL ("list"), or lines like 192.0.2.1:443 ("lines"). The same file a second time changes nothing.
#
#   masscan -p1-1024 192.0.2.0/24 -oJ scan.json
#   PORTOLAN_URL=… PORTOLAN_TOKEN_FILE=/etc/portolan/uploader-token upload-results.sh scan.json json old-server
#
# What is handed in opens services and never closes one: it says what was seen, not what was looked for in vain.
set -eu

if [ $# -lt 2 ] || [ $# -gt 3 ]; then sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; fi
file=$1 format=$2 source=${3:-$(hostname)}
: "${PORTOLAN_URL:?the address of the API}" "${PORTOLAN_TOKEN_FILE:?a file with the token of an uploader}"
answer=$(mktemp) headers=$(mktemp)
trap 'rm -f "$answer" "$headers"' EXIT
printf 'authorization: Bearer %s\n' "$(cat "$PORTOLAN_TOKEN_FILE")" > "$headers"

# Repeating is safe, so what does not answer (503 and the like) is asked again, at growing pauses.
status=$(curl -sS --max-time 300 --retry 5 --retry-connrefused -o "$answer" -w '%{http_code}' -H @"$headers" \
  -H 'content-type: application/octet-stream' --data-binary @"$file" "$PORTOLAN_URL/v1/imports?format=$format&source=$source")
# 202: a large one; the region's keeper goes on with it.
tries=0
while [ "$status" = 202 ] && [ "$tries" -lt 300 ]; do
  tries=$((tries + 1))
  sleep 1
  id=$(sed 's/.*"id":"\([0-9a-zA-Z_-]*\)".*/\1/' "$answer")
  status=$(curl -sS --max-time 30 -o "$answer" -w '%{http_code}' -H @"$headers" "$PORTOLAN_URL/v1/imports/$id")
  if [ "$status" = 200 ] && grep -q '"state":"waiting"' "$answer"; then status=202; fi
done
cat "$answer"; echo
[ "$status" = 200 ] || { echo "not taken ($status); keep the file and repeat" >&2; exit 1; }
if grep -q '"state":"failed"' "$answer"; then echo "not all of it was taken; repeat" >&2; exit 1; fi
