"""
Clients of librdkafka that go on through every disturbance and write what they saw, an operation a line
(`operations.ts` says what each is), until their standard input ends. Started with the address, a name and the topics.
"""

import faulthandler
import json
import random
import signal
import sys
import threading
import time
import traceback

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

address, name, appends, inputs, outputs, partitions = sys.argv[1:7]
partitions = int(partitions)
stopping = threading.Event()
writing = threading.Lock()

# Where each client is, when they do not end.
faulthandler.register(signal.SIGUSR1)

common = {
    "bootstrap.servers": address,
    # librdkafka 2.16 forgets a broker that is away for some seconds, and a transaction's request to it is never sent.
    "metadata.recovery.strategy": "none",
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 200,
    "retry.backoff.ms": 50,
    "socket.timeout.ms": 10_000,
    "socket.connection.setup.timeout.ms": 3_000,
}
reading = {
    **common,
    "enable.auto.commit": False,
    "auto.offset.reset": "error",
    "fetch.wait.max.ms": 100,
    "session.timeout.ms": 6_000,
    "heartbeat.interval.ms": 500,
}


def now():
    """The machine's monotonic clock, the same for all processes."""
    return time.clock_gettime(time.CLOCK_MONOTONIC) * 1000


def note(kind, start, **what):
    line = json.dumps({"kind": kind, "startMs": start, "endMs": now(), **what})
    with writing:
        print(line, flush=True)


def place(topic, partition):
    return f"{topic}/{partition}"


class Appends:
    """Records of one producer; each is noted when it is known what became of it."""

    def __init__(self, producer, who, ordered):
        self.producer, self.who, self.ordered = producer, who, ordered
        self.unknown = 0
        # A report that comes while an error is raised is lost in the binding.
        self.unreported = {}

    def send(self, topic, partition, record, transaction=None):
        start = now()
        what = dict(
            partition=place(topic, partition),
            producer=f"{self.who} in {topic}/{partition}",
            id=record,
            transaction=transaction,
            ordered=self.ordered,
        )
        self.unreported[record] = (start, what)

        def delivered(error, message):
            if error is None:
                offset = message.offset()
                note("append", start, outcome="ok", offset=None if offset is None or offset < 0 else offset, **what)
            else:
                self.unknown += 1
                note("append", start, outcome="unknown", offset=None, **what)
            # Last: a report that is lost ends at its first call into the interpreter, and must be missed then.
            self.unreported.pop(record, None)

        while True:
            try:
                self.producer.produce(topic, record, partition=partition, on_delivery=delivered)
                return
            except BufferError:
                self.producer.poll(0.05)

    def over(self):
        """Nothing more will be reported."""
        for start, what in self.unreported.values():
            note("append", start, outcome="unknown", offset=None, **what)
        self.unreported.clear()


def flush(producer):
    """Waits for all answers. A callback that comes while an error is raised is a SystemError of the binding."""
    try:
        producer.flush(60)
    except SystemError as problem:
        raise problem.__cause__ or problem


def give_up(producer):
    """What it still has to send is told to be unknown."""
    try:
        producer.purge()
        producer.flush(1)
    except (KafkaException, SystemError):
        pass  # It says once more why it is given up.


def is_over(problem):
    """This producer can do nothing more: fenced, or it says once more that it has failed for good."""
    error = problem.args[0]
    return error.fatal() or error.code() in (KafkaError._FENCED, KafkaError._FATAL)


def pause(most=0.02):
    time.sleep(random.random() * most)


def append(who, idempotent):
    """Sends numbered records; an idempotent producer repeats until it is answered, the other sends each once."""
    settings = {"enable.idempotence": True} if idempotent else {"retries": 0, "max.in.flight": 1, "acks": "all"}
    generation = 0
    while not stopping.is_set():
        generation += 1
        producer = Producer({**common, **settings, "linger.ms": 2})
        load = Appends(producer, f"{who}.{generation}", idempotent)
        number = 0
        while not stopping.is_set() and not (idempotent and load.unknown):
            number += 1
            partition = random.randrange(partitions)
            load.send(appends, partition, f"{load.who}:{number}")
            producer.poll(0)
            pause()
        producer.flush(60)
        load.over()


