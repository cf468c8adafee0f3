import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.FenceProducersOptions;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TransactionalIdNotFoundException;

/** The Java client in transactions, as it comes: transaction version 2 where the broker announces it. */
public class Transactions extends Client {
  public static void main(String[] args) {
    address = args[0];
    admin = Admin.create(config());
    behave("what is committed is seen, what is aborted is not", Transactions::committed);
    behave("several partitions and topics, all or nothing", Transactions::several);
    behave("a hundred transactions of one producer", Transactions::many);
    behave("consume, transform, produce: positions are committed with the records", Transactions::pipeline);
    behave("a member that is no more cannot commit", Transactions::zombieMember);
    behave("a second producer of the id fences the first", Transactions::fenced);
    behave("a transaction that takes too long is aborted, and the producer told", Transactions::timeout);
    behave("a timeout beyond the longest is refused", Transactions::longTimeout);
    behave("a committed reader waits for what is open", Transactions::waits);
    behave("a producer goes on after a record that was refused", Transactions::abortable);
    behave("transactions are listed and described", Transactions::described);
    behave("an administrator aborts a transaction, and fences producers", Transactions::administered);
    admin.close();
  }

  static KafkaProducer<String, String> transactional(String id, Object... more) {
    Object[] all = new Object[more.length + 2];
    System.arraycopy(more, 0, all, 0, more.length);
    all[more.length] = "transactional.id";
    all[more.length + 1] = id;
    KafkaProducer<String, String> producer = producer(all);
    producer.initTransactions();
    return producer;
  }

  /**
   * Flushed: this client asks whether batches are on their way before it takes the next request, and what is sent and ended
   * between the two is ended first and sent after it. Kafka 4.3.1 then answers INVALID_TXN_STATE as well (its client with a
   * pause of 2 ms in RecordAccumulator.hasIncomplete: the first or second transaction).
   */
  static void send(KafkaProducer<String, String> producer, String topic, int partition, String... values) {
    for (String value : values) producer.send(new ProducerRecord<>(topic, partition, null, value));
    producer.flush();
  }

  static List<String> committedOf(String topic, int count) {
    return readAll(topic, count, "isolation.level", "read_committed");
  }

  static void committed() throws Exception {
    String topic = topic(1);
    try (KafkaProducer<String, String> producer = transactional(fresh("tx"))) {
      producer.beginTransaction();
      send(producer, topic, 0, "a", "b");
      producer.commitTransaction();
      producer.beginTransaction();
      send(producer, topic, 0, "never");
      producer.flush();
      producer.abortTransaction();
      producer.beginTransaction();
      producer.commitTransaction();
      producer.beginTransaction();
      producer.abortTransaction();
      producer.beginTransaction();
      send(producer, topic, 0, "c");
      producer.commitTransaction();
    }
    same(committedOf(topic, 3), List.of("a", "b", "c"));
    same(readAll(topic, 4), List.of("a", "b", "never", "c"));
  }

  static void several() throws Exception {
    String one = topic(3);
    String two = topic(2);
    try (KafkaProducer<String, String> producer = transactional(fresh("tx"))) {
      for (boolean commit : new boolean[] {true, false, true}) {
        producer.beginTransaction();
        for (int p = 0; p < 3; p++) send(producer, one, p, commit + "-" + p);
        for (int p = 0; p < 2; p++) send(producer, two, p, commit + "-" + p);
        producer.flush();
        if (commit) producer.commitTransaction();
        else producer.abortTransaction();
      }
    }
    for (String topic : List.of(one, two)) {
      List<String> found = committedOf(topic, topic.equals(one) ? 6 : 4);
      check(found.stream().allMatch(value -> value.startsWith("true")), found);
    }
  }

  static void many() throws Exception {
    String topic = topic(2);
    List<String> expected = new ArrayList<>();
    try (KafkaProducer<String, String> producer = transactional(fresh("tx"))) {
      for (int i = 0; i < 100; i++) {
        producer.beginTransaction();
        send(producer, topic, 0, "v" + i);
        if (i % 3 == 0) producer.abortTransaction();
        else {
          producer.commitTransaction();
          expected.add("v" + i);
        }
      }
    }
    same(committedOf(topic, expected.size()), expected);
  }

