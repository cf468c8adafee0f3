import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The Java client with no option but the address: one method a behaviour, one JSON line a result. */
public class Client {
  interface Behaviour {
    void run() throws Exception;
  }

  static String address;
  static Admin admin;
  static final String RUN = Long.toString(System.currentTimeMillis(), 36);
  static int names = 0;

  static String fresh(String stem) {
    return stem + "-" + RUN + "-" + names++;
  }

  static Map<String, Object> config(Object... more) {
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", address);
    for (int i = 0; i < more.length; i += 2) config.put((String) more[i], more[i + 1]);
    return config;
  }

  static KafkaProducer<String, String> producer(Object... more) {
    return new KafkaProducer<>(config(more), new StringSerializer(), new StringSerializer());
  }

  static KafkaConsumer<String, String> consumer(String group, Object... more) {
    Map<String, Object> config = config(more);
    config.put("group.id", group);
    config.putIfAbsent("auto.offset.reset", "earliest");
    return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
  }

  static String topic(int partitions) throws Exception {
    String name = fresh("java");
    admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1))).all().get();
    return name;
  }

  static void send(String topic, List<String> values, Object... more) throws Exception {
    try (KafkaProducer<String, String> producer = producer(more)) {
      List<Future<RecordMetadata>> sent = new ArrayList<>();
      for (String value : values) sent.add(producer.send(new ProducerRecord<>(topic, value)));
      for (Future<RecordMetadata> one : sent) one.get(30, TimeUnit.SECONDS);
    }
  }

  static List<ConsumerRecord<String, String>> read(KafkaConsumer<String, String> consumer, int count) {
    List<ConsumerRecord<String, String>> records = new ArrayList<>();
    long giveUp = System.currentTimeMillis() + 30_000;
    while (records.size() < count) {
      check(System.currentTimeMillis() < giveUp, records.size() + " of " + count + " records");
      consumer.poll(Duration.ofMillis(100)).forEach(records::add);
    }
    return records;
  }

  static List<String> values(List<ConsumerRecord<String, String>> records) {
    return records.stream().map(ConsumerRecord::value).toList();
  }

  static List<String> readAll(String topic, int count, Object... more) {
    try (KafkaConsumer<String, String> consumer = consumer(fresh("group"), more)) {
      consumer.subscribe(List.of(topic));
      return values(read(consumer, count));
    }
  }

  static void check(boolean holds, Object what) {
    if (!holds) throw new AssertionError(String.valueOf(what));
  }

  static void same(Object found, Object expected) {
    check(found == null ? expected == null : found.equals(expected), found + " is not " + expected);
  }

  static void refused(Future<?> future, Class<?> why) throws Exception {
    try {
      future.get();
    } catch (ExecutionException error) {
      same(error.getCause().getClass(), why);
      return;
    }
    throw new AssertionError("not refused: " + why);
  }

  static void behave(String says, Behaviour behaviour) {
    String error = null;
    try {
      behaviour.run();
    } catch (Throwable thrown) {
      error = thrown + " " + Arrays.toString(thrown.getStackTrace()).replaceAll(", ", "\n");
    }
    System.out.println("{\"says\":\"" + says + "\",\"error\":" + (error == null ? "null" : quote(error)) + "}");
  }

  static String quote(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') out.append('\\').append(c);
      else if (c == '\n') out.append("\\n");
      else if (c < ' ') out.append(' ');
      else out.append(c);
    }
    return out.append('"').toString();
  }

  public static void main(String[] args) {
    address = args[0];
    admin = Admin.create(config());
    behave("the cluster: its id, one broker, itself the controller", Client::cluster);
    behave("topics are created, listed, described by name and id, and deleted", Client::topics);
    behave("what cannot be created is refused by its own exception", Client::refusals);
    behave("checking only creates nothing", Client::validateOnly);
    behave("partitions are added", Client::partitions);
    behave("settings are described and changed", Client::settings);
    behave("a topic that nobody created is there with the first record", Client::autoCreate);
    for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd"))
      behave("records compressed with " + codec + " are read again", () -> compressed(codec));
    behave("keys, headers and timestamps come back as they were", Client::parts);
    for (String acks : List.of("0", "1", "all")) behave("acks=" + acks + " writes", () -> acks(acks));
    behave("the producer's defaults (idempotent) write everything once and in order", Client::idempotent);
    behave("keyed records go to one partition, the same for all of a key", Client::keyed);
    behave("a record beyond the limit is refused", Client::tooLarge);
    behave("a group goes on where it committed; its lag is what is left", Client::resume);
    behave("commits by hand keep their note", Client::commits);
    for (String assignor : List.of("Range", "RoundRobin", "Sticky", "CooperativeSticky"))
      behave("partitions move when a member comes and goes (" + assignor + ")", () -> rebalance(assignor));
    behave("a static member comes back to its partitions", Client::staticMember);
    behave("positions are found by time", Client::byTime);
    behave("the admin lists offsets: earliest, latest, of the largest time, at a time", Client::listOffsets);
    behave("a consumer seeks, pauses and resumes", Client::seek);
    behave("groups are listed, described, changed and deleted", Client::groups);
    behave("records are deleted up to an offset", Client::deleteRecords);
    behave("sizes on disk are told", Client::logDirs);
    behave("many partitions in one fetch session", Client::manyPartitions);
    behave("a subscription by pattern finds new topics", Client::pattern);
    behave("read_committed reads all that is committed", Client::readCommitted);
    behave("a reader that waits gets a record soon after it is written", Client::latency);
    admin.close();
  }

  static void cluster() throws Exception {
    var cluster = admin.describeCluster();
    same(cluster.clusterId().get().length(), 22);
    same(cluster.nodes().get().stream().map(node -> node.id() + "@" + node.host() + ":" + node.port()).toList(),
        List.of("1@" + address));
    same(cluster.controller().get().id(), 1);
  }

  static void topics() throws Exception {
    String name = topic(3);
    check(admin.listTopics().names().get().contains(name), "not listed");
    TopicDescription described = admin.describeTopics(List.of(name)).allTopicNames().get().get(name);
    same(described.partitions().size(), 3);
    same(described.partitions().get(2).leader().id(), 1);
    same(described.partitions().get(2).isr().size(), 1);
    var byId = admin.describeTopics(org.apache.kafka.common.TopicCollection.ofTopicIds(List.of(described.topicId())));
    same(byId.allTopicIds().get().get(described.topicId()).name(), name);
    admin.deleteTopics(List.of(name)).all().get();
    check(!admin.listTopics().names().get().contains(name), "still listed");
    refused(admin.deleteTopics(List.of(name)).all(), UnknownTopicOrPartitionException.class);
  }

  static void refusals() throws Exception {
    String name = topic(1);
    refused(admin.createTopics(List.of(new NewTopic(name, 1, (short) 1))).all(), TopicExistsException.class);
    refused(admin.createTopics(List.of(new NewTopic(fresh("t"), 1, (short) 3))).all(), InvalidReplicationFactorException.class);
    refused(admin.createTopics(List.of(new NewTopic("not a name", 1, (short) 1))).all(), InvalidTopicException.class);
    var odd = new NewTopic(fresh("t"), 1, (short) 1).configs(Map.of("no.such.setting", "1"));
    refused(admin.createTopics(List.of(odd)).all(), InvalidConfigurationException.class);
  }

  static void validateOnly() throws Exception {
    String name = fresh("java");
    var options = new CreateTopicsOptions().validateOnly(true);
    admin.createTopics(List.of(new NewTopic(name, Optional.empty(), Optional.empty())), options).all().get();
    check(!admin.listTopics().names().get().contains(name), "created");
  }

  static void partitions() throws Exception {
    String name = topic(1);
    admin.createPartitions(Map.of(name, NewPartitions.increaseTo(4))).all().get();
    same(admin.describeTopics(List.of(name)).allTopicNames().get().get(name).partitions().size(), 4);
  }

  static void settings() throws Exception {
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic(1));
    var set = new AlterConfigOp(new ConfigEntry("retention.ms", "90000"), AlterConfigOp.OpType.SET);
    var append = new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.APPEND);
    admin.incrementalAlterConfigs(Map.of(resource, List.of(set, append))).all().get();
    var described = admin.describeConfigs(List.of(resource)).all().get().get(resource);
    same(described.get("retention.ms").value(), "90000");
    same(described.get("retention.ms").source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG);
    same(described.get("cleanup.policy").value(), "delete,compact");
    same(described.get("segment.bytes").source(), ConfigEntry.ConfigSource.DEFAULT_CONFIG);
    var broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
    check(admin.describeConfigs(List.of(broker)).all().get().get(broker).get("message.max.bytes") != null, "broker");
  }

  static void autoCreate() throws Exception {
    String name = fresh("java");
    send(name, List.of("first"));
    same(readAll(name, 1), List.of("first"));
  }

  static void compressed(String codec) throws Exception {
    String name = topic(1);
    List<String> sent = new ArrayList<>();
    for (int i = 0; i < 1000; i++) sent.add("record " + i + " again and again".repeat(10));
    send(name, sent, "compression.type", codec, "linger.ms", 20);
    same(readAll(name, sent.size()), sent);
  }

  static void parts() throws Exception {
    String name = topic(1);
    try (KafkaProducer<String, String> producer = producer()) {
      var record = new ProducerRecord<>(name, null, 1_700_000_000_123L, "schlüssel", "wert ☃");
      record.headers().add("one", "1".getBytes(StandardCharsets.UTF_8)).add("two", null).add("one", new byte[] {0, -1});
      RecordMetadata sent = producer.send(record).get();
      same(sent.offset() + "/" + sent.partition(), "0/0");
      producer.send(new ProducerRecord<>(name, "tombstone", null)).get();
    }
    try (KafkaConsumer<String, String> consumer = consumer(fresh("group"))) {
      consumer.subscribe(List.of(name));
      List<ConsumerRecord<String, String>> found = read(consumer, 2);
      ConsumerRecord<String, String> first = found.get(0);
      same(first.key() + first.value() + first.timestamp(), "schlüsselwert ☃1700000000123");
      same(first.headers().toArray().length, 3);
      same(first.headers().lastHeader("two").value(), null);
      check(Arrays.equals(first.headers().lastHeader("one").value(), new byte[] {0, -1}), "bytes of a header");
      same(found.get(1).value(), null);
    }
  }

  static void acks(String acks) throws Exception {
    String name = topic(1);
    send(name, List.of("a", "b"), "acks", acks, "enable.idempotence", false);
    same(readAll(name, 2), List.of("a", "b"));
  }

  static void idempotent() throws Exception {
    String name = topic(1);
    List<String> sent = new ArrayList<>();
    for (int i = 0; i < 20_000; i++) sent.add(String.valueOf(i));
    send(name, sent, "batch.size", 1000);
    same(readAll(name, sent.size()), sent);
  }

  static void keyed() throws Exception {
    String name = topic(5);
    try (KafkaProducer<String, String> producer = producer()) {
      Map<String, Set<Integer>> seen = new HashMap<>();
      for (int i = 0; i < 200; i++) {
        String key = "key " + i % 20;
        RecordMetadata sent = producer.send(new ProducerRecord<>(name, key, "x")).get();
        seen.computeIfAbsent(key, ignored -> new HashSet<>()).add(sent.partition());
      }
      check(seen.values().stream().allMatch(of -> of.size() == 1), seen);
    }
  }

  static void tooLarge() throws Exception {
    String name = topic(1);
    try (KafkaProducer<String, String> producer = producer("max.request.size", 5_000_000)) {
      refused(producer.send(new ProducerRecord<>(name, "x".repeat(2_000_000))), RecordTooLargeException.class);
      producer.send(new ProducerRecord<>(name, "small")).get();
    }
    same(readAll(name, 1), List.of("small"));
  }

  static void resume() throws Exception {
    String name = topic(1), group = fresh("group");
    TopicPartition partition = new TopicPartition(name, 0);
    send(name, List.of("1", "2"));
    try (KafkaConsumer<String, String> consumer = consumer(group)) {
      consumer.subscribe(List.of(name));
      same(values(read(consumer, 2)), List.of("1", "2"));
    }
    send(name, List.of("3", "4", "5"));
    long committed = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(partition).offset();
    long end = admin.listOffsets(Map.of(partition, OffsetSpec.latest())).all().get().get(partition).offset();
    same(end - committed, 3L);
    try (KafkaConsumer<String, String> consumer = consumer(group)) {
      consumer.subscribe(List.of(name));
      same(values(read(consumer, 3)), List.of("3", "4", "5"));
    }
  }

  static void commits() throws Exception {
    TopicPartition partition = new TopicPartition(topic(1), 0);
    send(partition.topic(), List.of("1", "2"));
    try (KafkaConsumer<String, String> consumer = consumer(fresh("group"), "enable.auto.commit", false)) {
      consumer.assign(List.of(partition));
      consumer.commitSync(Map.of(partition, new OffsetAndMetadata(1, Optional.of(0), "a note")));
      OffsetAndMetadata found = consumer.committed(Set.of(partition)).get(partition);
      same(found.offset() + found.metadata(), "1a note");
      same(values(read(consumer, 1)), List.of("2"));
    }
  }

  static void rebalance(String assignor) throws Exception {
    String name = topic(4), group = fresh("group");
    String strategy = "org.apache.kafka.clients.consumer." + assignor + "Assignor";
    KafkaConsumer<String, String> one = consumer(group, "partition.assignment.strategy", strategy);
    KafkaConsumer<String, String> two = consumer(group, "partition.assignment.strategy", strategy);
    try {
      one.subscribe(List.of(name));
      balanced(List.of(one), List.of(4));
      two.subscribe(List.of(name));
      balanced(List.of(one, two), List.of(2, 2));
      same(admin.describeConsumerGroups(List.of(group)).all().get().get(group).members().size(), 2);
      two.close();
      balanced(List.of(one), List.of(4));
    } finally {
      one.close();
      two.close();
    }
  }

  static void balanced(List<KafkaConsumer<String, String>> members, List<Integer> counts) {
    long giveUp = System.currentTimeMillis() + 40_000;
    while (true) {
      for (var member : members) member.poll(Duration.ofMillis(50));
      List<Integer> found = new ArrayList<>(members.stream().map(member -> member.assignment().size()).toList());
      Collections.sort(found);
      if (found.equals(counts)) return;
      check(System.currentTimeMillis() < giveUp, found);
    }
  }

  static void staticMember() throws Exception {
    String name = topic(2), group = fresh("group");
    for (int i = 0; i < 2; i++)
      try (KafkaConsumer<String, String> consumer = consumer(group, "group.instance.id", "station-1")) {
        consumer.subscribe(List.of(name));
        balanced(List.of(consumer), List.of(2));
      }
    var members = admin.describeConsumerGroups(List.of(group)).all().get().get(group).members();
    same(members.stream().map(member -> member.groupInstanceId().orElse("")).toList(), List.of("station-1"));
  }

  static void byTime() throws Exception {
    TopicPartition partition = new TopicPartition(topic(1), 0);
    try (KafkaProducer<String, String> producer = producer()) {
      for (long i = 0; i < 3; i++)
        producer.send(new ProducerRecord<>(partition.topic(), 0, 1000 * (i + 1), null, "v" + i)).get();
    }
    try (KafkaConsumer<String, String> consumer = consumer(fresh("group"))) {
      OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, 1500L)).get(partition);
      same(found.offset() + "@" + found.timestamp(), "1@2000");
      same(consumer.offsetsForTimes(Map.of(partition, 9999L)).get(partition), null);
      same(consumer.beginningOffsets(Set.of(partition)).get(partition), 0L);
      same(consumer.endOffsets(Set.of(partition)).get(partition), 3L);
    }
  }

  static void listOffsets() throws Exception {
    TopicPartition partition = new TopicPartition(topic(1), 0);
    try (KafkaProducer<String, String> producer = producer()) {
      for (long at : new long[] {1000, 3000, 2000})
        producer.send(new ProducerRecord<>(partition.topic(), 0, at, null, "v")).get();
    }
    List<Long> found = new ArrayList<>();
    for (OffsetSpec spec : List.of(OffsetSpec.earliest(), OffsetSpec.latest(), OffsetSpec.maxTimestamp(),
        OffsetSpec.forTimestamp(1500), OffsetSpec.earliestLocal()))
      found.add(admin.listOffsets(Map.of(partition, spec)).all().get().get(partition).offset());
    same(found, List.of(0L, 3L, 1L, 1L, 0L));
  }

  static void seek() throws Exception {
    TopicPartition partition = new TopicPartition(topic(1), 0);
    send(partition.topic(), List.of("a", "b", "c"));
    try (KafkaConsumer<String, String> consumer = consumer(fresh("group"))) {
      consumer.assign(List.of(partition));
      same(values(read(consumer, 3)), List.of("a", "b", "c"));
      consumer.seek(partition, 1);
      same(values(read(consumer, 2)), List.of("b", "c"));
      consumer.seekToBeginning(List.of(partition));
      same(read(consumer, 3).get(0).offset(), 0L);
      consumer.seekToEnd(List.of(partition));
      same(consumer.position(partition), 3L);
      consumer.pause(List.of(partition));
      send(partition.topic(), List.of("d"));
      same(consumer.poll(Duration.ofMillis(700)).count(), 0);
      consumer.resume(List.of(partition));
      same(values(read(consumer, 1)), List.of("d"));
    }
  }

  static void groups() throws Exception {
    String name = topic(1), group = fresh("group");
    TopicPartition partition = new TopicPartition(name, 0);
    send(name, List.of("a", "b"));
    KafkaConsumer<String, String> consumer = consumer(group);
    consumer.subscribe(List.of(name));
    read(consumer, 2);
    consumer.commitSync();
    check(admin.listConsumerGroups().all().get().stream().anyMatch(one -> one.groupId().equals(group)), "not listed");
    var described = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
    same(described.members().iterator().next().assignment().topicPartitions(), Set.of(partition));
    same(described.coordinator().id(), 1);
    refused(admin.deleteConsumerGroups(List.of(group)).all(), GroupNotEmptyException.class);
    consumer.close();
    admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(1))).all().get();
    same(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(partition).offset(), 1L);
    admin.deleteConsumerGroupOffsets(group, Set.of(partition)).all().get();
    admin.deleteConsumerGroups(List.of(group)).all().get();
    check(admin.listConsumerGroups().all().get().stream().noneMatch(one -> one.groupId().equals(group)), "still listed");
  }

  static void deleteRecords() throws Exception {
    TopicPartition partition = new TopicPartition(topic(1), 0);
    send(partition.topic(), List.of("a", "b", "c"));
    var deleted = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(2))).lowWatermarks();
    same(deleted.get(partition).get().lowWatermark(), 2L);
    same(readAll(partition.topic(), 1), List.of("c"));
  }

  static void logDirs() throws Exception {
    TopicPartition partition = new TopicPartition(topic(1), 0);
    send(partition.topic(), List.of("x".repeat(1000)));
    var dirs = admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1);
    check(dirs.values().iterator().next().replicaInfos().get(partition).size() > 1000, dirs);
  }

  static void manyPartitions() throws Exception {
    List<String> topics = List.of(topic(50), topic(50));
    try (KafkaConsumer<String, String> consumer = consumer(fresh("group"))) {
      consumer.subscribe(topics);
      try (KafkaProducer<String, String> producer = producer()) {
        for (int round = 0; round < 3; round++) {
          for (String topic : topics)
            for (int i = 0; i < 50; i++) producer.send(new ProducerRecord<>(topic, i, null, topic + i + "/" + round));
          producer.flush();
          same(new HashSet<>(values(read(consumer, 100))).size(), 100);
        }
      }
    }
  }

  static void pattern() throws Exception {
    String stem = fresh("pattern");
    send(stem + "-a", List.of("a"));
    try (KafkaConsumer<String, String> consumer = consumer(fresh("group"), "metadata.max.age.ms", 500)) {
      consumer.subscribe(java.util.regex.Pattern.compile(stem + "-.*"));
      same(values(read(consumer, 1)), List.of("a"));
      send(stem + "-b", List.of("b"));
      same(values(read(consumer, 1)), List.of("b"));
    }
  }

  static void readCommitted() throws Exception {
    String name = topic(1);
    send(name, List.of("a", "b"));
    same(readAll(name, 2, "isolation.level", "read_committed"), List.of("a", "b"));
  }

  static void latency() throws Exception {
    TopicPartition partition = new TopicPartition(topic(1), 0);
    try (KafkaConsumer<String, String> consumer = consumer(fresh("group"));
        KafkaProducer<String, String> producer = producer("linger.ms", 0)) {
      consumer.assign(List.of(partition));
      producer.send(new ProducerRecord<>(partition.topic(), "first")).get();
      read(consumer, 1);
      List<Long> times = new ArrayList<>();
      for (int i = 0; i < 30; i++) {
        long start = System.nanoTime();
        producer.send(new ProducerRecord<>(partition.topic(), "x")).get();
        read(consumer, 1);
        times.add((System.nanoTime() - start) / 1_000_000);
      }
      Collections.sort(times);
      check(times.get(15) < 200, times);
    }
  }
}