def transact(transactional_id, who, most, rest):
    """Transactions over both partitions of two topics, some aborted; `most` a producer, as others may have the same id."""
    generation = 0
    while not stopping.is_set():
        stopping.wait(rest())
        generation += 1
        producer = Producer({**common, "transactional.id": transactional_id, "transaction.timeout.ms": 60_000})
        load = Appends(producer, f"{who}.{generation}", False)
        try:
            retried(producer.init_transactions)
            for number in range(most):
                if stopping.is_set():
                    break
                one_transaction(producer, load, f"{load.who}:{number}")
        except KafkaException as problem:
            if not is_over(problem):
                print(f"{who}: {problem}", file=sys.stderr)
        # What is left of an open transaction belongs to whoever has the id next.
        give_up(producer)
        load.over()


def one_transaction(producer, load, transaction):
    producer.begin_transaction()
    commits = random.random() < 0.7
    try:
        for number in range(1 + random.randrange(4)):
            for partition in range(partitions):
                load.send(appends, partition, f"{transaction}:{number}:{partition}", transaction)
            producer.poll(0)
            pause()
        # Its own flush, so that what is sent and what is ended are two.
        flush(producer)
    except KafkaException as problem:
        abort(producer, transaction, problem)
        return
    finish(producer, transaction, commits)


def finish(producer, transaction, commits):
    start = now()
    try:
        retried(producer.commit_transaction if commits else producer.abort_transaction)
    except KafkaException as problem:
        note("end", start, transaction=transaction, commits=commits, outcome="unknown")
        if problem.args[0].txn_requires_abort():
            retried(producer.abort_transaction)
            return
        raise
    note("end", start, transaction=transaction, commits=commits, outcome="ok")


def abort(producer, transaction, problem):
    start = now()
    note("end", start, transaction=transaction, commits=False, outcome="unknown")
    if not problem.args[0].txn_requires_abort():
        raise problem
    retried(producer.abort_transaction)


def retried(call):
    while True:
        try:
            return call(30)
        except KafkaException as problem:
            if not problem.args[0].retriable():
                raise


def read(topic, partition, committed):
    """Reads a partition from its start to its end for ever, also over a consumer that gave up."""
    reader = f"{name} {'committed' if committed else 'any'} reader of {topic}/{partition}"
    isolation = "read_committed" if committed else "read_uncommitted"
    offset = 0
    while not stopping.is_set():
        consumer = Consumer({**reading, "group.id": f"{name}-readers", "isolation.level": isolation})
        consumer.assign([TopicPartition(topic, partition, offset)])
        until = time.monotonic() + 5 + random.random() * 5
        while not stopping.is_set() and time.monotonic() < until:
            start = now()
            messages = consumer.consume(500, 0.2)
            broken = next((m.error() for m in messages if m.error() is not None), None)
            if broken is not None and (broken.code() == KafkaError._AUTO_OFFSET_RESET or broken.code() > 0):
                print(f"{reader}: {broken}", file=sys.stderr)
            records = [[m.offset(), m.value().decode()] for m in messages if m.error() is None]
            if records:
                offset = records[-1][0] + 1
                note("poll", start, reader=reader, committed=committed, partition=place(topic, partition), records=records)
        consumer.close()


def bounds():
    # A committed reader is told the last stable offset instead, which waits for open transactions.
    consumer = Consumer({**reading, "group.id": f"{name}-bounds", "isolation.level": "read_uncommitted"})
    while not stopping.is_set():
        partition = random.randrange(partitions)
        start = now()
        try:
            _, end = consumer.get_watermark_offsets(TopicPartition(appends, partition), timeout=5, cached=False)
            note("bounds", start, partition=place(appends, partition), end=end)
        except KafkaException:
            pass
        pause(0.1)
    consumer.close()


