/*
 * What Kafka Streams makes of the events in a file: one topology for each row of the table below, on its own test driver,
 * which hands over one record after the other in the order of the file. Prints `case <TAB> key <TAB> value`, sorted: of tables what
 * they hold at the end, of streams every record. Lines of the file: topic, key, number or nothing (a tombstone), time in ms.
 */
import java.nio.file.*;
import java.time.Duration;
import java.util.*;
import java.util.function.*;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.state.*;
import org.apache.kafka.streams.test.TestRecord;

public class Goldens {
  record Event(String topic, String key, Long value, long time) {}

  static final Serde<String> TEXT = Serdes.String();
  static final Serde<Long> NUMBER = Serdes.Long();
  static final Duration GRACE = Duration.ofSeconds(2);
  static final Consumed<String, Long> CONSUMED = Consumed.with(TEXT, NUMBER);
  static List<Event> events;
  static final TreeMap<String, List<String>> results = new TreeMap<>();

  static KStream<String, Long> a(StreamsBuilder b) { return b.stream("a", CONSUMED); }
  static KStream<String, Long> b(StreamsBuilder b) { return b.stream("b", CONSUMED); }
  /** The same without what comes later than the grace period: a join of streams keeps that, or not, by how long its store lives. */
  static KStream<String, Long> c(StreamsBuilder b) { return b.stream("c", CONSUMED); }
  static KStream<String, Long> d(StreamsBuilder b) { return b.stream("d", CONSUMED); }
  static KTable<String, Long> t(StreamsBuilder b) { return b.table("t", CONSUMED, store()); }
  static KTable<String, Long> u(StreamsBuilder b) { return b.table("u", CONSUMED, store()); }
  static KGroupedStream<String, Long> grouped(StreamsBuilder b) {
    return a(b).groupByKey(Grouped.with(TEXT, NUMBER));
  }
  static <S extends org.apache.kafka.streams.processor.StateStore> Materialized<String, Long, S> store() {
    return Materialized.<String, Long, S>with(TEXT, NUMBER);
  }
  static String pair(Long x, Long y) { return x + "," + y; }
  static StreamJoined<String, Long, Long> joined() { return StreamJoined.with(TEXT, NUMBER, NUMBER); }

  /** Every record of a stream. */
  static <V> void stream(String name, Function<StreamsBuilder, KStream<String, V>> make) {
    run(name, b -> make.apply(b).mapValues(v -> String.valueOf(v)).to("out", Produced.with(TEXT, TEXT)), false);
  }
  /** What a table holds at the end. */
  static <V> void table(String name, Function<StreamsBuilder, KTable<String, V>> make) {
    run(name, b -> make.apply(b).toStream().mapValues(v -> v == null ? null : String.valueOf(v)).to("out", Produced.with(TEXT, TEXT)), true);
  }
  /** The same, by key and beginning of the window. */
  static <V> void windows(String name, boolean newest, Function<StreamsBuilder, KTable<Windowed<String>, V>> make) {
    run(name, b -> make.apply(b).toStream((w, v) -> w.key() + "@" + w.window().start() + ".." + w.window().end())
        .mapValues(v -> v == null ? null : String.valueOf(v)).to("out", Produced.with(TEXT, TEXT)), newest);
  }
  static void run(String name, Consumer<StreamsBuilder> make, boolean newest) {
    StreamsBuilder builder = new StreamsBuilder();
    make.accept(builder);
    Properties p = new Properties();
    p.put("application.id", "goldens");
    p.put("bootstrap.servers", "none:1");
    p.put("default.dsl.store", "in_memory");
    p.put("statestore.cache.max.bytes", "0");
    List<String> lines = new ArrayList<>();
    try (TopologyTestDriver driver = new TopologyTestDriver(builder.build(p), p)) {
      Map<String, TestInputTopic<String, Long>> inputs = new HashMap<>();
      for (Event e : events) {
        if (!uses(builder, p, e.topic)) continue;
        inputs.computeIfAbsent(e.topic, topic -> driver.createInputTopic(topic, TEXT.serializer(), NUMBER.serializer()))
            .pipeInput(new TestRecord<>(e.key, e.value, java.time.Instant.ofEpochMilli(e.time)));
      }
      TestOutputTopic<String, String> out = driver.createOutputTopic("out", TEXT.deserializer(), TEXT.deserializer());
      TreeMap<String, String> last = new TreeMap<>();
      for (TestRecord<String, String> r : out.readRecordsToList()) {
        if (!newest) lines.add(name + "\t" + r.key() + "\t" + r.value());
        else if (r.value() == null) last.remove(r.key());
        else last.put(r.key(), r.value());
      }
      last.forEach((k, v) -> lines.add(name + "\t" + k + "\t" + v));
    }
    Collections.sort(lines);
    results.put(name, lines);
  }
  static boolean uses(StreamsBuilder builder, Properties p, String topic) {
    return builder.build(p).describe().toString().contains("[" + topic + "]");
  }

