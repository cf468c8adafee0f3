#!/usr/bin/env bash
# start.sh DIR REST_PORT RPC_PORT DATA_DIR ["key: value" ...] - a Flink cluster on 127.0.0.1: one JobManager and one
# TaskManager with one slot. DIR: what install.sh made. Waits until the TaskManager has registered, prints its pid.
# The further words are lines of config.yaml.
# Environment: HEAP (6g, of the TaskManager), PIN (a core that the TaskManager stays on), READY_SECONDS (90)
set -euo pipefail
[ $# -ge 4 ] || { echo "usage: start.sh DIR REST_PORT RPC_PORT DATA_DIR ['key: value' ...]" >&2; exit 2; }
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); . "$HERE/jvm.sh"
DIR=$(cd "$1" && pwd); REST=$2; RPC=$3; mkdir -p "$4/tmp"; DATA=$(cd "$4" && pwd); shift 4
HEAP=${HEAP:-6g}
cat > "$DATA/config.yaml" <<YAML
jobmanager.rpc.address: 127.0.0.1
jobmanager.rpc.port: $RPC
jobmanager.bind-host: 127.0.0.1
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: $REST
taskmanager.bind-host: 127.0.0.1
taskmanager.host: 127.0.0.1
taskmanager.numberOfTaskSlots: 1
taskmanager.cpu.cores: 1.0
taskmanager.memory.task.heap.size: $HEAP
taskmanager.memory.task.off-heap.size: 128m
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 128m
taskmanager.memory.network.min: 256m
taskmanager.memory.network.max: 256m
taskmanager.memory.managed.size: 256m
taskmanager.memory.jvm-metaspace.size: 512m
taskmanager.memory.jvm-overhead.min: 512m
taskmanager.memory.jvm-overhead.max: 512m
io.tmp.dirs: $DATA/tmp
YAML
for line in "$@"; do echo "$line" >> "$DATA/config.yaml"; done
jvm() { # NAME CLASS switches...
  local name=$1 class=$2; shift 2
  # shellcheck disable=SC2086
  nohup ${ON:-} java $OPENS -XX:+UseG1GC "$@" -Dlog4j.configurationFile="file:$DIR/log4j.properties" -cp "$DIR/lib/*" "$class" \
    --configDir "$DATA" </dev/null >"$DATA/$name.log" 2>&1 &
  echo $! > "$DATA/$name.pid"
}
jvm jobmanager org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint -Xmx1g
ON=${PIN:+taskset -c $PIN}
jvm taskmanager org.apache.flink.runtime.taskexecutor.TaskManagerRunner -Xms"$HEAP" -Xmx"$HEAP" -XX:MaxDirectMemorySize=640m \
  -XX:MaxMetaspaceSize=512m
overview() { python3 -c "import urllib.request as u; print(u.urlopen('http://127.0.0.1:$REST/overview', timeout=5).read().decode())" 2>/dev/null; }
end=$((SECONDS + ${READY_SECONDS:-90}))
until overview | grep -q '"slots-total":1'; do
  for name in jobmanager taskmanager; do
    kill -0 "$(cat "$DATA/$name.pid")" 2>/dev/null || { echo "the $name ended early" >&2; tail -5 "$DATA/$name.log" >&2; exit 1; }
  done
  [ $SECONDS -lt $end ] || { echo "flink not ready in time; see $DATA" >&2; exit 1; }
  sleep 0.2
done
cat "$DATA/taskmanager.pid"