def commit_positions():
    """Positions of a group that has no other committer: numbers that grow, each read back."""
    group = f"{name}-positions"
    position = 0
    while not stopping.is_set():
        consumer = Consumer({**reading, "group.id": group})
        until = time.monotonic() + 5
        while not stopping.is_set() and time.monotonic() < until:
            partition = random.randrange(partitions)
            where = {"group": group, "partition": place(appends, partition)}
            position += 1
            start = now()
            try:
                answers = consumer.commit(offsets=[TopicPartition(appends, partition, position)], asynchronous=False)
                outcome = "ok" if answers[0].error is None else "unknown"
            except KafkaException:
                outcome = "unknown"
            note("commit", start, offset=position, outcome=outcome, **where)
            start = now()
            try:
                [found] = consumer.committed([TopicPartition(appends, partition)], timeout=10)
                if found.error is None:
                    note("committed", start, offset=found.offset if found.offset >= 0 else None, **where)
            except KafkaException:
                pass
            pause(0.05)
        consumer.close()


def feed():
    append_to = Producer({**common, "enable.idempotence": True, "linger.ms": 2})
    load = Appends(append_to, f"{name}-feed", True)
    number = 0
    while not stopping.is_set():
        number += 1
        load.send(inputs, number % partitions, f"{load.who}:{number}")
        append_to.poll(0)
        pause()
    append_to.flush(60)
    load.over()


def copy(who):
    """Exactly-once work: what is read, what is written of it and the positions are one transaction."""
    while not stopping.is_set():
        producer = Producer({**common, "transactional.id": f"{name}-{who}", "transaction.timeout.ms": 60_000})
        consumer = Consumer(
            {**reading, "group.id": "copiers", "isolation.level": "read_committed", "auto.offset.reset": "earliest"}
        )
        try:
            retried(producer.init_transactions)
            consumer.subscribe([inputs])
            while not stopping.is_set():
                copy_some(producer, consumer)
        except KafkaException as problem:
            if not (is_over(problem) or problem.args[0].txn_requires_abort() or problem.args[0].retriable()):
                print(f"{who}: {problem}", file=sys.stderr)
        consumer.close()
        give_up(producer)


def copy_some(producer, consumer):
    messages = [m for m in consumer.consume(50, 0.3) if m.error() is None]
    if not messages:
        return
    producer.begin_transaction()
    try:
        for m in messages:
            record = f"copy of {place(m.topic(), m.partition())} {m.offset()}"
            producer.produce(outputs, record, partition=m.partition())
        positions = {(m.topic(), m.partition()): m.offset() + 1 for m in messages}
        offsets = [TopicPartition(topic, partition, at) for (topic, partition), at in positions.items()]
        retried(lambda t: producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), t))
        start = now()
        retried(producer.commit_transaction)
        note("end", start, transaction=f"copy {start}", commits=True, outcome="ok")
    except KafkaException as problem:
        if problem.args[0].txn_requires_abort():
            retried(producer.abort_transaction)
        # Whoever begins anew begins at what is committed.
        raise


roles = [
    lambda: append(f"{name}-idempotent", True),
    lambda: append(f"{name}-plain", False),
    lambda: transact(f"{name}-own-id", f"{name}-own", 1_000_000, lambda: 0),
    lambda: transact("one-id-for-all", f"{name}-rival", 10, lambda: random.random() * 2),
    bounds,
    commit_positions,
    feed,
    lambda: copy("copier"),
]
for partition in range(partitions):
    roles.append(lambda partition=partition: read(appends, partition, True))
    roles.append(lambda partition=partition: read(appends, partition, False))


def play(role):
    try:
        role()
    except BaseException:  # A role that ends early must not look like one that found nothing.
        print(f"a client ended: {traceback.format_exc()}".replace("\n", " | "), file=sys.stderr)


threads = [threading.Thread(target=play, args=[role]) for role in roles]
for thread in threads:
    thread.start()
sys.stdin.read()
stopping.set()
for thread in threads:
    thread.join()
