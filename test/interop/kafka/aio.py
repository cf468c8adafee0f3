"""aiokafka with no option but the address: one function a behaviour, one JSON line a result."""
import asyncio
import json
import re
import sys
import time
import traceback

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, OffsetAndMetadata, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    IllegalOperation,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)

address = sys.argv[1]
base = {"bootstrap_servers": address}
run = format(int(time.time() * 1000), "x")
names = 0
behaviours = []


def behaviour(says):
    def keep(act):
        behaviours.append((says, act))
        return act

    return keep


def fresh(stem="aio"):
    global names
    names += 1
    return f"{stem}-{run}-{names}"


async def make(partitions=1, **config):
    name = fresh()
    async with Admin() as admin:
        await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config)])
    return name


class Admin:
    async def __aenter__(self):
        self.client = AIOKafkaAdminClient(**base)
        await self.client.start()
        return self.client

    async def __aexit__(self, *_):
        await self.client.close()


async def produce(topic, values, partition=None, **config):
    async with AIOKafkaProducer(**base, **config) as producer:
        return [await producer.send_and_wait(topic, value, partition=partition) for value in values]


async def read(consumer, count, within=30):
    found, give_up = [], time.monotonic() + within
    while len(found) < count:
        assert time.monotonic() < give_up, f"{len(found)} of {count} messages"
        for messages in (await consumer.getmany(timeout_ms=200)).values():
            found.extend(messages)
    return found


async def consume(topic, count, **config):
    consumer = AIOKafkaConsumer(topic, **{**base, "auto_offset_reset": "earliest", **config})
    async with consumer:
        return await read(consumer, count)


