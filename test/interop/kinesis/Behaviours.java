import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.*;

/** AWS's SDK for Java 2, asynchronous, with no option but the endpoint: one method a behaviour, one JSON line a result. */
public class Behaviours {
  interface Behaviour {
    void run() throws Exception;
  }

  static KinesisAsyncClient client;
  static final String RUN = Long.toString(System.currentTimeMillis(), 36);
  static int names = 0;

  static String make(int shards) throws Exception {
    String name = "java-" + RUN + "-" + names++;
    get(client.createStream(b -> b.streamName(name).shardCount(shards)));
    client.waiter().waitUntilStreamExists(b -> b.streamName(name)).get(60, TimeUnit.SECONDS);
    return name;
  }

  static <T> T get(CompletableFuture<T> future) throws Exception {
    try {
      return future.get(60, TimeUnit.SECONDS);
    } catch (java.util.concurrent.ExecutionException error) {
      if (error.getCause() instanceof Exception) throw (Exception) error.getCause();
      throw error;
    }
  }

  static void check(boolean holds, Object... facts) {
    if (!holds) throw new AssertionError(List.of(facts).toString());
  }

  static <E extends Exception> E fails(Class<E> type, Behaviour act) throws Exception {
    try {
      act.run();
    } catch (Exception error) {
      if (type.isInstance(error)) return type.cast(error);
      throw error;
    }
    throw new AssertionError("no " + type.getSimpleName());
  }

  static PutRecordResponse put(String stream, String key, String data) throws Exception {
    return get(client.putRecord(b -> b.streamName(stream).partitionKey(key).data(SdkBytes.fromUtf8String(data))));
  }

  static String iterator(String stream, int shard, ShardIteratorType type) throws Exception {
    return get(client.getShardIterator(b -> b.streamName(stream).shardId(id(shard)).shardIteratorType(type))).shardIterator();
  }

  static String id(int shard) {
    return String.format("shardId-%012d", shard);
  }

  static List<String> texts(List<software.amazon.awssdk.services.kinesis.model.Record> records) {
    return records.stream().map(one -> one.data().asUtf8String()).collect(Collectors.toList());
  }

  static List<String> read(String stream, int shard) throws Exception {
    List<String> found = new ArrayList<>();
    String at = iterator(stream, shard, ShardIteratorType.TRIM_HORIZON);
    while (at != null) {
      String from = at;
      GetRecordsResponse answer = get(client.getRecords(b -> b.shardIterator(from)));
      if (answer.records().isEmpty()) break;
      found.addAll(texts(answer.records()));
      at = answer.nextShardIterator();
    }
    return found;
  }

  static String arn(String stream) throws Exception {
    return get(client.describeStreamSummary(b -> b.streamName(stream))).streamDescriptionSummary().streamARN();
  }

  static void lifecycle() throws Exception {
    String name = make(2);
    StreamDescription description = get(client.describeStream(b -> b.streamName(name))).streamDescription();
    check(description.streamStatus() == StreamStatus.ACTIVE && description.shards().size() == 2, description);
    check(Duration.between(description.streamCreationTimestamp(), Instant.now()).abs().toMinutes() < 1, description);
    get(client.deleteStream(b -> b.streamName(name)));
    client.waiter().waitUntilStreamNotExists(b -> b.streamName(name)).get(60, TimeUnit.SECONDS);
  }

  static void record() throws Exception {
    String name = make(1);
    byte[] all = new byte[256];
    for (int i = 0; i < 256; i++) all[i] = (byte) i;
    PutRecordResponse put = get(client.putRecord(b -> b.streamName(name).partitionKey("schlüssel").data(SdkBytes.fromByteArray(all))));
    String at = iterator(name, 0, ShardIteratorType.TRIM_HORIZON);
    GetRecordsResponse answer = get(client.getRecords(b -> b.shardIterator(at)));
    software.amazon.awssdk.services.kinesis.model.Record found = answer.records().get(0);
    check(java.util.Arrays.equals(found.data().asByteArray(), all), "data");
    check(found.partitionKey().equals("schlüssel") && found.sequenceNumber().equals(put.sequenceNumber()), found);
    check(Duration.between(found.approximateArrivalTimestamp(), Instant.now()).abs().toMinutes() < 1, found);
    check(answer.millisBehindLatest() == 0, answer);
  }

  static void batch() throws Exception {
    String name = make(1);
    List<PutRecordsRequestEntry> records =
        IntStream.range(0, 500)
            .mapToObj(i -> PutRecordsRequestEntry.builder().partitionKey("k" + i % 5).data(SdkBytes.fromUtf8String("" + i)).build())
            .collect(Collectors.toList());
    PutRecordsResponse answer = get(client.putRecords(b -> b.streamName(name).records(records)));
    check(answer.failedRecordCount() == 0 && answer.records().size() == 500, answer.failedRecordCount());
    check(read(name, 0).equals(IntStream.range(0, 500).mapToObj(i -> "" + i).collect(Collectors.toList())), "order");
  }

