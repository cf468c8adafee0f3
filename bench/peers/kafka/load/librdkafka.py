#!/usr/bin/env python3
"""Produce with librdkafka (confluent-kafka) for a time: one JSON line.

python3 librdkafka.py --bootstrap HOST:PORT --topic T [--partitions N --create] [--acks 1|all] [--size BYTES]

`mb_s` counts what was acknowledged between the end of the warm-up and the end; `total_mb` all of the run, for a measure of
the broker's work from outside. MB are 2^20 bytes of values.
"""
import argparse
import json
import random
import resource
import time

from confluent_kafka import Producer, libversion
from confluent_kafka.admin import AdminClient, NewTopic

MB = 1 << 20
LATENCY_SAMPLE = 20
PRODUCE_BETWEEN_POLLS = 500


def options():
    parser = argparse.ArgumentParser()
    add = parser.add_argument
    add("--bootstrap", default="127.0.0.1:9092")
    add("--ca", default=None, help="PEM file: TLS, with this authority")
    add("--topic", default="load")
    add("--partitions", type=int, default=1)
    add("--create", action="store_true")
    add("--acks", default="1")
    add("--size", type=int, default=1024)
    add("--warmup", type=float, default=2)
    add("--seconds", type=float, default=8)
    add("--messages", type=int, default=0, help="stop after so many instead of after --seconds")
    add("--compression", default="none")
    add("--linger", type=int, default=5)
    add("--batchbytes", type=int, default=1000000)
    add("--outstanding", type=int, default=20000)
    return parser.parse_args()


class Load:
    def __init__(self, o):
        self.o = o
        self.producer = Producer(
            {
                "bootstrap.servers": o.bootstrap,
                **({"security.protocol": "ssl", "ssl.ca.location": o.ca} if o.ca else {}),
                "acks": o.acks,
                "linger.ms": o.linger,
                "batch.size": o.batchbytes,
                "compression.type": o.compression,
                "queue.buffering.max.messages": 1000000,
                "sticky.partitioning.linger.ms": 10,
            }
        )
        self.payloads = [bytes(random.choices(range(65, 91), k=o.size)) for _ in range(64)]
        self.counted = self.total = self.outstanding = self.errors = self.sent = 0
        self.latencies = []

    def delivered(self, error, message):
        self.outstanding -= 1
        if error:
            self.errors += 1
            return
        self.total += 1
        if self.count_from <= time.perf_counter() < self.count_to:
            self.counted += 1
            if self.counted % LATENCY_SAMPLE == 0:
                self.latencies.append(message.latency() * 1000)

    def going_on(self):
        if self.o.messages:
            return self.sent < self.o.messages
        return time.perf_counter() < self.count_to

    def run(self):
        o = self.o
        self.count_from = time.perf_counter() + (0 if o.messages else o.warmup)
        self.count_to = float("inf") if o.messages else self.count_from + o.seconds
        while self.going_on():
            while self.outstanding < o.outstanding:
                self.producer.produce(o.topic, self.payloads[self.sent & 63], on_delivery=self.delivered)
                self.sent += 1
                self.outstanding += 1
                if self.sent % PRODUCE_BETWEEN_POLLS == 0 or self.sent == o.messages:
                    break
            self.producer.poll(0 if self.outstanding < o.outstanding else 0.002)
        if o.messages:
            self.producer.flush(120)
            self.count_to = time.perf_counter()
        else:
            self.producer.flush(20)

    def report(self):
        o = self.o
        seconds = self.count_to - self.count_from
        self.latencies.sort()
        quantile = lambda q: round(self.latencies[int(q * len(self.latencies))], 2) if self.latencies else None
        print(
            json.dumps(
                {
                    "client": f"librdkafka {libversion()[0]}",
                    "partitions": o.partitions,
                    "acks": o.acks,
                    "size": o.size,
                    "compression": o.compression,
                    "errors": self.errors,
                    "messages": self.counted,
                    "msgs_s": round(self.counted / seconds),
                    "mb_s": round(self.counted * o.size / seconds / MB, 2),
                    "total_mb": round(self.total * o.size / MB, 2),
                    "ack_p50_ms": quantile(0.5),
                    "ack_p99_ms": quantile(0.99),
                    "client_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                }
            )
        )


def create(o):
    admin = AdminClient({"bootstrap.servers": o.bootstrap})
    admin.create_topics([NewTopic(o.topic, o.partitions, 1)])[o.topic].result()
    deadline = time.perf_counter() + 10
    while time.perf_counter() < deadline:
        found = admin.list_topics(timeout=5).topics.get(o.topic)
        if found and len(found.partitions) == o.partitions and all(p.leader >= 0 for p in found.partitions.values()):
            return
        time.sleep(0.05)
    raise SystemExit(f"{o.topic} has no leader after 10 s")


if __name__ == "__main__":
    o = options()
    if o.create:
        create(o)
    load = Load(o)
    load.run()
    load.report()
