#!/usr/bin/env bash
# install.sh DIR [VERSION] - put a runnable Apache Flink in DIR: the jars of PyPI's apache-flink-libraries and, compiled
# from ../java, the source and lookup table of the benchmark.
# Needs: JDK >= 17 and python3 with venv on PATH.  Result: DIR/lib/*.jar, DIR/VERSION, DIR/log4j.properties
# Environment: VENV (a virtual environment of Python to install into, made here otherwise; it is removed afterwards)
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: install.sh DIR [VERSION]" >&2; exit 2; }
mkdir -p "$1"; DIR=$(cd "$1" && pwd); HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); VERSION=${2:-2.3.0}
for tool in java javac jar python3; do
  command -v "$tool" >/dev/null || { echo "$tool not found" >&2; exit 1; }
done
TEMP=$(mktemp -d); trap 'rm -rf "$TEMP"' EXIT
if [ ! -f "$DIR/lib/flink-dist-$VERSION.jar" ]; then
  VENV=${VENV:-$TEMP/venv}; [ -d "$VENV" ] || python3 -m venv "$VENV"
  # The package is a source archive whose setup needs no more than this.
  PIP=("$VENV/bin/python" -m pip install -q --disable-pip-version-check)
  "${PIP[@]}" 'setuptools<75' wheel
  "${PIP[@]}" --no-deps --no-build-isolation "apache-flink-libraries==$VERSION"
  FOUND=$(echo "$VENV"/lib/python3*/site-packages/pyflink)
  rm -rf "$DIR/lib"; mv "$FOUND/lib" "$DIR/lib"; rm -rf "$VENV"
fi
mkdir "$TEMP/classes"
javac -nowarn -d "$TEMP/classes" -cp "$DIR/lib/*" "$HERE"/../java/millrace/*.java
cp -r "$HERE/../java/META-INF" "$TEMP/classes/"
jar cf "$DIR/lib/millrace-bench.jar" -C "$TEMP/classes" .
cat > "$DIR/log4j.properties" <<'PROPERTIES'
rootLogger.level=WARN
rootLogger.appenderRef.console.ref=Console
appender.console.name=Console
appender.console.type=Console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %m (%c)%n
PROPERTIES
echo "$VERSION" > "$DIR/VERSION"
echo "flink $VERSION in $DIR: $(ls "$DIR/lib" | wc -l) jars, $(du -sm "$DIR/lib" | cut -f1) MB"
