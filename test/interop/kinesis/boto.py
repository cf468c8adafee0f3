"""boto3 with no option but the endpoint: one function a behaviour, one JSON line a result."""
import hashlib
import json
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.loaders import Loader

address = sys.argv[1]
run = format(int(time.time() * 1000), "x")
names = 0
behaviours = []


def connect(**more):
    return boto3.client(
        "kinesis",
        endpoint_url=f"http://{address}",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="y",
        config=Config(retries={"max_attempts": 0}, **more),
    )


client = connect()


def behaviour(says):
    def keep(act):
        behaviours.append((says, act))
        return act

    return keep


def fresh():
    global names
    names += 1
    return f"boto-{run}-{names}"


def make(shards=1, **more):
    name = fresh()
    client.create_stream(StreamName=name, ShardCount=shards, **more)
    client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    return name


def shard_id(number):
    return f"shardId-{number:012d}"


def read(name, shard=0, **at):
    at = at or {"ShardIteratorType": "TRIM_HORIZON"}
    iterator = client.get_shard_iterator(StreamName=name, ShardId=shard_id(shard), **at)["ShardIterator"]
    found = []
    while iterator:
        answer = client.get_records(ShardIterator=iterator)
        if not answer["Records"]:
            return found, answer
        found += answer["Records"]
        iterator = answer.get("NextShardIterator")
    return found, answer


def fails(error, act):
    try:
        act()
    except error as caught:
        return str(caught)
    raise AssertionError(f"no {error.__name__}")