  static void explicitHashKey() throws Exception {
    String name = make(2);
    PutRecordResponse put =
        get(client.putRecord(b -> b.streamName(name).partitionKey("k").explicitHashKey("340282366920938463463374607431768211455").data(SdkBytes.fromUtf8String("x"))));
    check(put.shardId().equals(id(1)), put);
  }

  static void sequences() throws Exception {
    String name = make(1);
    put(name, "k", "one");
    String number = put(name, "k", "two").sequenceNumber();
    put(name, "k", "three");
    for (ShardIteratorType type : List.of(ShardIteratorType.AT_SEQUENCE_NUMBER, ShardIteratorType.AFTER_SEQUENCE_NUMBER)) {
      String at = get(client.getShardIterator(b -> b.streamName(name).shardId(id(0)).shardIteratorType(type).startingSequenceNumber(number))).shardIterator();
      List<String> found = texts(get(client.getRecords(b -> b.shardIterator(at))).records());
      check(found.equals(type == ShardIteratorType.AT_SEQUENCE_NUMBER ? List.of("two", "three") : List.of("three")), found);
    }
  }

  static void timestamp() throws Exception {
    String name = make(1);
    put(name, "k", "before");
    Thread.sleep(50);
    Instant now = Instant.now();
    Thread.sleep(50);
    put(name, "k", "after");
    String at = get(client.getShardIterator(b -> b.streamName(name).shardId(id(0)).shardIteratorType(ShardIteratorType.AT_TIMESTAMP).timestamp(now))).shardIterator();
    check(texts(get(client.getRecords(b -> b.shardIterator(at))).records()).equals(List.of("after")), "timestamp");
  }

  static void latest() throws Exception {
    String name = make(1);
    put(name, "k", "before");
    String at = iterator(name, 0, ShardIteratorType.LATEST);
    put(name, "k", "after");
    check(texts(get(client.getRecords(b -> b.shardIterator(at))).records()).equals(List.of("after")), "latest");
  }

  static void errors() throws Exception {
    ResourceNotFoundException missing = fails(ResourceNotFoundException.class, () -> get(client.describeStream(b -> b.streamName("none"))));
    check(missing.getMessage().contains("not found"), missing.getMessage());
    String name = make(1);
    fails(ResourceInUseException.class, () -> get(client.createStream(b -> b.streamName(name).shardCount(1))));
    fails(InvalidArgumentException.class, () -> get(client.getRecords(b -> b.shardIterator("AAAA"))));
    check(fails(KinesisException.class, () -> get(client.createStream(b -> b.streamName("x").shardCount(0)))).awsErrorDetails().errorCode().equals("ValidationException"), "code");
  }

  static void split() throws Exception {
    String name = make(1);
    put(name, "k", "parent");
    get(client.splitShard(b -> b.streamName(name).shardToSplit(id(0)).newStartingHashKey("170141183460469231731687303715884105728")));
    String child = put(name, "k", "child").shardId();
    String at = iterator(name, 0, ShardIteratorType.TRIM_HORIZON);
    GetRecordsResponse first = get(client.getRecords(b -> b.shardIterator(at)));
    check(texts(first.records()).equals(List.of("parent")), first);
    GetRecordsResponse end = get(client.getRecords(b -> b.shardIterator(first.nextShardIterator())));
    check(end.nextShardIterator() == null, end);
    check(end.childShards().stream().anyMatch(one -> one.shardId().equals(child) && one.parentShards().equals(List.of(id(0)))), end);
  }

  static void merge() throws Exception {
    String name = make(2);
    get(client.mergeShards(b -> b.streamName(name).shardToMerge(id(0)).adjacentShardToMerge(id(1))));
    Shard merged = get(client.listShards(b -> b.streamName(name))).shards().get(2);
    check(merged.parentShardId().equals(id(0)) && merged.adjacentParentShardId().equals(id(1)), merged);
  }

  static void rescale() throws Exception {
    String name = make(2);
    UpdateShardCountResponse answer = get(client.updateShardCount(b -> b.streamName(name).targetShardCount(4).scalingType(ScalingType.UNIFORM_SCALING)));
    check(answer.currentShardCount() == 2 && answer.targetShardCount() == 4, answer);
    check(get(client.listShards(b -> b.streamName(name).shardFilter(f -> f.type(ShardFilterType.AT_LATEST)))).shards().size() == 4, "open");
  }

  static void pages() throws Exception {
    String name = make(5);
    ListShardsResponse first = get(client.listShards(b -> b.streamName(name).maxResults(3)));
    ListShardsResponse second = get(client.listShards(b -> b.nextToken(first.nextToken()).maxResults(3)));
    check(first.shards().size() == 3 && second.shards().size() == 2 && second.nextToken() == null, first, second);
  }

  static void tags() throws Exception {
    String name = make(1);
    get(client.addTagsToStream(b -> b.streamName(name).tags(Map.of("team", "ä", "gone", ""))));
    get(client.removeTagsFromStream(b -> b.streamName(name).tagKeys("gone")));
    List<Tag> found = get(client.listTagsForStream(b -> b.streamName(name))).tags();
    check(found.equals(List.of(Tag.builder().key("team").value("ä").build())), found);
  }

