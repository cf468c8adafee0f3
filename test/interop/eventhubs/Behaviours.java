import com.azure.core.amqp.AmqpRetryOptions;
import com.azure.core.amqp.AmqpTransportType;
import com.azure.core.amqp.exception.AmqpErrorCondition;
import com.azure.core.amqp.exception.AmqpException;
import com.azure.core.amqp.models.AmqpMessageBodyType;
import com.azure.core.credential.AccessToken;
import com.azure.core.credential.AzureNamedKeyCredential;
import com.azure.core.credential.AzureSasCredential;
import com.azure.core.credential.TokenCredential;
import com.azure.messaging.eventhubs.*;
import com.azure.messaging.eventhubs.checkpointstore.blob.BlobCheckpointStore;
import com.azure.messaging.eventhubs.models.*;
import com.azure.storage.blob.BlobContainerAsyncClient;
import com.azure.storage.blob.BlobContainerClientBuilder;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/**
 * Microsoft's client for Java with its checkpoint store: one method a behaviour, one JSON line a result. Arguments: `plain`
 * or `more` EVENTHUBS HTTP; `secure` EVENTHUBS KEY SECRET HUB TOKEN TOKEN, over TLS; `processor` EVENTHUBS HUB CONTAINER, a processor
 * until it is killed; `steady` EVENTHUBS HUB, a producer and a processor.
 */
public class Behaviours {
  interface Behaviour {
    void run() throws Exception;
  }

  static String address;
  static String http;
  static final String RUN = Long.toString(System.currentTimeMillis(), 36);
  static int names = 0;
  static final AmqpRetryOptions ONCE = new AmqpRetryOptions().setMaxRetries(0).setTryTimeout(Duration.ofSeconds(20));
  static final Duration LONG = Duration.ofSeconds(30);

  static String emulator() {
    return "Endpoint=sb://" + address + ";SharedAccessKeyName=any;SharedAccessKey=any;UseDevelopmentEmulator=true";
  }

  static EventHubClientBuilder builder(String hub) {
    return new EventHubClientBuilder().connectionString(emulator(), hub).consumerGroup("$Default").retryOptions(ONCE);
  }

