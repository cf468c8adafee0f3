"""confluent-kafka (librdkafka) with no option but the address: one function a behaviour, one JSON line a result."""
import json
import sys
import time
import traceback

from confluent_kafka import (
    OFFSET_BEGINNING,
    ConsumerGroupTopicPartitions,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

address = sys.argv[1]
base = {"bootstrap.servers": address}
run = format(int(time.time() * 1000), "x")
names = 0


def fresh(stem="py"):
    global names
    names += 1
    return f"{stem}-{run}-{names}"


# One that lives: requests under way end with the client that sent them.
the_admin = AdminClient(base)


def admin():
    return the_admin


def done(futures, timeout=20):
    return {name: future.result(timeout) for name, future in futures.items()}


def make(partitions=1, **config):
    name = fresh()
    done(admin().create_topics([NewTopic(name, partitions, 1, config=config)]))
    return name


def produce(topic, values, config=None, **options):
    reports = []
    producer = Producer({**base, **(config or {})})
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, message: reports.append((error, message)), **options)
        producer.poll(0)
    assert producer.flush(30) == 0, "messages are left"
    assert len(reports) == len(values), reports
    return reports


def consume(topic, count, group=None, config=None, within=20):
    consumer = Consumer({**base, "group.id": group or fresh("group"), "auto.offset.reset": "earliest", **(config or {})})
    consumer.subscribe([topic])
    messages = read(consumer, count, within)
    consumer.close()
    return messages


def read(consumer, count, within=20):
    messages, give_up = [], time.time() + within
    while len(messages) < count:
        assert time.time() < give_up, f"{len(messages)} of {count} messages"
        message = consumer.poll(0.2)
        if message is not None:
            assert message.error() is None, message.error()
            messages.append(message)
    return messages


def values(messages):
    return [message.value() for message in messages]


def same(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"


behaviours = []


def behaviour(says):
    return lambda call: behaviours.append((says, call)) or call


@behaviour("the cluster: its id, one broker, itself the controller")
def _():
    cluster = admin().describe_cluster().result(20)
    same(len(cluster.cluster_id), 22)
    same([(node.id, f"{node.host}:{node.port}") for node in cluster.nodes], [(1, address)])
    same(cluster.controller.id, 1)


@behaviour("topics are created, listed, described and deleted")
def _():
    name = make(3)
    listed = admin().list_topics(timeout=20).topics
    same(sorted(listed[name].partitions), [0, 1, 2])
    described = done(admin().describe_topics(TopicCollection([name])))[name]
    same([(one.id, one.leader.id, [n.id for n in one.isr]) for one in described.partitions], [(i, 1, [1]) for i in range(3)])
    done(admin().delete_topics([name]))
    assert name not in admin().list_topics(timeout=20).topics


@behaviour("creating a topic twice, with replicas there are none for, or a bad name, is refused")
def _():
    name = make()
    for wanted, error in [
        (NewTopic(name, 1, 1), KafkaError.TOPIC_ALREADY_EXISTS),
        (NewTopic(fresh(), 1, 3), KafkaError.INVALID_REPLICATION_FACTOR),
        (NewTopic("not a name", 1, 1), KafkaError.TOPIC_EXCEPTION),
        (NewTopic(fresh(), 1, 1, config={"no.such": "1"}), KafkaError.INVALID_CONFIG),
    ]:
        try:
            done(admin().create_topics([wanted]))
            raise AssertionError(f"{wanted} was created")
        except KafkaException as refused:
            same(refused.args[0].code(), error)


@behaviour("checking only creates nothing")
def _():
    name = fresh()
    done(admin().create_topics([NewTopic(name, 1, 1)], validate_only=True))
    assert name not in admin().list_topics(timeout=20).topics


@behaviour("partitions are added")
def _():
    name = make(1)
    done(admin().create_partitions([NewPartitions(name, 4)]))
    same(len(admin().list_topics(name, timeout=20).topics[name].partitions), 4)


@behaviour("settings are described and changed")
def _():
    name = make(**{"retention.ms": "60000"})
    resource = ConfigResource(ResourceType.TOPIC, name)
    same(done(admin().describe_configs([resource]))[resource]["retention.ms"].value, "60000")
    entry = ConfigEntry("retention.ms", "90000", incremental_operation=AlterConfigOpType.SET)
    done(admin().incremental_alter_configs([ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])]))
    same(done(admin().describe_configs([resource]))[resource]["retention.ms"].value, "90000")


