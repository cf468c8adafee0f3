#!/usr/bin/env bash
# runner.sh DIR REST_PORT - millrace.Runner: paths of SQL scripts on standard input, DONE or FAIL on standard output.
set -euo pipefail
[ $# -eq 2 ] || { echo "usage: runner.sh DIR REST_PORT" >&2; exit 2; }
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); . "$HERE/jvm.sh"; DIR=$(cd "$1" && pwd)
# shellcheck disable=SC2086
exec java $OPENS -Xmx1g -Dlog4j.configurationFile="file:$DIR/log4j.properties" -cp "$DIR/lib/*" millrace.Runner "$2"