  static void retention() throws Exception {
    String name = make(1);
    get(client.increaseStreamRetentionPeriod(b -> b.streamName(name).retentionPeriodHours(100)));
    check(get(client.describeStream(b -> b.streamName(name))).streamDescription().retentionPeriodHours() == 100, "hours");
    fails(InvalidArgumentException.class, () -> get(client.decreaseStreamRetentionPeriod(b -> b.streamName(name).retentionPeriodHours(1))));
  }

  static void consumer() throws Exception {
    String arn = arn(make(1));
    Consumer made = get(client.registerStreamConsumer(b -> b.streamARN(arn).consumerName("c"))).consumer();
    check(get(client.describeStreamConsumer(b -> b.consumerARN(made.consumerARN()))).consumerDescription().streamARN().equals(arn), made);
    get(client.deregisterStreamConsumer(b -> b.consumerARN(made.consumerARN())));
    check(get(client.listStreamConsumers(b -> b.streamARN(arn))).consumers().isEmpty(), "consumers");
  }

  static void subscription() throws Exception {
    String name = make(1);
    String arn = arn(name);
    String consumer = get(client.registerStreamConsumer(b -> b.streamARN(arn).consumerName("c"))).consumer().consumerARN();
    put(name, "k", "before");
    List<String> found = new CopyOnWriteArrayList<>();
    List<String> children = new CopyOnWriteArrayList<>();
    SubscribeToShardResponseHandler handler =
        SubscribeToShardResponseHandler.builder()
            .subscriber(
                event -> {
                  if (!(event instanceof SubscribeToShardEvent)) return;
                  SubscribeToShardEvent records = (SubscribeToShardEvent) event;
                  found.addAll(texts(records.records()));
                  records.childShards().forEach(child -> children.add(child.shardId()));
                })
            .build();
    CompletableFuture<Void> over =
        client.subscribeToShard(
            b -> b.consumerARN(consumer).shardId(id(0)).startingPosition(s -> s.type(ShardIteratorType.TRIM_HORIZON)), handler);
    for (int i = 0; i < 100 && found.isEmpty(); i++) Thread.sleep(50);
    put(name, "k", "during");
    get(client.splitShard(b -> b.streamName(name).shardToSplit(id(0)).newStartingHashKey("100")));
    over.get(60, TimeUnit.SECONDS);
    check(found.equals(List.of("before", "during")) && children.equals(List.of(id(1), id(2))), found, children);
  }

  static void concurrent() throws Exception {
    String name = make(4);
    List<CompletableFuture<PutRecordResponse>> all = new ArrayList<>();
    for (int i = 0; i < 200; i++) {
      int n = i;
      all.add(client.putRecord(b -> b.streamName(name).partitionKey("k" + n).data(SdkBytes.fromUtf8String("" + n))));
    }
    for (CompletableFuture<PutRecordResponse> one : all) get(one);
    int count = 0;
    for (int shard = 0; shard < 4; shard++) count += read(name, shard).size();
    check(count == 200, count);
  }

  static void run(String says, Behaviour behaviour) {
    String error = "null";
    try {
      behaviour.run();
    } catch (Throwable thrown) {
      StringWriter text = new StringWriter();
      thrown.printStackTrace(new PrintWriter(text));
      error = quoted(text.toString().substring(0, Math.min(1500, text.toString().length())));
    }
    System.out.println("{\"says\":" + quoted(says) + ",\"error\":" + error + "}");
  }

  static String quoted(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (char c : text.toCharArray())
      if (c == '"' || c == '\\') out.append('\\').append(c);
      else if (c < ' ') out.append(String.format("\\u%04x", (int) c));
      else out.append(c);
    return out.append('"').toString();
  }

  public static void main(String[] args) {
    client =
        KinesisAsyncClient.builder()
            .endpointOverride(URI.create("http://" + args[0]))
            .region(Region.US_EAST_1)
            .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("x", "y")))
            .build();
    run("a stream is made, waited for, described and removed", Behaviours::lifecycle);
    run("a record comes back as it was put", Behaviours::record);
    run("500 records at once lie in order", Behaviours::batch);
    run("an explicit hash key decides the shard", Behaviours::explicitHashKey);
    run("iterators at and after a sequence number", Behaviours::sequences);
    run("an iterator at a time", Behaviours::timestamp);
    run("an iterator at the latest sees what comes then", Behaviours::latest);
    run("errors are the exceptions that the SDK has for them", Behaviours::errors);
    run("a shard is split and its records are read before its children's", Behaviours::split);
    run("two shards are merged", Behaviours::merge);
    run("a stream is brought to another count of shards", Behaviours::rescale);
    run("shards are listed page by page", Behaviours::pages);
    run("tags", Behaviours::tags);
    run("retention goes up, and not below a day", Behaviours::retention);
    run("a consumer is registered, described and removed", Behaviours::consumer);
    run("a subscription has what was there and what comes, and ends where the shard ends", Behaviours::subscription);
    run("200 puts at once over one connection", Behaviours::concurrent);
    client.close();
    System.exit(0);
  }
}