@behaviour("settings of the broker are described")
def _():
    resource = ConfigResource(ResourceType.BROKER, "1")
    assert "message.max.bytes" in done(admin().describe_configs([resource]))[resource]


@behaviour("a topic that nobody created is there with the first message")
def _():
    name = fresh()
    error, message = produce(name, [b"first"])[0]
    same((error, message.partition(), message.offset()), (None, 0, 0))
    same(values(consume(name, 1)), [b"first"])


for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:

    @behaviour(f"messages compressed with {codec} are read again")
    def _(codec=codec):
        name = make()
        sent = [f"message {i} ".encode() * 20 for i in range(500)]
        produce(name, sent, {"compression.type": codec})
        same(values(consume(name, len(sent))), sent)


@behaviour("keys, headers and timestamps come back as they were")
def _():
    name = make()
    headers = [("one", b"1"), ("two", None), ("one", b"again"), ("bytes", bytes(range(256)))]
    produce(name, [b"v"], key="schlüssel", headers=headers, timestamp=1_700_000_000_123)
    produce(name, [None], key=b"tombstone")
    first, second = consume(name, 2)
    same((first.key().decode(), first.value(), first.headers()), ("schlüssel", b"v", headers))
    same(first.timestamp(), (1, 1_700_000_000_123))
    same((second.key(), second.value()), (b"tombstone", None))


@behaviour("message.timestamp.type=LogAppendTime gives the time of arrival")
def _():
    name = make(**{"message.timestamp.type": "LogAppendTime"})
    before = int(time.time() * 1000)
    produce(name, [b"v"], timestamp=1000)
    kind, at = consume(name, 1)[0].timestamp()
    same(kind, 2)
    assert before - 1000 <= at <= before + 20_000, at


for acks in ["0", "1", "all"]:

    @behaviour(f"acks={acks} writes")
    def _(acks=acks):
        name = make()
        produce(name, [b"a", b"b"], {"acks": acks})
        same(values(consume(name, 2)), [b"a", b"b"])


@behaviour("an idempotent producer writes everything once and in order")
def _():
    name = make()
    sent = [str(i).encode() for i in range(20_000)]
    produce(name, sent, {"enable.idempotence": True, "linger.ms": 0, "batch.num.messages": 100, "queue.buffering.max.messages": 100_000})
    same(values(consume(name, len(sent), within=40)), sent)


@behaviour("a message beyond the limit is refused")
def _():
    name = make()
    error, _ = produce(name, [b"x" * 2_000_000], {"message.max.bytes": 4_000_000})[0]
    same(error.code(), KafkaError.MSG_SIZE_TOO_LARGE)


@behaviour("a group goes on where it committed; its lag is what is left")
def _():
    name, group = make(), fresh("group")
    produce(name, [b"1", b"2"])
    same(values(consume(name, 2, group)), [b"1", b"2"])
    produce(name, [b"3", b"4", b"5"])
    consumer = Consumer({**base, "group.id": group})
    [committed] = consumer.committed([TopicPartition(name, 0)], timeout=20)
    low, high = consumer.get_watermark_offsets(TopicPartition(name, 0), timeout=20)
    same((low, committed.offset, high), (0, 2, 5))
    consumer.close()
    same(values(consume(name, 3, group)), [b"3", b"4", b"5"])


