import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.ShareGroupDescription;
import org.apache.kafka.clients.admin.SharePartitionOffsetInfo;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.InvalidRecordStateException;
import org.apache.kafka.common.serialization.StringDeserializer;

/** The Java client in share groups (KIP-932). */
public class Share extends Client {
  /** Whether the broker has settings that Kafka does not have. */
  static boolean isMillrace;

  public static void main(String[] args) {
    address = args[0];
    isMillrace = args.length > 1 && args[1].equals("millrace");
    admin = Admin.create(config());
    behave("implicitly acknowledged: the next poll accepts what the last one gave", Share::implicit);
    behave("ten consumers of two partitions get every record once", Share::many);
    behave("explicitly acknowledged: accepted, released, rejected", Share::explicit);
    behave("what commits give back, and the callback", Share::committed);
    behave("a lock that ends gives the record to another, and the late acknowledgement is refused", Share::lockEnds);
    behave("a lock that is renewed holds", Share::renewed);
    behave("a record is given up after its last delivery", Share::givenUp);
    behave("a consumer that closes gives back what it holds", Share::closes);
    behave("share.acquire.mode=record_limit gives exactly so many", Share::recordLimit);
    behave("records of every compression and of many batches", Share::compressed);
    behave("a subscription that changes, and topics that grow", Share::resubscribe);
    behave("a group begins at the end, at the start, or at the records of a time", Share::reset);
    behave("read_committed: what was aborted is not given out", Share::committedOnly);
    behave("the group is listed and described", Share::described);
    behave("where it is: listed, changed, deleted", Share::offsets);
    if (isMillrace) {
      behave("dead letters have the record and the reason", Share::deadLetters);
      behave("in the order of keys", Share::byKey);
    }
    admin.close();
  }

  static KafkaShareConsumer<String, String> shared(String group, Object... more) {
    Map<String, Object> config = config(more);
    config.put("group.id", group);
    return new KafkaShareConsumer<>(config, new StringDeserializer(), new StringDeserializer());
  }

  static KafkaShareConsumer<String, String> explicit(String group, Object... more) {
    Object[] all = Arrays.copyOf(more, more.length + 2);
    all[more.length] = "share.acknowledgement.mode";
    all[more.length + 1] = "explicit";
    return shared(group, all);
  }

  static String group(String... settings) throws Exception {
    String group = fresh("share");
    set(group, "share.auto.offset.reset", "earliest");
    for (int i = 0; i < settings.length; i += 2) set(group, settings[i], settings[i + 1]);
    return group;
  }

