#!/bin/sh
# Imports a folder of masscan's -oJ files with the command line, oldest first, and moves each away once it is taken. Files that masscan
# left broken (cut off, a comma too many) are read as far as they go.
#
#   import-masscan-json.sh /var/spool/masscan old-server
set -eu

if [ $# -ne 2 ]; then sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; fi
dir=$1 source=$2 portolan=${PORTOLAN:-portolan} failed=0
mkdir -p "$dir/done"
for file in "$dir"/*.json; do
  [ -e "$file" ] || continue
  status=0
  $portolan import "$file" --source "$source" || status=$?
  # 6: taken, but some entries were refused; they are named above.
  case $status in
    0 | 6) mv "$file" "$dir/done/" ;;
    *) echo "$file stays (exit code $status)" >&2; failed=1 ;;
  esac
done
exit $failed
