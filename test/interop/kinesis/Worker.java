import java.net.URI;
import java.util.UUID;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.lifecycle.events.*;
import software.amazon.kinesis.metrics.NullMetricsFactory;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.retrieval.KinesisClientRecord;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

/**
 * A worker of the Kinesis Client Library: `kinesis dynamodb stream application polling|fan-out`. Every record is a line
 * `record SHARD KEY DATA`, the end of a shard `ended SHARD`; after each batch it checkpoints.
 */
public class Worker {
  static synchronized void say(String line) {
    System.out.println(line);
    System.out.flush();
  }

  static class Processor implements ShardRecordProcessor {
    String shard;

    public void initialize(InitializationInput input) {
      shard = input.shardId();
      say("begins " + shard);
    }

    public void processRecords(ProcessRecordsInput input) {
      for (KinesisClientRecord record : input.records()) {
        byte[] data = new byte[record.data().remaining()];
        record.data().get(data);
        say("record " + shard + " " + record.partitionKey() + " " + new String(data));
      }
      try {
        if (!input.records().isEmpty()) input.checkpointer().checkpoint();
      } catch (Exception error) {
        say("error " + error);
      }
    }

    public void leaseLost(LeaseLostInput input) {
      say("lost " + shard);
    }

    public void shardEnded(ShardEndedInput input) {
      try {
        input.checkpointer().checkpoint();
        say("ended " + shard);
      } catch (Exception error) {
        say("error " + error);
      }
    }

    public void shutdownRequested(ShutdownRequestedInput input) {}
  }

  public static void main(String[] args) {
    AwsCredentialsProvider who = StaticCredentialsProvider.create(AwsBasicCredentials.create("x", "y"));
    KinesisAsyncClient kinesis =
        KinesisAsyncClient.builder().endpointOverride(URI.create("http://" + args[0])).region(Region.US_EAST_1).credentialsProvider(who).build();
    DynamoDbAsyncClient leases =
        DynamoDbAsyncClient.builder().endpointOverride(URI.create("http://" + args[1])).region(Region.US_EAST_1).credentialsProvider(who).build();
    CloudWatchAsyncClient watch =
        CloudWatchAsyncClient.builder().endpointOverride(URI.create("http://127.0.0.1:9")).region(Region.US_EAST_1).credentialsProvider(who).build();
    ConfigsBuilder configs =
        new ConfigsBuilder(args[2], args[3], kinesis, leases, watch, UUID.randomUUID().toString(), Processor::new);
    var retrieval =
        configs
            .retrievalConfig()
            .initialPositionInStreamExtended(InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON));
    if (args[4].equals("polling"))
      retrieval.retrievalSpecificConfig(new PollingConfig(args[2], kinesis).idleTimeBetweenReadsInMillis(200));
    Scheduler scheduler =
        new Scheduler(
            configs.checkpointConfig(),
            configs.coordinatorConfig().parentShardPollIntervalMillis(300).shardConsumerDispatchPollIntervalMillis(100),
            configs.leaseManagementConfig().failoverTimeMillis(3000).shardSyncIntervalMillis(1000).initialPositionInStream(
                InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON)),
            configs.lifecycleConfig(),
            configs.metricsConfig().metricsFactory(new NullMetricsFactory()),
            configs.processorConfig(),
            retrieval);
    scheduler.run();
  }
}