  static void set(String group, String name, String value) throws Exception {
    ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, group);
    var op = new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET);
    admin.incrementalAlterConfigs(Map.of(resource, List.of(op))).all().get();
  }

  static List<String> numbers(int from, int to) {
    return IntStream.range(from, to).mapToObj(Integer::toString).toList();
  }

  /** Polls until so many have come; in explicit mode all of a poll must be acknowledged before the next. */
  static List<ConsumerRecord<String, String>> take(
      KafkaShareConsumer<String, String> consumer, int count, AcknowledgeType type) {
    List<ConsumerRecord<String, String>> records = new ArrayList<>();
    long giveUp = System.currentTimeMillis() + 30_000;
    while (records.size() < count) {
      check(System.currentTimeMillis() < giveUp, records.size() + " of " + count + " records");
      for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
        records.add(record);
        if (type != null) consumer.acknowledge(record, type);
      }
    }
    return records;
  }

  static int none(KafkaShareConsumer<String, String> consumer, long ms) {
    int count = 0;
    long until = System.currentTimeMillis() + ms;
    while (System.currentTimeMillis() < until) count += consumer.poll(Duration.ofMillis(100)).count();
    return count;
  }

  static void implicit() throws Exception {
    String topic = topic(1);
    String group = group();
    send(topic, numbers(0, 10));
    try (var consumer = shared(group)) {
      consumer.subscribe(List.of(topic));
      var records = take(consumer, 10, null);
      same(values(records), numbers(0, 10));
      same(records.get(0).deliveryCount().get(), (short) 1);
      send(topic, numbers(10, 20));
      same(values(take(consumer, 10, null)), numbers(10, 20));
      same(none(consumer, 500), 0);
    }
    try (var consumer = shared(group)) {
      consumer.subscribe(List.of(topic));
      same(none(consumer, 2_000), 0);
    }
  }

  static long withPartitions(String group) throws Exception {
    try {
      var members = admin.describeShareGroups(List.of(group)).all().get().get(group).members();
      return members.stream().filter(member -> !member.assignment().topicPartitions().isEmpty()).count();
    } catch (ExecutionException error) {
      same(error.getCause().getClass(), GroupIdNotFoundException.class);
      return 0;
    }
  }

  static void many() throws Exception {
    String topic = topic(2);
    String group = group();
    int count = 5_000;
    Map<String, Integer> seen = new ConcurrentHashMap<>();
    AtomicInteger busy = new AtomicInteger();
    List<Thread> threads = new ArrayList<>();
    long giveUp = System.currentTimeMillis() + 60_000;
    for (int i = 0; i < 10; i++) {
      Thread thread = new Thread(() -> {
        int mine = 0;
        try (var consumer = shared(group, "max.poll.records", 50)) {
          consumer.subscribe(List.of(topic));
          while (seen.size() < count && System.currentTimeMillis() < giveUp)
            for (var record : consumer.poll(Duration.ofMillis(100))) {
              mine++;
              seen.merge(record.value(), 1, Integer::sum);
            }
          consumer.commitSync();
        }
        if (mine > 0) busy.incrementAndGet();
      });
      thread.start();
      threads.add(thread);
    }
    // The first of them could take everything before the others are there, and any of them a batch that has everything.
    while (withPartitions(group) < 10) {
      check(System.currentTimeMillis() < giveUp, withPartitions(group) + " of 10 consumers have partitions");
      Thread.sleep(50);
    }
    for (int i = 0; i < count; i += 50) send(topic, numbers(i, i + 50));
    for (Thread thread : threads) thread.join();
    same(seen.size(), count);
    check(seen.values().stream().allMatch(times -> times == 1), "given out twice while nobody failed");
    check(busy.get() > 2, busy.get() + " consumers had something to do");
  }

  static void explicit() throws Exception {
    String topic = topic(1);
    String group = group();
    send(topic, List.of("accept", "release", "reject"));
    try (var consumer = explicit(group)) {
      consumer.subscribe(List.of(topic));
      for (var record : take(consumer, 3, null))
        consumer.acknowledge(record, AcknowledgeType.valueOf(record.value().toUpperCase()));
      same(commit(consumer), "none");
      var again = take(consumer, 1, AcknowledgeType.ACCEPT);
      same(values(again), List.of("release"));
      same(again.get(0).deliveryCount().get(), (short) 2);
      same(commit(consumer), "none");
      same(none(consumer, 500), 0);
    }
  }

  /** What went wrong. */
  static String commit(KafkaShareConsumer<String, String> consumer) {
    Set<String> errors = new TreeSet<>();
    consumer.commitSync().values().forEach(error -> error.ifPresent(one -> errors.add(one.getClass().getSimpleName())));
    return errors.isEmpty() ? "none" : String.join(", ", errors);
  }

  static void committed() throws Exception {
    String topic = topic(1);
    send(topic, numbers(0, 3));
    try (var consumer = explicit(group())) {
      Set<Long> called = new TreeSet<>();
      List<Exception> failed = new ArrayList<>();
      consumer.setAcknowledgementCommitCallback((offsets, error) -> {
        if (error != null) failed.add(error);
        offsets.values().forEach(called::addAll);
      });
      consumer.subscribe(List.of(topic));
      take(consumer, 3, AcknowledgeType.ACCEPT);
      consumer.commitAsync();
      long giveUp = System.currentTimeMillis() + 20_000;
      while (called.size() < 3 && System.currentTimeMillis() < giveUp) consumer.poll(Duration.ofMillis(50));
      same(called, new TreeSet<>(List.of(0L, 1L, 2L)));
      same(failed.size(), 0);
      check(consumer.acquisitionLockTimeoutMs().get() == 30_000, consumer.acquisitionLockTimeoutMs());
    }
  }

  static void lockEnds() throws Exception {
    String topic = topic(1);
    String group = group("share.record.lock.duration.ms", "1000");
    send(topic, List.of("slow"));
    try (var slow = explicit(group); var other = explicit(group)) {
      slow.subscribe(List.of(topic));
      other.subscribe(List.of(topic));
      var record = take(slow, 1, null).get(0);
      var again = take(other, 1, null).get(0);
      same(again.deliveryCount().get(), (short) 2);
      slow.acknowledge(record, AcknowledgeType.ACCEPT);
      same(commit(slow), "InvalidRecordStateException");
      other.acknowledge(again, AcknowledgeType.ACCEPT);
      same(commit(other), "none");
    }
  }

  static void renewed() throws Exception {
    String topic = topic(1);
    String group = group("share.record.lock.duration.ms", "1500");
    send(topic, List.of("long"));
    try (var consumer = explicit(group); var other = explicit(group)) {
      consumer.subscribe(List.of(topic));
      other.subscribe(List.of(topic));
      var record = take(consumer, 1, null).get(0);
      for (int i = 0; i < 4; i++) {
        same(none(other, 700), 0);
        consumer.acknowledge(record, AcknowledgeType.RENEW);
        same(commit(consumer), "none");
        for (var held : consumer.poll(Duration.ofMillis(10))) record = held;
      }
      consumer.acknowledge(record, AcknowledgeType.ACCEPT);
      same(commit(consumer), "none");
      same(none(other, 2_000), 0);
    }
  }

  static void givenUp() throws Exception {
    String topic = topic(1);
    String group = group("share.delivery.count.limit", "3");
    send(topic, List.of("poison", "good"));
    try (var consumer = explicit(group)) {
      consumer.subscribe(List.of(topic));
      Map<String, Integer> seen = new TreeMap<>();
      long giveUp = System.currentTimeMillis() + 30_000;
      while (seen.values().stream().mapToInt(Integer::intValue).sum() < 4 && System.currentTimeMillis() < giveUp) {
        for (var record : consumer.poll(Duration.ofMillis(100))) {
          seen.merge(record.value(), 1, Integer::sum);
          boolean isGood = record.value().equals("good");
          consumer.acknowledge(record, isGood ? AcknowledgeType.ACCEPT : AcknowledgeType.RELEASE);
        }
        consumer.commitSync();
      }
      same(seen, new TreeMap<>(Map.of("poison", 3, "good", 1)));
      same(none(consumer, 1_500), 0);
    }
  }

  static void closes() throws Exception {
    String topic = topic(1);
    String group = group();
    send(topic, numbers(0, 5));
    try (var first = explicit(group)) {
      first.subscribe(List.of(topic));
      take(first, 5, null);
    }
    try (var second = explicit(group)) {
      second.subscribe(List.of(topic));
      long start = System.currentTimeMillis();
      same(values(take(second, 5, AcknowledgeType.ACCEPT)), numbers(0, 5));
      check(System.currentTimeMillis() - start < 10_000, "long before the locks ended");
    }
  }

  static void recordLimit() throws Exception {
    String topic = topic(1);
    send(topic, numbers(0, 100), "linger.ms", 50);
    try (var consumer = explicit(group(), "share.acquire.mode", "record_limit", "max.poll.records", 7)) {
      consumer.subscribe(List.of(topic));
      List<Integer> sizes = new ArrayList<>();
      int count = 0;
      long giveUp = System.currentTimeMillis() + 30_000;
      while (count < 100 && System.currentTimeMillis() < giveUp) {
        var records = consumer.poll(Duration.ofMillis(200));
        records.forEach(record -> consumer.acknowledge(record, AcknowledgeType.ACCEPT));
        if (records.count() > 0) sizes.add(records.count());
        count += records.count();
      }
      same(count, 100);
      check(sizes.stream().allMatch(size -> size <= 7), sizes);
    }
  }

  static void compressed() throws Exception {
    String topic = topic(3);
    List<String> all = new ArrayList<>();
    for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
      List<String> some = numbers(0, 400).stream().map(n -> codec + n).toList();
      send(topic, some, "compression.type", codec, "batch.size", 1_000);
      all.addAll(some);
    }
    try (var consumer = shared(group())) {
      consumer.subscribe(List.of(topic));
      same(new TreeSet<>(values(take(consumer, all.size(), null))), new TreeSet<>(all));
    }
  }

  static void resubscribe() throws Exception {
    String first = topic(1);
    String second = topic(1);
    send(first, List.of("a"));
    send(second, List.of("b"));
    try (var consumer = shared(group())) {
      consumer.subscribe(List.of(first));
      same(values(take(consumer, 1, null)), List.of("a"));
      consumer.subscribe(List.of(second));
      same(values(take(consumer, 1, null)), List.of("b"));
      send(first, List.of("c"));
      same(none(consumer, 1_000), 0);
      admin.createPartitions(Map.of(second, NewPartitions.increaseTo(4))).all().get();
      try (KafkaProducer<String, String> producer = producer()) {
        for (int i = 0; i < 4; i++) producer.send(new ProducerRecord<>(second, i, null, "p" + i)).get();
      }
      same(new TreeSet<>(values(take(consumer, 4, null))), new TreeSet<>(List.of("p0", "p1", "p2", "p3")));
    }
  }

  static void reset() throws Exception {
    String topic = topic(1);
    long old = System.currentTimeMillis() - 7_200_000;
    try (KafkaProducer<String, String> producer = producer()) {
      producer.send(new ProducerRecord<>(topic, 0, old, null, "old")).get();
      producer.send(new ProducerRecord<>(topic, "new")).get();
    }
    Map<String, List<String>> expectations = new TreeMap<>();
    expectations.put("earliest", List.of("old", "new"));
    expectations.put("by_duration:PT1H", List.of("new"));
    expectations.put("latest", List.of());
    for (var expected : expectations.entrySet()) {
      String group = group("share.auto.offset.reset", expected.getKey());
      try (var consumer = shared(group)) {
        consumer.subscribe(List.of(topic));
        List<String> wanted = expected.getValue();
        same(values(take(consumer, wanted.size(), null)), wanted);
        same(none(consumer, 2_000), 0);
      }
    }
  }

  static void committedOnly() throws Exception {
    String topic = topic(1);
    String all = group();
    String committed = group("share.isolation.level", "read_committed");
    try (KafkaProducer<String, String> producer = producer("transactional.id", fresh("tx"))) {
      producer.initTransactions();
      for (String value : List.of("aborted", "committed")) {
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(topic, value)).get();
        if (value.equals("aborted")) producer.abortTransaction();
        else producer.commitTransaction();
      }
    }
    send(topic, List.of("plain"));
    try (var consumer = shared(committed); var other = shared(all)) {
      consumer.subscribe(List.of(topic));
      same(values(take(consumer, 2, null)), List.of("committed", "plain"));
      consumer.commitSync();
      other.subscribe(List.of(topic));
      same(values(take(other, 3, null)), List.of("aborted", "committed", "plain"));
    }
  }

  static void described() throws Exception {
    String topic = topic(2);
    String group = group();
    try (var one = shared(group); var two = shared(group)) {
      one.subscribe(List.of(topic));
      two.subscribe(List.of(topic));
      ShareGroupDescription found = null;
      long giveUp = System.currentTimeMillis() + 30_000;
      while (found == null || found.members().stream().mapToInt(m -> m.assignment().topicPartitions().size()).sum() < 2
          || found.members().size() < 2) {
        check(System.currentTimeMillis() < giveUp, found);
        one.poll(Duration.ofMillis(50));
        two.poll(Duration.ofMillis(50));
        try {
          found = admin.describeShareGroups(List.of(group)).all().get().get(group);
        } catch (Exception error) {
          same(error.getCause().getClass(), GroupIdNotFoundException.class);
        }
      }
      same(found.groupState(), GroupState.STABLE);
      same(found.coordinator().id(), 1);
      Collection<GroupListing> listed = admin.listGroups(ListGroupsOptions.forShareGroups()).all().get();
      GroupListing mine = listed.stream().filter(one1 -> one1.groupId().equals(group)).findFirst().get();
      same(mine.type().get(), GroupType.SHARE);
      same(mine.protocol(), "share");
      refused(admin.deleteShareGroups(List.of(group)).all(), GroupNotEmptyException.class);
    }
    same(admin.describeShareGroups(List.of(group)).all().get().get(group).groupState(), GroupState.EMPTY);
    admin.deleteShareGroups(List.of(group)).all().get();
    refused(admin.describeShareGroups(List.of(group)).all(), GroupIdNotFoundException.class);
  }

  static Map<TopicPartition, SharePartitionOffsetInfo> offsetsOf(String group) throws Exception {
    return admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec())).partitionsToOffsetInfo(group).get();
  }

  static void offsets() throws Exception {
    String topic = topic(1);
    TopicPartition partition = new TopicPartition(topic, 0);
    String group = group();
    send(topic, numbers(0, 10));
    try (var consumer = explicit(group)) {
      consumer.subscribe(List.of(topic));
      for (var record : take(consumer, 10, null))
        consumer.acknowledge(record, record.offset() < 4 ? AcknowledgeType.ACCEPT : AcknowledgeType.RELEASE);
      same(commit(consumer), "none");
    }
    var info = offsetsOf(group).get(partition);
    check(info.startOffset() >= 0, info);
    same(info.lag().get(), 6L);
    admin.alterShareGroupOffsets(group, Map.of(partition, 8L)).all().get();
    same(offsetsOf(group).get(partition).startOffset(), 8L);
    try (var consumer = shared(group)) {
      consumer.subscribe(List.of(topic));
      same(values(take(consumer, 2, null)), List.of("8", "9"));
    }
    admin.deleteShareGroupOffsets(group, Set.of(topic)).all().get();
    check(!offsetsOf(group).containsKey(partition), "deleted");
    admin.deleteShareGroups(List.of(group)).all().get();
  }

  static void deadLetters() throws Exception {
    String topic = topic(1);
    String dead = "dlq." + fresh("dead");
    String group = group("errors.deadletterqueue.topic.name", dead, "share.delivery.count.limit", "2");
    send(topic, List.of("bad", "worse"));
    try (var consumer = explicit(group)) {
      consumer.subscribe(List.of(topic));
      for (int round = 0; round < 2; round++) {
        for (var record : take(consumer, round == 0 ? 2 : 1, null)) {
          boolean isBad = record.value().equals("bad");
          consumer.acknowledge(record, isBad ? AcknowledgeType.REJECT : AcknowledgeType.RELEASE);
        }
        same(commit(consumer), "none");
      }
    }
    try (var reader = consumer(fresh("group"))) {
      reader.subscribe(List.of(dead));
      var letters = read(reader, 2);
      same(values(letters), List.of("bad", "worse"));
      List<String> said = new ArrayList<>();
      for (var letter : letters) {
        Map<String, String> headers = new HashMap<>();
        letter.headers().forEach(header -> headers.put(header.key(), new String(header.value())));
        same(headers.get("__dlq.errors.topic"), topic);
        same(headers.get("__dlq.errors.group"), group);
        said.add(headers.get("__dlq.errors.delivery.count") + " " + headers.get("__dlq.errors.message"));
      }
      same(said, List.of("1 rejected by the consumer", "2 delivered 2 times and never accepted"));
    }
  }

  static void byKey() throws Exception {
    String topic = topic(1);
    String group = group("share.order.by.key", "true");
    int count = 300;
    try (KafkaProducer<String, String> producer = producer()) {
      for (int i = 0; i < count; i++) producer.send(new ProducerRecord<>(topic, "k" + i % 7, Integer.toString(i)));
    }
    Map<String, List<Integer>> seen = new ConcurrentHashMap<>();
    AtomicInteger left = new AtomicInteger(count);
    List<Thread> threads = new ArrayList<>();
    long giveUp = System.currentTimeMillis() + 60_000;
    for (int t = 0; t < 3; t++) {
      Thread thread = new Thread(() -> {
        try (var consumer = explicit(group)) {
          consumer.subscribe(List.of(topic));
          while (left.get() > 0 && System.currentTimeMillis() < giveUp) {
            for (var record : consumer.poll(Duration.ofMillis(100))) {
              int number = Integer.parseInt(record.value());
              boolean fails = number % 10 == 3 && record.deliveryCount().get() == 1;
              if (!fails) {
                seen.computeIfAbsent(record.key(), key -> new ArrayList<>()).add(number);
                left.decrementAndGet();
              }
              consumer.acknowledge(record, fails ? AcknowledgeType.RELEASE : AcknowledgeType.ACCEPT);
            }
            consumer.commitSync();
          }
        }
      });
      thread.start();
      threads.add(thread);
    }
    for (Thread thread : threads) thread.join();
    same(left.get(), 0);
    for (var one : seen.entrySet()) {
      List<Integer> sorted = new ArrayList<>(one.getValue());
      sorted.sort(null);
      same(one.getValue(), sorted);
      same(new HashSet<>(sorted).size(), sorted.size());
    }
  }
}