  static void pipeline() throws Exception {
    String input = topic(2);
    String output = topic(1);
    List<String> values = new ArrayList<>();
    for (int i = 0; i < 60; i++) values.add("" + i);
    send(input, values);
    String group = fresh("group");
    for (String protocol : List.of("classic", "consumer")) {
      try (KafkaConsumer<String, String> consumer =
              consumer(group, "isolation.level", "read_committed", "enable.auto.commit", false, "max.poll.records", 7,
                  "group.protocol", protocol);
          KafkaProducer<String, String> producer = transactional(fresh("tx"))) {
        consumer.subscribe(List.of(input));
        int rounds = 0;
        long giveUp = System.currentTimeMillis() + 30_000;
        while (rounds < 8) {
          check(System.currentTimeMillis() < giveUp, "after " + rounds + " rounds");
          Map<TopicPartition, OffsetAndMetadata> next = new java.util.HashMap<>();
          List<String> read = new ArrayList<>();
          for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
            read.add(record.value());
            next.put(new TopicPartition(input, record.partition()), new OffsetAndMetadata(record.offset() + 1));
          }
          if (read.isEmpty()) {
            rounds++;
            continue;
          }
          boolean fails = Math.abs(read.hashCode()) % 3 == 0 && rounds++ < 4;
          producer.beginTransaction();
          for (String value : read) producer.send(new ProducerRecord<>(output, value));
          producer.sendOffsetsToTransaction(next, consumer.groupMetadata());
          if (!fails) producer.commitTransaction();
          else {
            producer.abortTransaction();
            // Back to what was committed.
            for (TopicPartition partition : next.keySet()) {
              OffsetAndMetadata at = consumer.committed(Set.of(partition)).get(partition);
              if (at == null) consumer.seekToBeginning(List.of(partition));
              else consumer.seek(partition, at.offset());
            }
          }
        }
      }
    }
    List<String> found = committedOf(output, 60);
    same(new HashSet<>(found), new HashSet<>(values));
    same(found.size(), 60);
  }

  static void zombieMember() throws Exception {
    String input = topic(1);
    send(input, List.of("a"));
    String group = fresh("group");
    try (KafkaProducer<String, String> producer = transactional(fresh("tx"))) {
      ConsumerGroupMetadata metadata;
      try (KafkaConsumer<String, String> consumer = consumer(group, "enable.auto.commit", false)) {
        consumer.subscribe(List.of(input));
        read(consumer, 1);
        metadata = consumer.groupMetadata();
      }
      producer.beginTransaction();
      try {
        producer.sendOffsetsToTransaction(Map.of(new TopicPartition(input, 0), new OffsetAndMetadata(1)), metadata);
        producer.commitTransaction();
        throw new AssertionError("committed by who has left");
      } catch (CommitFailedException expected) {
        producer.abortTransaction();
      }
    }
    same(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get(), Map.of());
  }

  static void fenced() throws Exception {
    String topic = topic(1);
    String id = fresh("tx");
    KafkaProducer<String, String> first = transactional(id);
    first.beginTransaction();
    send(first, topic, 0, "lost");
    first.flush();
    try (KafkaProducer<String, String> second = transactional(id)) {
      second.beginTransaction();
      send(second, topic, 0, "kept");
      second.commitTransaction();
      try {
        first.commitTransaction();
        throw new AssertionError("the first was not fenced");
      } catch (ProducerFencedException | InvalidProducerEpochException expected) {
        first.close(Duration.ZERO);
      }
    }
    same(committedOf(topic, 1), List.of("kept"));
  }

  static void timeout() throws Exception {
    String topic = topic(1);
    try (KafkaProducer<String, String> producer = transactional(fresh("tx"), "transaction.timeout.ms", 1_000)) {
      producer.beginTransaction();
      send(producer, topic, 0, "late");
      producer.flush();
      Thread.sleep(2_000);
      try {
        producer.commitTransaction();
        throw new AssertionError("committed after its time");
      } catch (KafkaException expected) {
        // Whatever it is told, the records are not there.
      }
    }
    try (KafkaProducer<String, String> producer = transactional(fresh("tx"))) {
      producer.beginTransaction();
      send(producer, topic, 0, "in time");
      producer.commitTransaction();
    }
    same(committedOf(topic, 1), List.of("in time"));
  }

  static void longTimeout() {
    try {
      transactional(fresh("tx"), "transaction.timeout.ms", 901_000).close();
      throw new AssertionError("a timeout of more than 15 minutes was taken");
    } catch (KafkaException error) {
      check(String.valueOf(error.getMessage()).contains("transaction.max.timeout.ms"), error);
    }
  }

  static void waits() throws Exception {
    String topic = topic(1);
    try (KafkaProducer<String, String> producer = transactional(fresh("tx"));
        KafkaConsumer<String, String> consumer = consumer(fresh("group"), "isolation.level", "read_committed")) {
      consumer.assign(List.of(new TopicPartition(topic, 0)));
      producer.beginTransaction();
      send(producer, topic, 0, "held");
      producer.flush();
      send(topic, List.of("after it"));
      same(consumer.endOffsets(consumer.assignment()).get(new TopicPartition(topic, 0)), 0L);
      check(consumer.poll(Duration.ofMillis(500)).isEmpty(), "seen before it was committed");
      producer.commitTransaction();
      same(values(read(consumer, 2)), List.of("held", "after it"));
    }
  }

  static void abortable() throws Exception {
    String topic = topic(1);
    try (KafkaProducer<String, String> producer = transactional(fresh("tx"), "max.request.size", 20_000_000)) {
      producer.beginTransaction();
      send(producer, topic, 0, "lost");
      Future<RecordMetadata> large = producer.send(new ProducerRecord<>(topic, 0, null, "x".repeat(2_000_000)));
      try {
        large.get(30, TimeUnit.SECONDS);
        throw new AssertionError("a record over the limit was taken");
      } catch (java.util.concurrent.ExecutionException expected) {
        producer.abortTransaction();
      }
      producer.beginTransaction();
      send(producer, topic, 0, "kept");
      producer.commitTransaction();
    }
    same(committedOf(topic, 1), List.of("kept"));
  }

  static void described() throws Exception {
    String topic = topic(2);
    String id = fresh("described");
    try (KafkaProducer<String, String> producer = transactional(id, "transaction.timeout.ms", 77_000)) {
      producer.beginTransaction();
      send(producer, topic, 1, "x");
      producer.flush();
      TransactionDescription open = admin.describeTransactions(List.of(id)).description(id).get();
      same(open.state(), TransactionState.ONGOING);
      same(open.transactionTimeoutMs(), 77_000L);
      same(open.topicPartitions(), Set.of(new TopicPartition(topic, 1)));
      check(open.transactionStartTimeMs().isPresent(), "it began some time");
      ListTransactionsOptions options = new ListTransactionsOptions().filterStates(Set.of(TransactionState.ONGOING));
      Set<String> ids = new TreeSet<>();
      for (TransactionListing one : admin.listTransactions(options).all().get()) ids.add(one.transactionalId());
      check(ids.contains(id), ids);
      options = new ListTransactionsOptions().filterOnTransactionalIdPattern(id.substring(0, 6) + ".*");
      ids.clear();
      for (TransactionListing one : admin.listTransactions(options).all().get()) ids.add(one.transactionalId());
      check(ids.contains(id), ids);
      TopicPartition partition = new TopicPartition(topic, 1);
      List<ProducerState> states =
          admin.describeProducers(List.of(partition)).partitionResult(partition).get().activeProducers();
      same(states.size(), 1);
      same(states.get(0).producerId(), open.producerId());
      same(states.get(0).currentTransactionStartOffset().getAsLong(), 0L);
      producer.commitTransaction();
      long giveUp = System.currentTimeMillis() + 10_000;
      while (admin.describeTransactions(List.of(id)).description(id).get().state() != TransactionState.COMPLETE_COMMIT)
        check(System.currentTimeMillis() < giveUp, "it never came to an end");
    }
    refused(admin.describeTransactions(List.of("nobody")).description("nobody"), TransactionalIdNotFoundException.class);
  }

  static void administered() throws Exception {
    String topic = topic(1);
    String id = fresh("hanging");
    TopicPartition partition = new TopicPartition(topic, 0);
    KafkaProducer<String, String> producer = transactional(id);
    producer.beginTransaction();
    send(producer, topic, 0, "aborted by hand");
    producer.flush();
    ProducerState state =
        admin.describeProducers(List.of(partition)).partitionResult(partition).get().activeProducers().get(0);
    admin.abortTransaction(new AbortTransactionSpec(partition, state.producerId(), (short) state.producerEpoch(),
        state.coordinatorEpoch().orElse(0))).all().get();
    send(topic, List.of("after"));
    same(committedOf(topic, 1), List.of("after"));
    producer.close(Duration.ZERO);
    try (KafkaProducer<String, String> fenced = transactional(id)) {
      admin.fenceProducers(List.of(id), new FenceProducersOptions().timeoutMs(30_000)).all().get();
      fenced.beginTransaction();
      send(fenced, topic, 0, "never");
      try {
        fenced.commitTransaction();
        throw new AssertionError("not fenced");
      } catch (KafkaException expected) {
        same(committedOf(topic, 1), List.of("after"));
      }
    }
  }
}