  public static void main(String[] args) throws Exception {
    events = Files.readAllLines(Path.of(args[0])).stream().map(line -> line.split("\t", -1))
        .map(f -> new Event(f[0], f[1], f[2].isEmpty() ? null : Long.valueOf(f[2]), Long.parseLong(f[3]))).toList();

    stream("filter", b -> a(b).filter((k, v) -> v % 2 == 0));
    stream("filterNot", b -> a(b).filterNot((k, v) -> v % 2 == 0));
    stream("map", b -> a(b).map((k, v) -> KeyValue.pair(k + "!", v * 2)));
    stream("mapValues", b -> a(b).mapValues((k, v) -> k + ":" + (v + 1)));
    stream("flatMapValues", b -> a(b).flatMapValues(v -> v < 0 ? List.of() : List.of(v, -v)));
    stream("merge", b -> a(b).merge(b(b)));
    stream("branch", b -> {
      Map<String, KStream<String, Long>> of = a(b).split(Named.as("to-")).branch((k, v) -> v > 5, Branched.as("high"))
          .branch((k, v) -> v > 0, Branched.as("low")).defaultBranch(Branched.as("none"));
      return of.get("to-high").map((k, v) -> KeyValue.pair("high", v)).merge(of.get("to-low").map((k, v) -> KeyValue.pair("low", v)))
          .merge(of.get("to-none").map((k, v) -> KeyValue.pair("none", v)));
    });

    table("table", b -> t(b));
    table("tableFilter", b -> t(b).filter((k, v) -> v > 3));
    table("tableMapValues", b -> t(b).mapValues(v -> v * 10));
    table("tableGroupBy", b -> t(b).groupBy((k, v) -> KeyValue.pair(v % 2 == 0 ? "even" : "odd", v), Grouped.with(TEXT, NUMBER)).count(store()));
    table("tableReduce", b -> t(b).groupBy((k, v) -> KeyValue.pair(v % 2 == 0 ? "even" : "odd", v), Grouped.with(TEXT, NUMBER))
        .reduce(Long::sum, (x, y) -> x - y, store()));

    table("count", b -> grouped(b).count(store()));
    table("reduce", b -> grouped(b).reduce(Math::max, store()));
    table("aggregate", b -> grouped(b).aggregate(() -> 0L, (k, v, sum) -> sum + v, store()));
    table("groupBy", b -> a(b).groupBy((k, v) -> v > 0 ? "positive" : "other", Grouped.with(TEXT, NUMBER)).count(store()));
    table("cogroup", b -> grouped(b).<Long>cogroup((k, v, sum) -> sum + v)
        .cogroup(b(b).groupByKey(Grouped.with(TEXT, NUMBER)), (k, v, sum) -> sum + 100 * v).aggregate(() -> 0L, store()));

    TimeWindows tumbling = TimeWindows.ofSizeAndGrace(Duration.ofSeconds(10), GRACE);
    windows("tumbling", true, b -> grouped(b).windowedBy(tumbling).count(store()));
    windows("hopping", true, b -> grouped(b).windowedBy(tumbling.advanceBy(Duration.ofSeconds(5))).reduce(Long::sum, store()));
    windows("session", true, b -> grouped(b).windowedBy(SessionWindows.ofInactivityGapAndGrace(Duration.ofSeconds(3), GRACE)).count(store()));
    windows("sliding", true, b -> grouped(b).windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(Duration.ofSeconds(4), GRACE)).count(store()));
    windows("suppress", false, b -> grouped(b).windowedBy(tumbling).count(store()).suppress(Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded())));

    JoinWindows within = JoinWindows.ofTimeDifferenceAndGrace(Duration.ofSeconds(2), GRACE);
    stream("joinStreams", b -> c(b).join(d(b), Goldens::pair, within, joined()));
    stream("joinBeforeAfter", b -> c(b).join(d(b), Goldens::pair, within.before(Duration.ofSeconds(0)).after(Duration.ofSeconds(5)), joined()));
    table("joinTables", b -> t(b).join(u(b), Goldens::pair));
    table("leftJoinTables", b -> t(b).leftJoin(u(b), Goldens::pair));
    table("outerJoinTables", b -> t(b).outerJoin(u(b), Goldens::pair));
    table("foreignKeyJoin", b -> t(b).join(u(b), v -> "k" + Math.floorMod(v, 6), Goldens::pair));
    table("foreignKeyLeftJoin", b -> t(b).leftJoin(u(b), v -> "k" + Math.floorMod(v, 6), Goldens::pair));
    stream("joinTable", b -> a(b).join(t(b), Goldens::pair, Joined.with(TEXT, NUMBER, NUMBER)));
    stream("leftJoinTable", b -> a(b).leftJoin(t(b), Goldens::pair, Joined.with(TEXT, NUMBER, NUMBER)));

    StringBuilder out = new StringBuilder();
    results.values().forEach(lines -> lines.forEach(line -> out.append(line).append('\n')));
    System.out.print(out);
    System.out.flush();
    System.exit(0);
  }
}
