#!/bin/sh
# A scanner that cron starts, for instance every ten minutes:
#
#   */10 * * * *  root  /opt/portolan/scanner-daemon/examples/cron-scanner.sh /etc/portolan/berlin-1.json
#
# It claims what waits for this scanner, scans, reports and ends. One run at a time: the next one leaves at once
# while this one is at work. Scan only networks that you own or may scan.
set -eu

config=${1:?"usage: cron-scanner.sh CONFIG.json [IDLE_SECONDS]"}
idle=${2:-15}
portolan=${PORTOLAN:-$(dirname "$0")/../../src/cli/portolan.mjs}

exec 9>"${TMPDIR:-/tmp}/portolan-cron-$(id -u)-$(basename "$config").lock"
flock -n 9 || exit 0

status=0
"$portolan" scanner run --once --config "$config" --idle "$idle" || status=$?
case $status in
  0) ;;
  6) echo "portolan: some shards were only partly scanned; the next run goes on" >&2 ;;
  5) echo "portolan: the region does not answer; the next run sends what was found" >&2 ;;
  *) echo "portolan: the scanner ended with $status" >&2 ;;
esac
exit "$status"