@behaviour("a stream is made, waited for, described and removed")
def lifecycle():
    name = make(2)
    description = client.describe_stream(StreamName=name)["StreamDescription"]
    assert description["StreamStatus"] == "ACTIVE" and len(description["Shards"]) == 2
    assert abs(description["StreamCreationTimestamp"].timestamp() - time.time()) < 60
    client.delete_stream(StreamName=name)
    client.get_waiter("stream_not_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})


@behaviour("every operation that botocore lists is known")
def every_operation():
    model = Loader().load_service_model("kinesis", "service-2")
    for operation in model["operations"]:
        request = {
            "X-Amz-Target": f"Kinesis_20131202.{operation}",
            "Content-Type": "application/x-amz-json-1.1",
        }
        try:
            urllib.request.urlopen(urllib.request.Request(f"http://{address}/", b"{}", request)).read()
        except urllib.error.HTTPError as error:
            said = json.loads(error.read())["__type"]
            assert said == "MissingAuthenticationTokenException", (operation, said)


@behaviour("a record comes back as it was put")
def record():
    name = make()
    put = client.put_record(StreamName=name, PartitionKey="schlüssel", Data=bytes(range(256)))
    [found], answer = read(name)
    assert found["Data"] == bytes(range(256)) and found["PartitionKey"] == "schlüssel"
    assert found["SequenceNumber"] == put["SequenceNumber"]
    assert answer["MillisBehindLatest"] == 0


@behaviour("records go to the shard of their hash")
def hashes():
    name = make(4)
    for i in range(50):
        key = f"key-{i}"
        at = int(hashlib.md5(key.encode()).hexdigest(), 16) * 4 >> 128
        assert client.put_record(StreamName=name, PartitionKey=key, Data=b"")["ShardId"] == shard_id(at)
    put = client.put_record(StreamName=name, PartitionKey="k", Data=b"", ExplicitHashKey=str(2**128 - 1))
    assert put["ShardId"] == shard_id(3)


@behaviour("500 records at once are answered one by one, in order")
def batch():
    name = make()
    records = [{"PartitionKey": f"k{i % 5}", "Data": str(i).encode()} for i in range(500)]
    answer = client.put_records(StreamName=name, Records=records)
    assert answer["FailedRecordCount"] == 0
    numbers = [int(one["SequenceNumber"]) for one in answer["Records"]]
    assert numbers == sorted(numbers)
    found, _ = read(name)
    assert [one["Data"] for one in found] == [str(i).encode() for i in range(500)]


@behaviour("iterators at and after a sequence number")
def sequences():
    name = make()
    numbers = [client.put_record(StreamName=name, PartitionKey="k", Data=bytes([i]))["SequenceNumber"] for i in range(3)]
    at, _ = read(name, ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[1])
    after, _ = read(name, ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[1])
    assert [one["Data"] for one in at] == [b"\x01", b"\x02"] and [one["Data"] for one in after] == [b"\x02"]


@behaviour("an iterator at a time")
def timestamps():
    name = make()
    client.put_record(StreamName=name, PartitionKey="k", Data=b"before")
    time.sleep(0.05)
    now = time.time()
    time.sleep(0.05)
    client.put_record(StreamName=name, PartitionKey="k", Data=b"after")
    found, _ = read(name, ShardIteratorType="AT_TIMESTAMP", Timestamp=now)
    assert [one["Data"] for one in found] == [b"after"]


@behaviour("an iterator at the latest sees what comes then")
def latest():
    name = make()
    client.put_record(StreamName=name, PartitionKey="k", Data=b"before")
    iterator = client.get_shard_iterator(StreamName=name, ShardId=shard_id(0), ShardIteratorType="LATEST")["ShardIterator"]
    client.put_record(StreamName=name, PartitionKey="k", Data=b"after")
    assert [one["Data"] for one in client.get_records(ShardIterator=iterator)["Records"]] == [b"after"]


@behaviour("no more records than asked for, and the rest next")
def limited():
    name = make()
    client.put_records(StreamName=name, Records=[{"PartitionKey": "k", "Data": bytes([i])} for i in range(5)])
    iterator = client.get_shard_iterator(StreamName=name, ShardId="0", ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    first = client.get_records(ShardIterator=iterator, Limit=2)
    rest = client.get_records(ShardIterator=first["NextShardIterator"])
    assert [len(one["Records"]) for one in (first, rest)] == [2, 3]


@behaviour("errors are the exceptions that boto3 has for them")
def errors():
    e = client.exceptions
    assert "not found" in fails(e.ResourceNotFoundException, lambda: client.describe_stream(StreamName="none"))
    name = make()
    fails(e.ResourceInUseException, lambda: client.create_stream(StreamName=name, ShardCount=1))
    fails(e.InvalidArgumentException, lambda: client.get_records(ShardIterator="AAAA"))
    fails(
        e.InvalidArgumentException,
        lambda: client.put_record(StreamName=name, PartitionKey="k", Data=b"", ExplicitHashKey=str(2**128)),
    )


@behaviour("a shard is split and its records are read before its children's")
def split():
    name = make()
    client.put_record(StreamName=name, PartitionKey="k", Data=b"parent")
    client.split_shard(StreamName=name, ShardToSplit=shard_id(0), NewStartingHashKey=str(2**127))
    client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    put = client.put_record(StreamName=name, PartitionKey="k", Data=b"child")
    found, end = read(name)
    assert [one["Data"] for one in found] == [b"parent"] and "NextShardIterator" not in end
    assert put["ShardId"] in [one["ShardId"] for one in end["ChildShards"]]


@behaviour("two shards are merged")
def merge():
    name = make(2)
    client.merge_shards(StreamName=name, ShardToMerge=shard_id(0), AdjacentShardToMerge=shard_id(1))
    shards = client.list_shards(StreamName=name)["Shards"]
    assert shards[2]["ParentShardId"] == shard_id(0) and shards[2]["AdjacentParentShardId"] == shard_id(1)
    assert shards[2]["HashKeyRange"] == {"StartingHashKey": "0", "EndingHashKey": str(2**128 - 1)}


@behaviour("a stream is brought to another count of shards, and its ranges are even")
def rescale():
    name = make(2)
    client.update_shard_count(StreamName=name, TargetShardCount=4, ScalingType="UNIFORM_SCALING")
    open_shards = client.list_shards(StreamName=name, ShardFilter={"Type": "AT_LATEST"})["Shards"]
    starts = sorted(int(one["HashKeyRange"]["StartingHashKey"]) for one in open_shards)
    assert starts == [i * 2**126 for i in range(4)]


@behaviour("streams and shards are given page by page")
def pages():
    made = {make(3) for _ in range(3)}
    names_found = [one for page in client.get_paginator("list_streams").paginate(Limit=2) for one in page["StreamNames"]]
    assert made <= set(names_found) and len(names_found) == len(set(names_found))
    name = sorted(made)[0]
    # The paginator of list_shards sends name and token together, which the service refuses.
    first = client.list_shards(StreamName=name, MaxResults=2)
    shards = first["Shards"] + client.list_shards(NextToken=first["NextToken"])["Shards"]
    assert len(shards) == 3


@behaviour("tags by both of their interfaces")
def tags():
    name = make(Tags={"made": "yes"})
    arn = client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    client.add_tags_to_stream(StreamName=name, Tags={"team": "ä"})
    client.tag_resource(ResourceARN=arn, Tags={"more": ""})
    client.remove_tags_from_stream(StreamName=name, TagKeys=["made"])
    wanted = [{"Key": "more", "Value": ""}, {"Key": "team", "Value": "ä"}]
    assert client.list_tags_for_stream(StreamName=name)["Tags"] == wanted
    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == wanted


@behaviour("retention goes up and down")
def retention():
    name = make()
    client.increase_stream_retention_period(StreamName=name, RetentionPeriodHours=168)
    client.decrease_stream_retention_period(StreamName=name, RetentionPeriodHours=24)
    assert client.describe_stream(StreamName=name)["StreamDescription"]["RetentionPeriodHours"] == 24
    fails(
        client.exceptions.InvalidArgumentException,
        lambda: client.increase_stream_retention_period(StreamName=name, RetentionPeriodHours=9000),
    )


@behaviour("a consumer has records sent to it over HTTP/1.1")
def subscription():
    name = make()
    arn = client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    consumer = client.register_stream_consumer(StreamARN=arn, ConsumerName="c")["Consumer"]
    assert client.describe_stream_consumer(ConsumerARN=consumer["ConsumerARN"])["ConsumerDescription"]["StreamARN"] == arn
    client.put_record(StreamName=name, PartitionKey="k", Data=b"one")
    stream = client.subscribe_to_shard(
        ConsumerARN=consumer["ConsumerARN"], ShardId=shard_id(0), StartingPosition={"Type": "TRIM_HORIZON"}
    )["EventStream"]
    threading.Timer(0.3, lambda: connect().put_record(StreamName=name, PartitionKey="k", Data=b"two")).start()
    found = []
    for event in stream:
        found += [one["Data"] for one in event["SubscribeToShardEvent"]["Records"]]
        if len(found) >= 2:
            break
    stream.close()
    assert found == [b"one", b"two"]
    client.deregister_stream_consumer(ConsumerARN=consumer["ConsumerARN"])
    assert client.list_stream_consumers(StreamARN=arn)["Consumers"] == []


@behaviour("flags of encryption and monitoring are kept")
def flags():
    name = make()
    client.start_stream_encryption(StreamName=name, EncryptionType="KMS", KeyId="alias/mine")
    assert client.put_record(StreamName=name, PartitionKey="k", Data=b"")["EncryptionType"] == "KMS"
    client.stop_stream_encryption(StreamName=name, EncryptionType="KMS", KeyId="alias/mine")
    client.enable_enhanced_monitoring(StreamName=name, ShardLevelMetrics=["ALL"])
    description = client.describe_stream(StreamName=name)["StreamDescription"]
    assert len(description["EnhancedMonitoring"][0]["ShardLevelMetrics"]) == 7


@behaviour("a queue shares out records, and gives them again that were not acknowledged")
def queue():
    name = make()
    arn = client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    made = client.create_queue(
        QueueName=name,
        StreamConfigurationList=[{"StreamARN": arn, "StartingPosition": {"Type": "TRIM_HORIZON"}}],
        QueueAttributes={"VisibilityTimeoutSeconds": 1},
    )["QueueDescription"]["QueueARN"]
    client.put_records(StreamName=name, Records=[{"PartitionKey": "k", "Data": bytes([i])} for i in range(3)])
    first = client.receive_queue_records(QueueARN=made, WaitTimeSeconds=5)["QueueRecords"]
    assert [one["Data"] for one in first] == [b"\x00", b"\x01", b"\x02"]
    done = client.acknowledge_queue_records(QueueARN=made, Entries=[{"ReceiptHandle": first[0]["ReceiptHandle"]}])
    assert len(done["Successful"]) == 1 and done["Failed"] == []
    again = []
    until = time.time() + 20
    while len(again) < 2 and time.time() < until:
        again += client.receive_queue_records(QueueARN=made, WaitTimeSeconds=2)["QueueRecords"]
    assert sorted(one["Data"] for one in again) == [b"\x01", b"\x02"], again
    assert all(one["ReceiveCount"] == 2 for one in again)
    client.delete_queue(QueueARN=made)


@behaviour("channels: the limit is none")
def channels():
    assert client.list_channels()["ChannelSummaries"] == []
    assert client.describe_limits()["ChannelCountLimit"] == 0


for says, act in behaviours:
    error = None
    try:
        act()
    except Exception:
        error = traceback.format_exc(limit=4)
    print(json.dumps({"says": says, "error": error}), flush=True)