  static String call(String method, String path, String body, String type) throws Exception {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create("http://" + http + path))
            .header("content-type", type)
            .method(method, HttpRequest.BodyPublishers.ofString(body))
            .build();
    HttpResponse<String> answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
    check(answer.statusCode() < 300, answer.statusCode(), answer.body());
    return answer.body();
  }

  static String make(int partitions) throws Exception {
    String hub = "java-" + RUN + "-" + names++;
    call("PUT", "/v1/topics/" + hub, "{\"partitions\":" + partitions + "}", "application/json");
    return hub;
  }

  static BlobContainerAsyncClient container(String name) {
    String key = Base64.getEncoder().encodeToString(new byte[32]);
    String connection =
        "DefaultEndpointsProtocol=http;AccountName=account;AccountKey=" + key + ";BlobEndpoint=http://" + address + "/account";
    return new BlobContainerClientBuilder().connectionString(connection).containerName(name).buildAsyncClient();
  }

  static String makeContainer() {
    String name = "java-" + RUN + "-" + names++;
    container(name).create().block(LONG);
    return name;
  }

  static void check(boolean holds, Object... facts) {
    if (!holds) throw new AssertionError(Arrays.asList(facts).toString());
  }

  static void same(Object found, Object wanted) {
    check(Objects.equals(found, wanted), found, "not", wanted);
  }

  static void until(String what, long seconds, Callable<Boolean> holds) throws Exception {
    long end = System.nanoTime() + seconds * 1_000_000_000L;
    while (!holds.call()) {
      check(System.nanoTime() < end, "not within", seconds, "s:", what);
      Thread.sleep(50);
    }
  }

  static <E extends Exception> E fails(Class<E> type, Behaviour act) throws Exception {
    try {
      act.run();
    } catch (Exception error) {
      Throwable at = error;
      for (; at != null; at = at.getCause()) if (type.isInstance(at)) return type.cast(at);
      throw error;
    }
    throw new AssertionError("no " + type.getSimpleName());
  }

  static void send(EventHubClientBuilder from, CreateBatchOptions options, EventData... events) {
    try (EventHubProducerClient client = from.buildProducerClient()) {
      EventDataBatch batch = client.createBatch(options);
      for (EventData event : events) check(batch.tryAdd(event), "the batch is full");
      client.send(batch);
    }
  }

  static void send(String hub, String... bodies) {
    send(hub, new CreateBatchOptions(), bodies);
  }

  static void send(String hub, CreateBatchOptions options, String... bodies) {
    send(builder(hub), options, Arrays.stream(bodies).map(EventData::new).toArray(EventData[]::new));
  }

  static List<PartitionEvent> receive(EventHubClientBuilder from, String partition, int count, EventPosition at, ReceiveOptions options) {
    try (EventHubConsumerClient client = from.buildConsumerClient()) {
      List<PartitionEvent> found = new ArrayList<>();
      long end = System.nanoTime() + LONG.toNanos();
      while (found.size() < count && System.nanoTime() < end) {
        EventPosition from2 = found.isEmpty() ? at : EventPosition.fromSequenceNumber(found.get(found.size() - 1).getData().getSequenceNumber());
        client.receiveFromPartition(partition, count - found.size(), from2, Duration.ofSeconds(5), options).forEach(found::add);
      }
      return found;
    }
  }

  static List<PartitionEvent> receive(String hub, String partition, int count, EventPosition at) {
    return receive(builder(hub), partition, count, at, new ReceiveOptions());
  }

  static List<String> bodies(List<PartitionEvent> events) {
    return events.stream().map(one -> one.getData().getBodyAsString()).collect(Collectors.toList());
  }

  static List<String> numbers(int from, int to) {
    return IntStream.range(from, to).mapToObj(i -> "" + i).collect(Collectors.toList());
  }

  static void facts() throws Exception {
    String hub = make(3);
    try (EventHubProducerClient client = builder(hub).buildProducerClient()) {
      EventHubProperties properties = client.getEventHubProperties();
      same(properties.getName(), hub);
      same(properties.getPartitionIds().stream().collect(Collectors.toList()), List.of("0", "1", "2"));
      check(Duration.between(properties.getCreatedAt(), Instant.now()).abs().toMinutes() < 1, properties.getCreatedAt());
      PartitionProperties empty = client.getPartitionProperties("1");
      check(empty.isEmpty() && empty.getId().equals("1"), empty.getId());
      send(hub, new CreateBatchOptions().setPartitionId("1"), "a", "b");
      PartitionProperties found = client.getPartitionProperties("1");
      check(!found.isEmpty() && found.getBeginningSequenceNumber() == 0 && found.getLastEnqueuedSequenceNumber() == 1, found.getLastEnqueuedSequenceNumber());
      same(found.getLastEnqueuedOffset(), "1");
      check(Duration.between(found.getLastEnqueuedTime(), Instant.now()).abs().toMinutes() < 1, found.getLastEnqueuedTime());
    }
  }

  static void batch() throws Exception {
    String hub = make(1);
    send(hub, numbers(0, 500).toArray(String[]::new));
    List<PartitionEvent> events = receive(hub, "0", 500, EventPosition.earliest());
    same(bodies(events), numbers(0, 500));
    for (int i = 0; i < 500; i++) {
      EventData event = events.get(i).getData();
      check(event.getSequenceNumber() == i && event.getOffsetString().equals("" + i) && event.getOffset() == i, event.getSequenceNumber(), i);
    }
  }

  static void sizes() throws Exception {
    String hub = make(1);
    try (EventHubProducerClient client = builder(hub).buildProducerClient()) {
      EventDataBatch batch = client.createBatch();
      same(batch.getMaxSizeInBytes(), 1024 * 1024);
      same(fails(AmqpException.class, () -> batch.tryAdd(new EventData(new byte[2_000_000]))).getErrorCondition(), AmqpErrorCondition.LINK_PAYLOAD_SIZE_EXCEEDED);
      int count = 0;
      while (batch.tryAdd(new EventData(new byte[100_000]))) count++;
      same(count, 10);
      client.send(batch);
      EventDataBatch small = client.createBatch(new CreateBatchOptions().setMaximumSizeInBytes(1_000));
      same(small.getMaxSizeInBytes(), 1_000);
      check(small.tryAdd(new EventData(new byte[300])) && !small.tryAdd(new EventData(new byte[900])), "the size that was asked for");
      client.send(small);
      same(fails(AmqpException.class, () -> client.send(List.of(new EventData(new byte[1_100_000])))).getErrorCondition(), AmqpErrorCondition.LINK_PAYLOAD_SIZE_EXCEEDED);
    }
    same(receive(hub, "0", 11, EventPosition.earliest()).size(), 11);
  }

  static void large() throws Exception {
    String hub = make(1);
    byte[] body = new byte[1_000_000];
    new Random(1).nextBytes(body);
    send(builder(hub), new CreateBatchOptions(), new EventData(body));
    check(Arrays.equals(receive(hub, "0", 1, EventPosition.earliest()).get(0).getData().getBody(), body), "another body");
  }

  static void partitionKey() throws Exception {
    String hub = make(4);
    for (int i = 0; i < 4; i++) send(hub, new CreateBatchOptions().setPartitionKey("schlüssel"), "" + i);
    List<PartitionEvent> events = new ArrayList<>();
    try (EventHubConsumerAsyncClient client = builder(hub).buildAsyncConsumerClient()) {
      client.receive(true).take(4).doOnNext(events::add).blockLast(LONG);
    }
    same(bodies(events), numbers(0, 4));
    same(events.stream().map(one -> one.getPartitionContext().getPartitionId()).distinct().count(), 1L);
    for (PartitionEvent event : events) same(event.getData().getPartitionKey(), "schlüssel");
  }

  static void partitionId() throws Exception {
    String hub = make(3);
    send(hub, new CreateBatchOptions().setPartitionId("2"), "there");
    same(bodies(receive(hub, "2", 1, EventPosition.earliest())), List.of("there"));
    AmqpException error = fails(AmqpException.class, () -> send(hub, new CreateBatchOptions().setPartitionId("9"), "x"));
    check(error.getMessage().contains("between 0 and 2"), error.getMessage());
  }

  static void lists() throws Exception {
    String hub = make(2);
    try (EventHubProducerClient client = builder(hub).buildProducerClient()) {
      client.send(List.of(new EventData("one"), new EventData("two")), new SendOptions().setPartitionId("0"));
      client.send(List.of(new EventData("three")), new SendOptions().setPartitionId("0"));
    }
    same(bodies(receive(hub, "0", 3, EventPosition.earliest())), List.of("one", "two", "three"));
  }

  static void properties() throws Exception {
    String hub = make(1);
    EventData event = new EventData(new byte[] {0, (byte) 0xff});
    Map<String, Object> given = new TreeMap<>();
    given.put("text", "ü");
    given.put("int", 5);
    given.put("long", 1L << 60);
    given.put("short", (short) 7);
    given.put("byte", (byte) -1);
    given.put("double", 0.5);
    given.put("float", 0.25f);
    given.put("yes", true);
    given.put("char", 'x');
    given.put("uuid", UUID.fromString("00112233-4455-6677-8899-aabbccddeeff"));
    given.put("date", new Date(1_700_000_000_123L));
    event.getProperties().putAll(given);
    event.setMessageId("m").setCorrelationId("c").setContentType("application/json");
    event.getRawAmqpMessage().getProperties().setSubject("s");
    event.getRawAmqpMessage().getProperties().setGroupId("g");
    event.getRawAmqpMessage().getMessageAnnotations().put("x-opt-mine", "a");
    event.getRawAmqpMessage().getHeader().setTimeToLive(Duration.ofHours(1));
    send(builder(hub), new CreateBatchOptions(), event);
    EventData found = receive(hub, "0", 1, EventPosition.earliest()).get(0).getData();
    same(new TreeMap<>(found.getProperties()), given);
    same(List.of(found.getMessageId(), found.getCorrelationId(), found.getContentType()), List.of("m", "c", "application/json"));
    same(found.getRawAmqpMessage().getProperties().getSubject(), "s");
    same(found.getRawAmqpMessage().getProperties().getGroupId(), "g");
    same(String.valueOf(found.getSystemProperties().get("x-opt-mine")), "a");
    same(found.getRawAmqpMessage().getBody().getBodyType(), AmqpMessageBodyType.DATA);
    check(Arrays.equals(found.getBody(), new byte[] {0, (byte) 0xff}), "body");
  }

  static void positions() throws Exception {
    String hub = make(1);
    for (int i = 0; i < 4; i++) {
      send(hub, "" + i);
      Thread.sleep(5);
    }
    EventData third = receive(hub, "0", 4, EventPosition.earliest()).get(2).getData();
    Map<EventPosition, List<String>> cases = new LinkedHashMap<>();
    cases.put(EventPosition.fromOffsetString(third.getOffsetString()), List.of("3"));
    cases.put(EventPosition.fromOffset(third.getOffset()), List.of("3"));
    cases.put(EventPosition.fromSequenceNumber(third.getSequenceNumber()), List.of("3"));
    cases.put(EventPosition.fromSequenceNumber(third.getSequenceNumber(), true), List.of("2", "3"));
    cases.put(EventPosition.fromEnqueuedTime(third.getEnqueuedTime()), List.of("3"));
    for (Map.Entry<EventPosition, List<String>> one : cases.entrySet())
      same(List.of(one.getKey(), bodies(receive(hub, "0", one.getValue().size(), one.getKey()))), List.of(one.getKey(), one.getValue()));
    AmqpException error = fails(AmqpException.class, () -> receive(hub, "0", 1, EventPosition.fromSequenceNumber(99)));
    same(error.getErrorCondition(), AmqpErrorCondition.ARGUMENT_OUT_OF_RANGE_ERROR);
  }

  static void latest() throws Exception {
    String hub = make(1);
    send(hub, "old");
    try (EventHubConsumerAsyncClient client = builder(hub).buildAsyncConsumerClient()) {
      List<String> found = new CopyOnWriteArrayList<>();
      Disposable reading = client.receiveFromPartition("0", EventPosition.latest()).subscribe(one -> found.add(one.getData().getBodyAsString()));
      for (int i = 0; found.isEmpty() && i < 100; i++) {
        send(hub, "new");
        Thread.sleep(200);
      }
      reading.dispose();
      check(!found.isEmpty() && !found.contains("old"), found);
    }
  }

  static void waits() throws Exception {
    String hub = make(1);
    send(hub, "a", "b");
    try (EventHubConsumerClient client = builder(hub).buildConsumerClient()) {
      long from = System.nanoTime();
      List<String> found = new ArrayList<>();
      client.receiveFromPartition("0", 10, EventPosition.earliest(), Duration.ofSeconds(2)).forEach(one -> found.add(one.getData().getBodyAsString()));
      same(found, List.of("a", "b"));
      check(System.nanoTime() - from > 1_500_000_000L, "it did not wait for more");
      // The same client again: it goes on where it was asked to.
      found.clear();
      client.receiveFromPartition("0", 1, EventPosition.fromSequenceNumber(0), Duration.ofSeconds(5)).forEach(one -> found.add(one.getData().getBodyAsString()));
      same(found, List.of("b"));
    }
  }

  static void prefetch() throws Exception {
    String hub = make(1);
    for (int i = 0; i < 4; i++) send(hub, numbers(i * 1000, i * 1000 + 1000).toArray(String[]::new));
    for (int prefetch : new int[] {1, 300, 8000}) {
      List<String> found = new ArrayList<>();
      try (EventHubConsumerAsyncClient client = builder(hub).prefetchCount(prefetch).buildAsyncConsumerClient()) {
        client.receiveFromPartition("0", EventPosition.earliest()).take(prefetch == 1 ? 50 : 4000).doOnNext(one -> found.add(one.getData().getBodyAsString())).blockLast(LONG);
      }
      same(found, numbers(0, prefetch == 1 ? 50 : 4000));
    }
  }

  static void slow() throws Exception {
    String hub = make(1);
    send(hub, numbers(0, 200).toArray(String[]::new));
    List<String> found = new ArrayList<>();
    try (EventHubConsumerAsyncClient client = builder(hub).prefetchCount(10).buildAsyncConsumerClient()) {
      client
          .receiveFromPartition("0", EventPosition.earliest())
          .concatMap(one -> Mono.just(one).delayElement(Duration.ofMillis(5)), 1)
          .take(200)
          .doOnNext(one -> found.add(one.getData().getBodyAsString()))
          .blockLast(LONG);
    }
    same(found, numbers(0, 200));
  }

  static void everyPartition() throws Exception {
    String hub = make(4);
    for (int i = 0; i < 4; i++) send(hub, new CreateBatchOptions().setPartitionId("" + i), i + "a", i + "b");
    List<String> found = new CopyOnWriteArrayList<>();
    try (EventHubConsumerAsyncClient client = builder(hub).buildAsyncConsumerClient()) {
      client.receive().take(8).doOnNext(one -> found.add(one.getData().getBodyAsString())).blockLast(LONG);
    }
    same(new TreeSet<>(found), new TreeSet<>(List.of("0a", "0b", "1a", "1b", "2a", "2b", "3a", "3b")));
  }

  /** It has a session for each on one connection. */
  static void hundredsOfPartitions() throws Exception {
    String hub = make(300);
    try (EventHubProducerAsyncClient sender = builder(hub).buildAsyncProducerClient();
        EventHubConsumerAsyncClient client = builder(hub).buildAsyncConsumerClient()) {
      List<Mono<Void>> sends = new ArrayList<>();
      for (int i = 0; i < 300; i++) sends.add(sender.send(List.of(new EventData("" + i)), new SendOptions().setPartitionId("" + i)));
      Mono.when(sends).block(Duration.ofMinutes(2));
      Set<String> found = ConcurrentHashMap.newKeySet();
      // Of all at once it reads no more than 256.
      for (int i = 0; i < 300; i++) client.receiveFromPartition("" + i, EventPosition.earliest()).subscribe(one -> found.add(one.getData().getBodyAsString()));
      until("all", 120, () -> found.size() == 300);
    }
  }

  static void groups() throws Exception {
    String hub = make(1);
    send(hub, "a", "b");
    for (String group : List.of("$Default", "other", "third"))
      same(bodies(receive(builder(hub).consumerGroup(group), "0", 2, EventPosition.earliest(), new ReceiveOptions())), List.of("a", "b"));
  }

  static void ownerLevel() throws Exception {
    String hub = make(1);
    send(hub, "a");
    AtomicReference<Throwable> lost = new AtomicReference<>();
    CountDownLatch came = new CountDownLatch(1);
    try (EventHubConsumerAsyncClient low = builder(hub).buildAsyncConsumerClient()) {
      low.receiveFromPartition("0", EventPosition.earliest(), new ReceiveOptions().setOwnerLevel(1L)).subscribe(one -> came.countDown(), lost::set);
      check(came.await(30, TimeUnit.SECONDS), "nothing came");
      ReceiveOptions higher = new ReceiveOptions().setOwnerLevel(2L);
      try (EventHubConsumerAsyncClient high = builder(hub).buildAsyncConsumerClient()) {
        CountDownLatch too = new CountDownLatch(1);
        high.receiveFromPartition("0", EventPosition.earliest(), higher).subscribe(one -> too.countDown());
        check(too.await(30, TimeUnit.SECONDS), "nothing came to the higher one");
        until("the lower one hears of it", 20, () -> lost.get() != null);
        check(lost.get() instanceof AmqpException, lost.get());
        same(((AmqpException) lost.get()).getErrorCondition(), AmqpErrorCondition.LINK_STOLEN);
        AmqpException refused = fails(AmqpException.class, () -> receive(builder(hub), "0", 1, EventPosition.earliest(), new ReceiveOptions().setOwnerLevel(0L)));
        same(refused.getErrorCondition(), AmqpErrorCondition.LINK_STOLEN);
      }
    }
  }

  static void lastEnqueued() throws Exception {
    String hub = make(1);
    send(hub, "a", "b", "c");
    ReceiveOptions options = new ReceiveOptions().setTrackLastEnqueuedEventProperties(true);
    LastEnqueuedEventProperties told = receive(builder(hub), "0", 3, EventPosition.earliest(), options).get(0).getLastEnqueuedEventProperties();
    check(told.getSequenceNumber() == 2 && told.getOffsetString().equals("2"), told.getSequenceNumber(), told.getOffsetString());
    check(Duration.between(told.getEnqueuedTime(), Instant.now()).abs().toMinutes() < 1, told.getEnqueuedTime());
    check(Duration.between(told.getRetrievalTime(), Instant.now()).abs().toMinutes() < 1, told.getRetrievalTime());
  }

  static void nowhere() throws Exception {
    AmqpException error = fails(AmqpException.class, () -> send("nowhere", "x"));
    same(error.getErrorCondition(), AmqpErrorCondition.NOT_FOUND);
    check(error.getMessage().contains("could not be found"), error.getMessage());
    error = fails(AmqpException.class, () -> receive("nowhere", "0", 1, EventPosition.earliest()));
    same(error.getErrorCondition(), AmqpErrorCondition.NOT_FOUND);
    try (EventHubProducerClient client = builder("nowhere").buildProducerClient()) {
      AmqpException facts = fails(AmqpException.class, client::getEventHubProperties);
      same(facts.getErrorCondition(), AmqpErrorCondition.NOT_FOUND);
    }
    String hub = make(1);
    try (EventHubProducerClient client = builder(hub).buildProducerClient()) {
      IllegalArgumentException facts = fails(IllegalArgumentException.class, () -> client.getPartitionProperties("7"));
      check(facts.getMessage().contains("between 0 and 0"), facts.getMessage());
    }
  }

  static void shared() throws Exception {
    String hub = make(2);
    EventHubClientBuilder one = builder(hub).shareConnection();
    try (EventHubProducerClient producer = one.buildProducerClient();
        EventHubConsumerClient consumer = one.buildConsumerClient();
        EventHubConsumerClient other = one.consumerGroup("other").buildConsumerClient()) {
      producer.send(List.of(new EventData("x")), new SendOptions().setPartitionId("1"));
      for (EventHubConsumerClient client : List.of(consumer, other)) {
        List<String> found = new ArrayList<>();
        client.receiveFromPartition("1", 1, EventPosition.earliest(), Duration.ofSeconds(10)).forEach(event -> found.add(event.getData().getBodyAsString()));
        same(found, List.of("x"));
      }
      same(consumer.getPartitionIds().stream().count(), 2L);
    }
  }

  static void concurrent() throws Exception {
    String hub = make(1);
    try (EventHubProducerAsyncClient client = builder(hub).buildAsyncProducerClient()) {
      List<Mono<Void>> sends = new ArrayList<>();
      for (int i = 0; i < 300; i++) sends.add(client.send(List.of(new EventData("" + i)), new SendOptions().setPartitionId("0")));
      Mono.when(sends).block(LONG);
      same(client.getPartitionProperties("0").block(LONG).getLastEnqueuedSequenceNumber(), 299L);
    }
    same(new TreeSet<>(bodies(receive(hub, "0", 300, EventPosition.earliest()))), new TreeSet<>(numbers(0, 300)));
  }

  static void buffered() throws Exception {
    String hub = make(2);
    List<String> sent = new CopyOnWriteArrayList<>();
    List<Throwable> failures = new CopyOnWriteArrayList<>();
    EventHubBufferedProducerClient client =
        new EventHubBufferedProducerClientBuilder()
            .connectionString(emulator(), hub)
            .maxWaitTime(Duration.ofSeconds(1))
            .onSendBatchSucceeded(done -> done.getEvents().forEach(event -> sent.add(event.getBodyAsString())))
            .onSendBatchFailed(failed -> failures.add(failed.getThrowable()))
            .buildClient();
    for (int i = 0; i < 200; i++) client.enqueueEvent(new EventData("" + i), new SendOptions().setPartitionKey("k" + i % 5));
    client.flush();
    until("all are told", 20, () -> sent.size() == 200);
    client.close();
    same(failures, List.of());
    List<String> found = new ArrayList<>();
    try (EventHubConsumerAsyncClient reader = builder(hub).buildAsyncConsumerClient()) {
      reader.receive(true).take(200).doOnNext(one -> found.add(one.getData().getBodyAsString())).blockLast(LONG);
    }
    same(new TreeSet<>(found), new TreeSet<>(numbers(0, 200)));
    for (int key = 0; key < 5; key++) {
      int of = key;
      List<Integer> order = found.stream().map(Integer::valueOf).filter(i -> i % 5 == of).collect(Collectors.toList());
      same(order, order.stream().sorted().collect(Collectors.toList()));
    }
  }

  static void foreign() throws Exception {
    String hub = make(1);
    String record = "{\"records\":[{\"key\":\"k\",\"value\":{\"a\":1},\"headers\":{\"h\":\"v\"},\"timestamp\":\"2026-01-01T00:00:00Z\"}]}";
    call("POST", "/v1/topics/" + hub + "/records", record, "application/vnd.millrace.records+json");
    EventData found = receive(hub, "0", 1, EventPosition.earliest()).get(0).getData();
    same(List.of(found.getBodyAsString(), found.getPartitionKey(), String.valueOf(found.getProperties().get("h"))), List.of("{\"a\":1}", "k", "v"));
    same(found.getEnqueuedTime(), Instant.parse("2026-01-01T00:00:00Z"));
  }

  static void store() throws Exception {
    String name = makeContainer();
    BlobCheckpointStore store = new BlobCheckpointStore(container(name));
    PartitionOwnership free = ownership("one");
    PartitionOwnership first = store.claimOwnership(List.of(free)).blockLast(LONG);
    same(first.getOwnerId(), "one");
    PartitionOwnership listed = store.listOwnership("ns", "hub", "$Default").blockLast(LONG);
    same(List.of(listed.getOwnerId(), listed.getETag()), List.of("one", first.getETag()));
    same(store.claimOwnership(List.of(ownership("two").setETag(listed.getETag()))).count().block(LONG), 1L);
    same(store.claimOwnership(List.of(ownership("late").setETag(listed.getETag()))).count().block(LONG), 0L);
    same(store.claimOwnership(List.of(ownership("without an etag"))).count().block(LONG), 0L);
    for (long i = 5; i < 7; i++)
      store.updateCheckpoint(new Checkpoint().setFullyQualifiedNamespace("ns").setEventHubName("hub").setConsumerGroup("$Default").setPartitionId("0").setSequenceNumber(i).setOffsetString("" + i)).block(LONG);
    Checkpoint kept = store.listCheckpoints("ns", "hub", "$Default").blockLast(LONG);
    same(List.of(kept.getSequenceNumber(), kept.getOffsetString()), List.of(6L, "6"));
  }

  static PartitionOwnership ownership(String owner) {
    return new PartitionOwnership().setFullyQualifiedNamespace("ns").setEventHubName("hub").setConsumerGroup("$Default").setPartitionId("0").setOwnerId(owner);
  }

  static EventProcessorClientBuilder processor(String hub, String container) {
    return new EventProcessorClientBuilder()
        .connectionString(emulator(), hub)
        .consumerGroup("$Default")
        .checkpointStore(new BlobCheckpointStore(container(container)))
        .initialPartitionEventPosition(partition -> EventPosition.earliest())
        .loadBalancingUpdateInterval(Duration.ofSeconds(1))
        .partitionOwnershipExpirationInterval(Duration.ofSeconds(4))
        .processError(error -> {});
  }

  /** One of its threads may wait for its own end until the time is over. */
  static void stop(EventProcessorClient client) {
    try {
      client.stop(Duration.ofSeconds(2));
    } catch (IllegalStateException timeOut) {
      check(!client.isRunning(), "it runs on");
    }
  }

  static void checkpoints() throws Exception {
    String hub = make(2);
    String container = makeContainer();
    for (int i = 0; i < 2; i++) send(hub, new CreateBatchOptions().setPartitionId("" + i), i + "a", i + "b", i + "c");
    List<String> found = new CopyOnWriteArrayList<>();
    Callable<EventProcessorClient> next =
        () ->
            processor(hub, container)
                .loadBalancingStrategy(LoadBalancingStrategy.GREEDY)
                .processEvent(
                    context -> {
                      found.add(context.getEventData().getBodyAsString());
                      context.updateCheckpoint();
                    })
                .buildEventProcessorClient();
    EventProcessorClient one = next.call();
    one.start();
    until("six events", 30, () -> found.size() == 6);
    stop(one);
    send(hub, new CreateBatchOptions().setPartitionId("1"), "late");
    EventProcessorClient two = next.call();
    two.start();
    until("the seventh", 30, () -> found.contains("late"));
    stop(two);
    same(found.size(), 7);
    until("the group is among all others", 10, () -> call("GET", "/v1/groups", "", "application/json").contains("eventhubs.$Default"));
  }

  static void batches() throws Exception {
    String hub = make(1);
    String container = makeContainer();
    send(hub, numbers(0, 100).toArray(String[]::new));
    List<String> found = new CopyOnWriteArrayList<>();
    List<Integer> sizes = new CopyOnWriteArrayList<>();
    EventProcessorClient client =
        processor(hub, container)
            .processEventBatch(
                context -> {
                  sizes.add(context.getEvents().size());
                  context.getEvents().forEach(event -> found.add(event.getBodyAsString()));
                  context.updateCheckpoint();
                },
                30,
                Duration.ofSeconds(1))
            .buildEventProcessorClient();
    client.start();
    until("all", 30, () -> found.size() >= 100);
    stop(client);
    same(found, numbers(0, 100));
    check(Collections.max(sizes) == 30, sizes);
  }

  /** What a processor in another process says: `has PARTITION`, `event BODY`. */
  static class Other {
    final Process process;
    final Set<String> partitions = ConcurrentHashMap.newKeySet();
    final List<String> events = new CopyOnWriteArrayList<>();

    Other(String hub, String container) throws Exception {
      String java = System.getProperty("java.home") + "/bin/java";
      process =
          new ProcessBuilder(java, "-Xmx256M", "-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path"), "Behaviours", "processor", address, hub, container)
              .redirectError(ProcessBuilder.Redirect.INHERIT)
              .start();
      Thread reading =
          new Thread(
              () -> {
                try (BufferedReader lines = new BufferedReader(new InputStreamReader(process.getInputStream()))) {
                  for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                    if (line.startsWith("has ")) partitions.add(line.substring(4));
                    if (line.startsWith("lost ")) partitions.remove(line.substring(5));
                    if (line.startsWith("event ")) events.add(line.substring(6));
                  }
                } catch (java.io.IOException gone) {
                  // It was killed.
                }
              });
      reading.setDaemon(true);
      reading.start();
    }
  }

  static void processorUntilKilled(String hub, String container) throws Exception {
    processor(hub, container)
        .processPartitionInitialization(context -> System.out.println("has " + context.getPartitionContext().getPartitionId()))
        .processPartitionClose(context -> System.out.println("lost " + context.getPartitionContext().getPartitionId()))
        .processEvent(
            context -> {
              System.out.println("event " + context.getEventData().getBodyAsString());
              context.updateCheckpoint();
            })
        .buildEventProcessorClient()
        .start();
    Thread.sleep(600_000);
  }

  static void balance() throws Exception {
    String hub = make(4);
    String container = makeContainer();
    Other one = new Other(hub, container);
    Other two = new Other(hub, container);
    try {
      until("two partitions each", 60, () -> one.partitions.size() == 2 && two.partitions.size() == 2);
      for (int i = 0; i < 4; i++) send(hub, new CreateBatchOptions().setPartitionId("" + i), i + "a", i + "b");
      until("all events", 30, () -> one.events.size() + two.events.size() >= 8);
      check(!one.events.isEmpty() && !two.events.isEmpty(), one.events, two.events);
      one.process.destroyForcibly().waitFor();
      for (int i = 0; i < 4; i++) send(hub, new CreateBatchOptions().setPartitionId("" + i), i + "c");
      until("all partitions", 60, () -> two.partitions.size() == 4);
      until("what came since", 30, () -> two.events.containsAll(List.of("0c", "1c", "2c", "3c")));
      for (String event : List.of("0a", "1a", "2a", "3a")) check(one.events.contains(event) != two.events.contains(event), event, one.events, two.events);
    } finally {
      one.process.destroyForcibly();
      two.process.destroyForcibly();
    }
  }

  /** Sends `KEY/NUMBER` one after another and reads them with a processor, until its input is over; then it reads on until it is killed. */
  static void steady(String hub) throws Exception {
    String container = makeContainer();
    AmqpRetryOptions retries = new AmqpRetryOptions().setMaxRetries(20).setDelay(Duration.ofMillis(200)).setMaxDelay(Duration.ofSeconds(1)).setTryTimeout(Duration.ofSeconds(5));
    processor(hub, container)
        .retryOptions(retries)
        .processEvent(
            context -> {
              System.out.println("event " + context.getEventData().getBodyAsString());
              try {
                context.updateCheckpoint();
              } catch (RuntimeException later) {
                // What cannot be noted now is read again.
              }
            })
        .buildEventProcessorClient()
        .start();
    CountDownLatch over = new CountDownLatch(1);
    Thread waiting =
        new Thread(
            () -> {
              try {
                while (System.in.read() >= 0) continue;
              } catch (java.io.IOException gone) {
                // It is over, too.
              }
              over.countDown();
            });
    waiting.setDaemon(true);
    waiting.start();
    EventHubProducerClient client = builder(hub).retryOptions(retries).buildProducerClient();
    for (int number = 0; over.getCount() > 0; number++) {
      for (int key = 0; key < 6; key++) {
        String id = key + "/" + number;
        for (boolean isSent = false; !isSent;)
          try {
            client.send(List.of(new EventData(id)), new SendOptions().setPartitionKey("" + key));
            isSent = true;
          } catch (RuntimeException again) {
            Thread.sleep(200);
          }
        System.out.println("sent " + id);
      }
      Thread.sleep(20);
    }
    System.out.println("all");
    Thread.sleep(600_000);
  }

  // Over TLS, where keys are asked for.

  static String key;
  static String secret;
  static String secureHub;
  static String[] issued;

  static EventHubClientBuilder secure() {
    return new EventHubClientBuilder().consumerGroup("$Default").retryOptions(ONCE);
  }

  static String token(String hub, Duration lives, String signedWith) throws Exception {
    String resource = URLEncoder.encode("sb://localhost/" + hub, StandardCharsets.UTF_8);
    long expiry = Instant.now().plus(lives).getEpochSecond();
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(signedWith.getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
    String signature = Base64.getEncoder().encodeToString(mac.doFinal((resource + "\n" + expiry).getBytes(StandardCharsets.UTF_8)));
    return "SharedAccessSignature sr=" + resource + "&sig=" + URLEncoder.encode(signature, StandardCharsets.UTF_8) + "&se=" + expiry + "&skn=" + key;
  }

  static void goesAround(String body, Callable<EventHubClientBuilder> of) throws Exception {
    send(of.call(), new CreateBatchOptions().setPartitionId("0"), new EventData(body));
    long last;
    try (EventHubProducerClient client = of.call().buildProducerClient()) {
      last = client.getPartitionProperties("0").getLastEnqueuedSequenceNumber();
    }
    same(bodies(receive(of.call(), "0", 1, EventPosition.fromSequenceNumber(last, true), new ReceiveOptions())), List.of(body));
  }

  static void connectionString() throws Exception {
    String text = "Endpoint=sb://" + address + ";SharedAccessKeyName=" + key + ";SharedAccessKey=" + secret + ";EntityPath=" + secureHub;
    goesAround("connection string", () -> secure().connectionString(text));
  }

  static void endpoint() throws Exception {
    String text = "Endpoint=sb://localhost;SharedAccessKeyName=" + key + ";SharedAccessKey=" + secret;
    goesAround("endpoint", () -> secure().connectionString(text, secureHub).customEndpointAddress("sb://" + address));
  }

  static void namedKey() throws Exception {
    goesAround(
        "named key",
        () -> secure().credential("localhost", secureHub, new AzureNamedKeyCredential(key, secret)).customEndpointAddress("sb://" + address));
  }

  static void signature() throws Exception {
    String token = token(secureHub, Duration.ofHours(1), secret);
    goesAround("signature", () -> secure().credential("localhost", secureHub, new AzureSasCredential(token)).customEndpointAddress("sb://" + address));
    String text = "Endpoint=sb://" + address + ";SharedAccessSignature=" + token;
    goesAround("signature in a string", () -> secure().connectionString(text, secureHub));
  }

  static void secureWebSockets() throws Exception {
    String text = "Endpoint=sb://" + address + ";SharedAccessKeyName=" + key + ";SharedAccessKey=" + secret;
    Callable<EventHubClientBuilder> over = () -> secure().connectionString(text, secureHub).transportType(AmqpTransportType.AMQP_WEB_SOCKETS);
    goesAround("web socket", over);
    goesAround("x".repeat(300_000), over);
  }

  static void wrongKey() throws Exception {
    String text = "Endpoint=sb://" + address + ";SharedAccessKeyName=" + key + ";SharedAccessKey=wrong";
    AmqpException error = fails(AmqpException.class, () -> goesAround("x", () -> secure().connectionString(text, secureHub)));
    same(error.getErrorCondition(), AmqpErrorCondition.UNAUTHORIZED_ACCESS);
    error = fails(AmqpException.class, () -> receive(secure().connectionString(text, secureHub), "0", 1, EventPosition.earliest(), new ReceiveOptions()));
    same(error.getErrorCondition(), AmqpErrorCondition.UNAUTHORIZED_ACCESS);
  }

  static void unknownToken() throws Exception {
    AccessToken token = new AccessToken("not.a.token", OffsetDateTime.now().plusHours(1));
    AmqpException error =
        fails(
            AmqpException.class,
            () -> goesAround("x", () -> secure().credential("localhost", secureHub, asked -> Mono.just(token)).customEndpointAddress("sb://" + address)));
    same(error.getErrorCondition(), AmqpErrorCondition.UNAUTHORIZED_ACCESS);
  }

  /** The client asks for a newer token and puts it before the older one is over; its links live on. */
  static void renewal() throws Exception {
    List<String> found = new CopyOnWriteArrayList<>();
    AtomicReference<Throwable> failed = new AtomicReference<>();
    Deque<AccessToken> tokens = new ConcurrentLinkedDeque<>();
    for (String token : issued) {
      String claims = new String(Base64.getUrlDecoder().decode(token.split("\\.")[1]), StandardCharsets.UTF_8);
      long expires = Long.parseLong(claims.replaceFirst(".*\"exp\":(\\d+).*", "$1"));
      tokens.add(new AccessToken(token, Instant.ofEpochSecond(expires).atOffset(ZoneOffset.UTC)));
    }
    OffsetDateTime first = tokens.peek().getExpiresAt();
    TokenCredential credential = asked -> Mono.fromCallable(() -> tokens.size() > 1 ? tokens.poll() : tokens.peek());
    EventHubClientBuilder builder = secure().credential("localhost", secureHub, credential).customEndpointAddress("sb://" + address);
    try (EventHubConsumerAsyncClient client = builder.buildAsyncConsumerClient()) {
      client.receiveFromPartition("1", EventPosition.earliest()).subscribe(one -> found.add(one.getData().getBodyAsString()), failed::set);
      EventHubClientBuilder sender = secure().connectionString("Endpoint=sb://" + address + ";SharedAccessKeyName=" + key + ";SharedAccessKey=" + secret, secureHub);
      send(sender, new CreateBatchOptions().setPartitionId("1"), new EventData("before"));
      until("the first", 20, () -> found.contains("before"));
      until("the first token is over", 30, () -> OffsetDateTime.now().isAfter(first.plusSeconds(3)));
      send(sender, new CreateBatchOptions().setPartitionId("1"), new EventData("after"));
      until("the second", 20, () -> found.contains("after") || failed.get() != null);
      same(failed.get(), null);
      same(found, List.of("before", "after"));
    }
  }

  static void report(String says, Behaviour behaviour) {
    String error = "null";
    long from = System.nanoTime();
    try {
      behaviour.run();
    } catch (Throwable thrown) {
      StringWriter text = new StringWriter();
      thrown.printStackTrace(new PrintWriter(text));
      error = quote(text.toString());
    }
    System.out.println("{\"says\":" + quote(says) + ",\"error\":" + error + ",\"ms\":" + (System.nanoTime() - from) / 1_000_000 + "}");
  }

  static String quote(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (char c : text.toCharArray())
      if (c == '"' || c == '\\') out.append('\\').append(c);
      else if (c < ' ') out.append(String.format("\\u%04x", (int) c));
      else out.append(c);
    return out.append('"').toString();
  }

  public static void main(String[] args) throws Exception {
    address = args[1];
    switch (args[0]) {
      case "processor" -> processorUntilKilled(args[2], args[3]);
      case "steady" -> steady(args[2]);
      case "more" -> {
        http = args[2];
        report("three hundred partitions are sent to and read over a connection each", Behaviours::hundredsOfPartitions);
        report("two processors share the partitions; one is killed, and the other goes on with all", Behaviours::balance);
      }
      case "secure" -> {
        key = args[2];
        secret = args[3];
        secureHub = args[4];
        issued = Arrays.copyOfRange(args, 5, args.length);
        report("over TLS a connection string with its key comes in", Behaviours::connectionString);
        report("over TLS a custom endpoint is connected to in place of the host that tokens name", Behaviours::endpoint);
        report("over TLS a named key comes in", Behaviours::namedKey);
        report("over TLS a shared access signature comes in, as a credential and in a connection string", Behaviours::signature);
        report("over TLS WebSockets carry the same", Behaviours::secureWebSockets);
        report("a wrong key is refused with unauthorized access", Behaviours::wrongKey);
        report("a token of an issuer that is not known is refused", Behaviours::unknownToken);
        report("a link lives on when its token is renewed", Behaviours::renewal);
      }
      default -> {
        http = args[2];
        report("a hub and its partitions say what they are", Behaviours::facts);
        report("all events of a batch come back, in order, with their numbers", Behaviours::batch);
        report("a batch ends at a megabyte or where it was told to, and what is larger is refused", Behaviours::sizes);
        report("an event of a megabyte goes in and comes out", Behaviours::large);
        report("events with a partition key lie together and keep it", Behaviours::partitionKey);
        report("events for a partition lie there; one that is not there is refused", Behaviours::partitionId);
        report("lists are sent without a batch", Behaviours::lists);
        report("properties of all types, ids, annotations come back as they were", Behaviours::properties);
        report("receivers begin at an offset, a number or a time, with it or behind it", Behaviours::positions);
        report("a receiver at the end gets what comes then", Behaviours::latest);
        report("a receiver that wants more than there is waits, and can be asked again", Behaviours::waits);
        report("thousands come in order with any prefetch count", Behaviours::prefetch);
        report("a slow reader gets all", Behaviours::slow);
        report("a consumer of all partitions gets all", Behaviours::everyPartition);
        report("groups read for themselves", Behaviours::groups);
        report("a higher owner level takes over; the older receiver hears of it, a lower one is refused", Behaviours::ownerLevel);
        report("what is last in the partition is told with each event", Behaviours::lastEnqueued);
        report("what is not there is an error that says so", Behaviours::nowhere);
        report("clients share one connection", Behaviours::shared);
        report("hundreds of sends at once are all stored", Behaviours::concurrent);
        report("the buffered producer sends what it holds, in order of a key", Behaviours::buffered);
        report("what others wrote is read with key, value, headers and time", Behaviours::foreign);
        report("the checkpoint store claims, loses, and remembers what was reached", Behaviours::store);
        report("a processor goes on where the one before it was", Behaviours::checkpoints);
        report("a processor takes batches", Behaviours::batches);
      }
    }
    System.exit(0);
  }
}
