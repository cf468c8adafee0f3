#!/usr/bin/env bash
# stop.sh DATA_DIR - stop what start.sh started there (SIGTERM, then SIGKILL after 20 s). Idempotent.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: stop.sh DATA_DIR" >&2; exit 2; }
[ -d "$1" ] || exit 0
DATA=$(cd "$1" && pwd); pids=()
for name in taskmanager jobmanager; do
  file=$DATA/$name.pid
  [ -s "$file" ] || continue
  pid=$(cat "$file")
  if ps -p "$pid" -o args= 2>/dev/null | grep -qF -- "--configDir $DATA"; then kill "$pid"; pids+=("$pid"); fi
  rm -f "$file"
done
end=$((SECONDS + 20))
for pid in ${pids[@]+"${pids[@]}"}; do
  while kill -0 "$pid" 2>/dev/null; do
    [ $SECONDS -lt $end ] || { kill -9 "$pid" 2>/dev/null || true; break; }
    sleep 0.1
  done
done