@behaviour("a committed position keeps its note")
def _():
    name, group = make(), fresh("group")
    produce(name, [b"1"])
    consumer = Consumer({**base, "group.id": group, "enable.auto.commit": False})
    consumer.commit(offsets=[TopicPartition(name, 0, 1, metadata="a note")], asynchronous=False)
    [committed] = consumer.committed([TopicPartition(name, 0)], timeout=20)
    same((committed.offset, committed.metadata), (1, "a note"))
    consumer.close()


for strategy in ["range", "roundrobin", "cooperative-sticky"]:

    @behaviour(f"partitions move when a member comes and when it goes ({strategy})")
    def _(strategy=strategy):
        name, group = make(4), fresh("group")
        config = {**base, "group.id": group, "partition.assignment.strategy": strategy}
        one, two = Consumer(config), Consumer(config)

        def balanced(members, counts):
            give_up = time.time() + 40
            while sorted(len(member.assignment()) for member in members) != counts:
                assert time.time() < give_up, [member.assignment() for member in members]
                for member in members:
                    member.poll(0.1)

        one.subscribe([name])
        balanced([one], [4])
        two.subscribe([name])
        balanced([one, two], [2, 2])
        state = done(admin().describe_consumer_groups([group]))[group]
        same((state.state.name, len(state.members)), ("STABLE", 2))
        two.close()
        balanced([one], [4])
        one.close()


@behaviour("a static member comes back to its partitions without a rebalance")
def _():
    name, group = make(2), fresh("group")
    config = {**base, "group.id": group, "group.instance.id": "station-1", "session.timeout.ms": 30000}
    assigned = []
    for _ in range(2):
        member = Consumer(config)
        member.subscribe([name], on_assign=lambda _, partitions: assigned.append(len(partitions)))
        give_up = time.time() + 20
        while len(assigned) == 0 or len(member.assignment()) != 2:
            assert time.time() < give_up, assigned
            member.poll(0.1)
        member.close()
    same(assigned, [2, 2])
    state = done(admin().describe_consumer_groups([group]))[group]
    same([member.group_instance_id for member in state.members], ["station-1"])


@behaviour("positions are found by time")
def _():
    name = make()
    for i in range(3):
        produce(name, [str(i).encode()], timestamp=1000 * (i + 1))
    consumer = Consumer({**base, "group.id": fresh("group")})
    for at, offset in [(1, 0), (1500, 1), (3000, 2), (9999, -1)]:
        [found] = consumer.offsets_for_times([TopicPartition(name, 0, at)], timeout=20)
        same(found.offset, offset)
    consumer.close()


@behaviour("the admin lists offsets: earliest, latest, of the largest time, at a time")
def _():
    name = make()
    for i, at in enumerate([1000, 3000, 2000]):
        produce(name, [str(i).encode()], timestamp=at)
    partition = TopicPartition(name, 0)

    def at(spec):
        return done(admin().list_offsets({partition: spec}, isolation_level=IsolationLevel.READ_COMMITTED))[partition].offset

    same([at(OffsetSpec.earliest()), at(OffsetSpec.latest()), at(OffsetSpec.max_timestamp())], [0, 3, 1])
    same(at(OffsetSpec.for_timestamp(1500)), 1)


