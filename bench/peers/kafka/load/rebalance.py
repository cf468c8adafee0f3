#!/usr/bin/env python3
"""A group of two on 6 partitions gets a third member (librdkafka): one JSON line, times in ms.

python3 rebalance.py --bootstrap HOST:PORT --protocol classic|consumer [--strategy range]

From the third member's subscribe to its first partitions and to an even spread; the longest gap in delivery of a partition.
"""
import argparse
import json
import threading
import time
import uuid

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 6


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", default="127.0.0.1:9092")
    parser.add_argument("--protocol", default="classic", choices=["classic", "consumer"])
    parser.add_argument("--strategy", default="range")
    parser.add_argument("--before", type=float, default=3, help="seconds that the two are left alone")
    parser.add_argument("--after", type=float, default=4, help="seconds in which gaps are looked for")
    return parser.parse_args()


class Group:
    def __init__(self, o):
        self.o = o
        self.topic = "rebalance-" + uuid.uuid4().hex[:6]
        self.stop = False
        self.lock = threading.Lock()
        self.owned = {}
        self.first_owned_at = {}
        self.last_delivery_at = {}
        self.longest_gap = {}
        self.third_joined_at = None
        self.even_at = None
        self.cooperative = o.protocol == "consumer" or o.strategy.startswith("coop")

    def sizes(self):
        return sorted(map(len, self.owned.values()))

    def note_even(self):
        if self.third_joined_at and not self.even_at and self.sizes() == [2, 2, 2]:
            self.even_at = time.perf_counter()

    def produce(self):
        producer = Producer({"bootstrap.servers": self.o.bootstrap, "linger.ms": 1})
        while not self.stop:
            for partition in range(PARTITIONS):
                producer.produce(self.topic, b"x" * 100, partition=partition)
            producer.poll(0)
            time.sleep(0.02)
        producer.flush(5)

    def consume(self, member):
        config = {
            "bootstrap.servers": self.o.bootstrap,
            "group.id": "g-" + self.topic,
            "auto.offset.reset": "earliest",
            "group.protocol": self.o.protocol,
        }
        if self.o.protocol == "classic":
            config["partition.assignment.strategy"] = self.o.strategy
        consumer = Consumer(config)

        def assigned(consumer, partitions):
            with self.lock:
                self.owned.setdefault(member, set()).update(p.partition for p in partitions)
                if partitions:
                    self.first_owned_at.setdefault(member, time.perf_counter())
                self.note_even()
            (consumer.incremental_assign if self.cooperative else consumer.assign)(partitions)

        def revoked(consumer, partitions):
            with self.lock:
                self.owned[member] -= {p.partition for p in partitions}
                self.note_even()
            consumer.incremental_unassign(partitions) if self.cooperative else consumer.unassign()

        consumer.subscribe([self.topic], on_assign=assigned, on_revoke=revoked)
        while not self.stop:
            message = consumer.poll(0.05)
            if message and not message.error():
                self.delivered(message.partition())
        consumer.close()

    def delivered(self, partition):
        now = time.perf_counter()
        if self.third_joined_at and partition in self.last_delivery_at:
            gap = now - self.last_delivery_at[partition]
            self.longest_gap[partition] = max(self.longest_gap.get(partition, 0), gap)
        self.last_delivery_at[partition] = now

    def run(self):
        admin = AdminClient({"bootstrap.servers": self.o.bootstrap})
        admin.create_topics([NewTopic(self.topic, PARTITIONS, 1)])[self.topic].result()
        time.sleep(0.5)
        threads = [self.start(self.produce), self.start(self.consume, 0), self.start(self.consume, 1)]
        start = time.perf_counter()
        self.wait(lambda: self.sizes() == [3, 3])
        formed = time.perf_counter() - start
        time.sleep(self.o.before)
        self.third_joined_at = time.perf_counter()
        threads.append(self.start(self.consume, 2))
        self.wait(lambda: self.even_at)
        time.sleep(self.o.after)
        self.stop = True
        for thread in threads:
            thread.join(5)
        self.report(formed)

    @staticmethod
    def start(target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        thread.start()
        return thread

    @staticmethod
    def wait(done, seconds=30):
        deadline = time.perf_counter() + seconds
        while not done() and time.perf_counter() < deadline:
            time.sleep(0.01)

    def report(self, formed):
        ms = lambda seconds: None if seconds is None else round(seconds * 1000)
        since = lambda at: ms(at - self.third_joined_at) if at else None
        row = {
            "client": "librdkafka",
            "protocol": self.o.protocol,
            "strategy": self.o.strategy if self.o.protocol == "classic" else "server-side",
            "group_forms_ms": ms(formed),
            "third_first_partition_ms": since(self.first_owned_at.get(2)),
            "even_ms": since(self.even_at),
            "longest_gap_ms": ms(max(self.longest_gap.values())) if self.longest_gap else None,
        }
        print(json.dumps(row))


if __name__ == "__main__":
    Group(options()).run()
