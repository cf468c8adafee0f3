# Sourced: what Flink's own start scripts give a JVM of version 17 or later.
OPENS=
for name in java.rmi/sun.rmi.registry java.base/sun.net.util java.security.jgss/sun.security.krb5 \
  jdk.compiler/com.sun.tools.javac.{api,file,parser,tree,util}; do OPENS="$OPENS --add-exports=$name=ALL-UNNAMED"; done
for name in lang net io nio lang.reflect text time util util.concurrent util.concurrent.atomic util.concurrent.locks; do
  OPENS="$OPENS --add-opens=java.base/java.$name=ALL-UNNAMED"
done
OPENS="$OPENS --add-opens=java.base/sun.nio.ch=ALL-UNNAMED"