def same(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"


async def refused(awaitable, *errors):
    try:
        await awaitable
    except errors as error:
        return error
    raise AssertionError(f"not refused with {errors}")


@behaviour("records come back as they were: key, value, headers, time, tombstones")
async def round_trip():
    topic = await make()
    headers = [("a", b"1"), ("a", b"2"), ("none", b"")]
    async with AIOKafkaProducer(**base) as producer:
        sent = await producer.send_and_wait(topic, b"v", b"k", timestamp_ms=1_700_000_000_123, headers=headers)
        await producer.send_and_wait(topic, None, b"k")
        await producer.send_and_wait(topic, b"")
    same(sent.offset, 0)
    found = await consume(topic, 3)
    same([(one.key, one.value) for one in found], [(b"k", b"v"), (b"k", None), (None, b"")])
    same(list(found[0].headers), headers)
    same((found[0].timestamp, found[0].timestamp_type), (1_700_000_000_123, 0))


for codec in ("gzip", "snappy", "lz4", "zstd"):

    @behaviour(f"compressed with {codec}, in batches")
    async def compressed(codec=codec):
        topic = await make()
        async with AIOKafkaProducer(**base, compression_type=codec, linger_ms=50) as producer:
            sent = [await producer.send(topic, b"value %d" % i * 20) for i in range(500)]
            same([(await one).offset for one in sent], list(range(500)))
        same([one.value for one in await consume(topic, 500)], [b"value %d" % i * 20 for i in range(500)])


for acks in (0, 1, "all"):

    @behaviour(f"acks={acks}")
    async def acknowledged(acks=acks):
        topic = await make()
        await produce(topic, [b"a", b"b"], acks=acks)
        same([one.value for one in await consume(topic, 2)], [b"a", b"b"])


@behaviour("a batch that was built by hand")
async def by_hand():
    topic = await make()
    async with AIOKafkaProducer(**base) as producer:
        batch = producer.create_batch()
        for i in range(10):
            assert batch.append(key=None, value=b"%d" % i, timestamp=None) is not None
        batch.close()
        same((await (await producer.send_batch(batch, topic, partition=0))).offset, 0)
    same([one.value for one in await consume(topic, 10)], [b"%d" % i for i in range(10)])


@behaviour("an idempotent producer, in order")
async def idempotent():
    topic = await make()
    async with AIOKafkaProducer(**base, enable_idempotence=True) as producer:
        sent = [await producer.send(topic, b"%d" % i) for i in range(2_000)]
        same([(await one).offset for one in sent], list(range(2_000)))
    same([one.value for one in await consume(topic, 2_000)], [b"%d" % i for i in range(2_000)])


@behaviour("a record that is too large is refused, and the next one taken")
async def too_large():
    topic = await make(**{"max.message.bytes": "2000"})
    async with AIOKafkaProducer(**base, max_request_size=100_000) as producer:
        await refused(producer.send_and_wait(topic, b"x" * 50_000), KafkaError)
        same((await producer.send_and_wait(topic, b"fits")).offset, 0)


@behaviour("a topic is made by its first use")
async def auto_created():
    topic = fresh()
    await produce(topic, [b"first"])
    same([one.value for one in await consume(topic, 1)], [b"first"])


@behaviour("a group goes on from what it committed")
async def committed():
    topic, group = await make(), fresh("group")
    await produce(topic, [b"0", b"1", b"2"])
    config = {"group_id": group, "enable_auto_commit": False, "auto_offset_reset": "earliest"}
    partition = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(topic, **base, **config) as consumer:
        same(len(await read(consumer, 3)), 3)
        await consumer.commit({partition: OffsetAndMetadata(1, "so far")})
        same(await consumer.committed(partition), 1)
    async with AIOKafkaConsumer(topic, **base, **config) as consumer:
        same([one.value for one in await read(consumer, 2)], [b"1", b"2"])


@behaviour("positions are committed by themselves")
async def auto_committed():
    topic, group = await make(), fresh("group")
    await produce(topic, [b"0", b"1"])
    await consume(topic, 2, group_id=group)
    await produce(topic, [b"2"])
    same([one.value for one in await consume(topic, 1, group_id=group)], [b"2"])


for assignor in ("range", "roundrobin", "sticky"):

    @behaviour(f"three members share six partitions, and those of one that leaves ({assignor})")
    async def shared(assignor=assignor):
        from aiokafka.coordinator.assignors.range import RangePartitionAssignor
        from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
        from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

        strategy = {
            "range": RangePartitionAssignor,
            "roundrobin": RoundRobinPartitionAssignor,
            "sticky": StickyPartitionAssignor,
        }[assignor]
        topic, group = await make(6), fresh("group")
        config = {"group_id": group, "auto_offset_reset": "earliest", "partition_assignment_strategy": [strategy]}
        members = [AIOKafkaConsumer(topic, **base, **config) for _ in range(3)]

        async def until(sizes, of):
            give_up = time.monotonic() + 60
            while sorted(len(one.assignment()) for one in of) != sizes:
                assert time.monotonic() < give_up, [one.assignment() for one in of]
                await asyncio.gather(*(one.getmany(timeout_ms=100) for one in of))
            assert set().union(*(one.assignment() for one in of)) == {TopicPartition(topic, i) for i in range(6)}

        for member in members:
            await member.start()
        await until([2, 2, 2], members)
        await members[0].stop()
        await until([3, 3], members[1:])
        for i in range(6):
            await produce(topic, [b"%d" % i], partition=i)
        found = []
        give_up = time.monotonic() + 30
        while len(found) < 6:
            assert time.monotonic() < give_up, found
            for member in members[1:]:
                for messages in (await member.getmany(timeout_ms=100)).values():
                    found.extend(one.value for one in messages)
        same(sorted(found), [b"%d" % i for i in range(6)])
        for member in members[1:]:
            await member.stop()


@behaviour("topics by pattern, those that come later too; the listener is told")
async def by_pattern():
    stem = fresh("pattern")
    told = []

    class Listener(ConsumerRebalanceListener):
        async def on_partitions_revoked(self, revoked):
            told.append(("revoked", len(revoked)))

        async def on_partitions_assigned(self, assigned):
            told.append(("assigned", len(assigned)))

    consumer = AIOKafkaConsumer(
        **base, group_id=fresh("group"), auto_offset_reset="earliest", metadata_max_age_ms=500
    )
    async with consumer:
        consumer.subscribe(pattern=f"^{re.escape(stem)}-.*", listener=Listener())
        for name in ("one", "two"):
            await produce(f"{stem}-{name}", [name.encode()])
            same([one.value for one in await read(consumer, 1)], [name.encode()])
    assert ("assigned", 2) in told, told


@behaviour("assigned by hand: seek, beginning, end, paused and resumed")
async def assigned():
    topic = await make()
    await produce(topic, [b"%d" % i for i in range(10)])
    partition = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(**base) as consumer:
        consumer.assign([partition])
        same(await consumer.beginning_offsets([partition]), {partition: 0})
        same(await consumer.end_offsets([partition]), {partition: 10})
        consumer.seek(partition, 7)
        same([one.value for one in await read(consumer, 3)], [b"7", b"8", b"9"])
        await consumer.seek_to_beginning(partition)
        same(len(await read(consumer, 10)), 10)
        consumer.pause(partition)
        await consumer.seek_to_beginning(partition)
        same(await consumer.getmany(timeout_ms=500), {})
        consumer.resume(partition)
        same(len(await read(consumer, 10)), 10)
        await consumer.seek_to_end(partition)
        same(await consumer.position(partition), 10)
        same(consumer.highwater(partition), 10)


@behaviour("offsets by time")
async def by_time():
    topic = await make()
    async with AIOKafkaProducer(**base) as producer:
        for i in range(5):
            await producer.send_and_wait(topic, b"%d" % i, timestamp_ms=1_700_000_000_000 + i * 1_000)
    partition = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(**base) as consumer:
        consumer.assign([partition])
        found = await consumer.offsets_for_times({partition: 1_700_000_001_500})
        same((found[partition].offset, found[partition].timestamp), (2, 1_700_000_002_000))
        same((await consumer.offsets_for_times({partition: 1_800_000_000_000}))[partition], None)


@behaviour("a position that is gone is reset as the consumer wants it")
async def reset():
    topic = await make()
    await produce(topic, [b"0", b"1"])
    partition = TopicPartition(topic, 0)
    async with Admin() as admin:
        await admin.delete_records({partition: RecordsToDelete(before_offset=1)})
    async with AIOKafkaConsumer(**base, auto_offset_reset="earliest") as consumer:
        consumer.assign([partition])
        consumer.seek(partition, 0)
        same([one.offset for one in await read(consumer, 1)], [1])


async def transactional(**config):
    producer = AIOKafkaProducer(**base, **{"transactional_id": fresh("tx"), **config})
    await producer.start()
    return producer


@behaviour("transactions: what is committed is seen, what is aborted is not")
async def transactions():
    topic = await make(2)
    producer = await transactional()
    for i, commits in enumerate((True, False, True)):
        try:
            async with producer.transaction():
                for partition in range(2):
                    await producer.send(topic, b"%d" % i, partition=partition)
                if not commits:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass
    await producer.stop()
    found = await consume(topic, 4, isolation_level="read_committed")
    same(sorted(one.value for one in found), [b"0", b"0", b"2", b"2"])
    same(len(await consume(topic, 6)), 6)


@behaviour("a committed reader waits for what is open")
async def waits():
    topic = await make()
    producer = await transactional()
    await producer.begin_transaction()
    await producer.send_and_wait(topic, b"open")
    await produce(topic, [b"after"])
    consumer = AIOKafkaConsumer(topic, **base, auto_offset_reset="earliest", isolation_level="read_committed")
    async with consumer:
        same(await consumer.getmany(timeout_ms=1_000), {})
        await producer.commit_transaction()
        same([one.value for one in await read(consumer, 2)], [b"open", b"after"])
    await producer.stop()


@behaviour("consume, transform, produce: positions go with the records")
async def pipeline():
    source, target, group = await make(), await make(), fresh("group")
    await produce(source, [b"%d" % i for i in range(20)])
    config = {"group_id": group, "enable_auto_commit": False, "isolation_level": "read_committed"}
    producer = await transactional()
    at, rounds = 0, 0
    while at < 20:
        rounds += 1
        reader = AIOKafkaConsumer(source, **base, auto_offset_reset="earliest", **config)
        async with reader:
            messages = (await read(reader, 1))[:7]
        same(messages[0].offset, at)
        await producer.begin_transaction()
        for one in messages:
            await producer.send(target, one.value)
        next_offset = messages[-1].offset + 1
        await producer.send_offsets_to_transaction({TopicPartition(source, 0): next_offset}, group)
        if rounds == 2:
            await producer.abort_transaction()
        else:
            await producer.commit_transaction()
            at = next_offset
    await producer.stop()
    found = await consume(target, 20, isolation_level="read_committed")
    same([one.value for one in found], [b"%d" % i for i in range(20)])


@behaviour("a second producer of the id fences the first")
async def fenced():
    topic, name = await make(), fresh("tx")
    first = await transactional(transactional_id=name)
    await first.begin_transaction()
    await first.send_and_wait(topic, b"lost")
    second = await transactional(transactional_id=name)
    async with second.transaction():
        await second.send(topic, b"kept")

    async def late():
        await first.send_and_wait(topic, b"late")
        await first.commit_transaction()

    await refused(late(), ProducerFenced, OutOfOrderSequenceNumber, IllegalOperation)
    await first.stop()
    await second.stop()
    same([one.value for one in await consume(topic, 1, isolation_level="read_committed")], [b"kept"])


@behaviour("administration: topics are made, described, grown, deleted; what is wrong is refused")
async def administration():
    async with Admin() as admin:
        topic = fresh()
        await admin.create_topics([NewTopic(topic, 2, 1)])
        again = await admin.create_topics([NewTopic(topic, 2, 1)])
        same(again.topic_errors[0][1], TopicAlreadyExistsError.errno)
        assert topic in await admin.list_topics()
        same(len((await admin.describe_topics([topic]))[0]["partitions"]), 2)
        await admin.create_partitions({topic: NewPartitions(5)})
        same(len((await admin.describe_topics([topic]))[0]["partitions"]), 5)
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "12345"})
        await admin.alter_configs([resource])
        described = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        entries = {entry[0]: entry[1] for entry in described[0].resources[0][4]}
        same(entries["retention.ms"], "12345")
        await admin.delete_topics([topic])
        assert topic not in await admin.list_topics()
        gone = await admin.delete_topics([topic])
        same(gone.topic_error_codes[0][1], UnknownTopicOrPartitionError.errno)
        assert (await admin.describe_cluster())["brokers"]


@behaviour("groups are listed, described, and their positions shown")
async def groups():
    topic, group = await make(), fresh("group")
    await produce(topic, [b"0"])
    async with AIOKafkaConsumer(topic, **base, group_id=group, auto_offset_reset="earliest") as consumer:
        await read(consumer, 1)
        await consumer.commit()
        async with Admin() as admin:
            assert group in [one[0] for one in await admin.list_consumer_groups()]
            described = (await admin.describe_consumer_groups([group]))[0].groups[0]
            same((described[1], described[2], len(described[5])), (group, "Stable", 1))
            offsets = await admin.list_consumer_group_offsets(group)
            same({partition: one.offset for partition, one in offsets.items()}, {TopicPartition(topic, 0): 1})
            same((await admin.find_coordinator(group)) > 0, True)


async def main():
    for says, act in behaviours:
        error = None
        try:
            await asyncio.wait_for(act(), 120)
        except BaseException:
            error = traceback.format_exc()
        print(json.dumps({"says": says, "error": error}), flush=True)


asyncio.run(main())