@behaviour("a consumer seeks, pauses and resumes")
def _():
    name = make()
    produce(name, [b"a", b"b", b"c"])
    consumer = Consumer({**base, "group.id": fresh("group"), "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(name, 0, OFFSET_BEGINNING)])
    same(values(read(consumer, 3)), [b"a", b"b", b"c"])
    consumer.seek(TopicPartition(name, 0, 1))
    same(values(read(consumer, 2)), [b"b", b"c"])
    consumer.pause([TopicPartition(name, 0)])
    produce(name, [b"d"])
    assert consumer.poll(1) is None
    consumer.resume([TopicPartition(name, 0)])
    same(values(read(consumer, 1)), [b"d"])
    consumer.close()


@behaviour("groups are listed, their positions read, changed and deleted")
def _():
    name, group = make(), fresh("group")
    produce(name, [b"a", b"b"])
    consume(name, 2, group)
    listed = admin().list_consumer_groups().result(20)
    assert group in [one.group_id for one in listed.valid], listed.errors
    request = ConsumerGroupTopicPartitions(group)
    found = done(admin().list_consumer_group_offsets([request]))[group]
    same([(one.topic, one.offset) for one in found.topic_partitions], [(name, 2)])
    change = ConsumerGroupTopicPartitions(group, [TopicPartition(name, 0, 1)])
    done(admin().alter_consumer_group_offsets([change]))
    same(values(consume(name, 1, group)), [b"b"])
    done(admin().delete_consumer_groups([group]))
    assert group not in [one.group_id for one in admin().list_consumer_groups().result(20).valid]


def modern(group, **more):
    """A consumer of the consumer protocol (KIP-848)."""
    config = {"group.protocol": "consumer", "auto.offset.reset": "earliest", "group.id": group}
    return Consumer({**base, **config, **{key.replace("_", "."): value for key, value in more.items()}})


def holds(members, counts, within=40):
    give_up = time.time() + within
    while sorted(len(member.assignment()) for member in members) != counts:
        assert time.time() < give_up, [member.assignment() for member in members]
        for member in members:
            member.poll(0.1)


@behaviour("a group of the consumer protocol goes on where it committed")
def _():
    name, group = make(2), fresh("group")
    produce(name, [b"a", b"b"])
    for _ in range(2):
        consumer = modern(group)
        consumer.subscribe([name])
        same(sorted(values(read(consumer, 2))), [b"a", b"b"])
        consumer.commit(asynchronous=False)
        consumer.close()
        produce(name, [b"a", b"b"])


for assignor in ["uniform", "range"]:

    @behaviour(f"partitions move when a member comes and when it goes (consumer protocol, {assignor})")
    def _(assignor=assignor):
        name, group = make(4), fresh("group")
        one = modern(group, group_remote_assignor=assignor)
        two = modern(group, group_remote_assignor=assignor)
        one.subscribe([name])
        holds([one], [4])
        two.subscribe([name])
        holds([one, two], [2, 2])
        state = done(admin().describe_consumer_groups([group]))[group]
        same((state.state.name, len(state.members), state.partition_assignor), ("STABLE", 2, assignor))
        two.close()
        holds([one], [4])
        one.close()


@behaviour("a pattern finds topics, and those that come later (consumer protocol)")
def _():
    stem = fresh("re")
    done(admin().create_topics([NewTopic(f"{stem}-1", 1, 1), NewTopic(f"{stem}-x", 1, 1)]))
    consumer = modern(fresh("group"))
    consumer.subscribe([f"^{stem}-[0-9]"])
    holds([consumer], [1])
    done(admin().create_topics([NewTopic(f"{stem}-2", 1, 1)]))
    holds([consumer], [2])
    consumer.close()


@behaviour("a static member comes back to its partitions (consumer protocol)")
def _():
    name, group = make(4), fresh("group")
    other = modern(group)
    other.subscribe([name])
    holds([other], [4])
    one = modern(group, group_instance_id="station-1")
    one.subscribe([name])
    holds([other, one], [2, 2])
    had = sorted(partition.partition for partition in one.assignment())
    one.close()
    back = modern(group, group_instance_id="station-1")
    back.subscribe([name])
    holds([other, back], [2, 2])
    same(sorted(partition.partition for partition in back.assignment()), had)
    back.close()
    other.close()


@behaviour("a classic consumer and one of the consumer protocol share a group")
def _():
    name, group = make(4), fresh("group")
    classic = Consumer({**base, "group.id": group, "auto.offset.reset": "earliest"})
    classic.subscribe([name])
    holds([classic], [4])
    consumer = modern(group)
    consumer.subscribe([name])
    holds([classic, consumer], [2, 2])
    consumer.close()
    holds([classic], [4])
    classic.close()


@behaviour("records are deleted up to an offset")
def _():
    name = make()
    produce(name, [b"a", b"b", b"c"])
    partition = TopicPartition(name, 0, 2)
    same(done(admin().delete_records([partition]))[partition].low_watermark, 2)
    same(values(consume(name, 1)), [b"c"])


def transactional(**more):
    producer = Producer({**base, "transactional.id": fresh("tx"), **more})
    producer.init_transactions(20)
    return producer


def committed(topic, count):
    consumer = Consumer({**base, "group.id": fresh("group"), "isolation.level": "read_committed"})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    found = values(read(consumer, count))
    time.sleep(0.2)
    assert consumer.poll(0.5) is None, "more than was committed"
    consumer.close()
    return found


@behaviour("transactions: what is committed is seen, what is aborted is not")
def _():
    name = make()
    producer = transactional()
    kept = []
    for i in range(30):
        producer.begin_transaction()
        for j in range(3):
            producer.produce(name, f"{i}/{j}".encode(), partition=0)
        if i % 3 == 0:
            producer.abort_transaction(20)
        else:
            producer.commit_transaction(20)
            kept += [f"{i}/{j}".encode() for j in range(3)]
    same(committed(name, len(kept)), kept)


@behaviour("transactions: positions of a group are committed with the records")
def _():
    name, out, group = make(), make(), fresh("group")
    produce(name, [str(i).encode() for i in range(40)])
    config = {"group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({**base, **config})
    consumer.subscribe([name])
    producer = transactional()
    moved, attempts = 0, 0
    while moved < 40:
        messages = [one for one in consumer.consume(7, 5) if one.error() is None]
        if not messages:
            continue
        attempts += 1
        producer.begin_transaction()
        for one in messages:
            producer.produce(out, one.value(), partition=0)
        producer.send_offsets_to_transaction(
            consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), 20
        )
        if attempts % 3 == 0:
            producer.abort_transaction(20)
            consumer.seek(TopicPartition(name, 0, messages[0].offset()))
        else:
            producer.commit_transaction(20)
            moved += len(messages)
    consumer.close()
    same(sorted(committed(out, 40), key=int), [str(i).encode() for i in range(40)])
    at = admin().list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(20)
    same([(one.topic, one.offset) for one in at.topic_partitions], [(name, 40)])


@behaviour("transactions: a second producer of the id fences the first")
def _():
    name, id = make(), fresh("tx")
    first = transactional(**{"transactional.id": id})
    first.begin_transaction()
    first.produce(name, b"lost", partition=0)
    first.flush(10)
    second = transactional(**{"transactional.id": id})
    second.begin_transaction()
    second.produce(name, b"kept", partition=0)
    second.commit_transaction(20)
    try:
        first.commit_transaction(20)
        raise AssertionError("the first was not fenced")
    except KafkaException as error:
        assert error.args[0].fatal() or error.args[0].txn_requires_abort(), error
    same(committed(name, 1), [b"kept"])


@behaviour("a consumer that waits gets a message soon after it is written")
def _():
    name = make()
    consumer = Consumer({**base, "group.id": fresh("group"), "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(name, 0, OFFSET_BEGINNING)])
    produce(name, [b"first"])
    read(consumer, 1)
    producer = Producer({**base, "linger.ms": 0})
    producer.list_topics(name, timeout=20)
    times = []
    for _ in range(20):
        start = time.time()
        producer.produce(name, b"x")
        producer.flush(10)
        read(consumer, 1)
        times.append(time.time() - start)
    assert sorted(times)[10] < 0.2, times
    consumer.close()


for says, call in behaviours:
    try:
        call()
        error = None
    except Exception:
        error = traceback.format_exc()
    print(json.dumps({"says": says, "error": error}), flush=True)
