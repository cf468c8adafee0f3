#!/usr/bin/env python3
"""Send at a steady rate and receive (librdkafka, linger 0): one JSON line, times from send to receive in ms.

python3 paced.py --bootstrap HOST:PORT --topic T --rate 1000 [--acks 1|all] [--size BYTES]

Sender and receiver are processes of their own with one clock; a value begins with the time at which it was handed to the
client. `late_p99_ms`: how far the sender was behind its own schedule.
"""
import argparse
import json
import multiprocessing
import struct
import time

from confluent_kafka import Consumer, Producer, TopicPartition

TICK_SECONDS = 0.001
STAMP = struct.Struct("<q")


def options():
    parser = argparse.ArgumentParser()
    add = parser.add_argument
    add("--bootstrap", default="127.0.0.1:9092")
    add("--ca", default=None, help="PEM file: TLS, with this authority")
    add("--topic", default="load")
    add("--rate", type=int, default=1000)
    add("--acks", default="1")
    add("--size", type=int, default=1024)
    add("--warmup", type=float, default=2)
    add("--seconds", type=float, default=8)
    return parser.parse_args()


def connection(o):
    tls = {"security.protocol": "ssl", "ssl.ca.location": o.ca} if o.ca else {}
    return {"bootstrap.servers": o.bootstrap, **tls}


def quantile(values, q):
    return round(values[min(len(values) - 1, int(q * len(values)))] / 1e6, 3) if values else None


def send(o, to_send, answers):
    producer = Producer({**connection(o), "acks": o.acks, "linger.ms": 0})
    producer.list_topics(o.topic, timeout=10)
    padding = bytes(65 + i % 26 for i in range(o.size - STAMP.size))
    late = []
    begin = time.monotonic()
    sent = 0
    while sent < to_send:
        due = min(to_send, int((time.monotonic() - begin) * o.rate) + 1)
        while sent < due:
            now = time.monotonic_ns()
            late.append(now - int((begin + sent / o.rate) * 1e9))
            producer.produce(o.topic, STAMP.pack(now) + padding, partition=0)
            sent += 1
        producer.poll(0)
        time.sleep(max(0, min(TICK_SECONDS, begin + sent / o.rate - time.monotonic())))
    producer.flush(20)
    late.sort()
    answers.put(quantile(late, 0.99))


def main(o):
    warm_up = int(o.warmup * o.rate)
    counted = int(o.seconds * o.rate)
    answers = multiprocessing.Queue()
    # Forked before there is a client: their threads do not survive a fork.
    ready = multiprocessing.Event()
    sender = multiprocessing.Process(target=lambda: (ready.wait(), send(o, warm_up + counted, answers)))
    sender.start()
    consumer = Consumer({**connection(o), "group.id": "paced", "enable.auto.commit": False, "fetch.wait.max.ms": 500})
    consumer.assign([TopicPartition(o.topic, 0, 0)])
    consumer.poll(0.5)
    ready.set()
    times = []
    received = 0
    quiet_since = time.monotonic()
    while received < warm_up + counted and time.monotonic() - quiet_since < 20:
        message = consumer.poll(0.5)
        if message is None or message.error():
            continue
        now = time.monotonic_ns()
        received += 1
        quiet_since = time.monotonic()
        if received > warm_up:
            times.append(now - STAMP.unpack_from(message.value())[0])
    late_p99 = answers.get(timeout=30)
    sender.join()
    consumer.close()
    times.sort()
    print(
        json.dumps(
            {
                "client": "librdkafka paced",
                "rate": o.rate,
                "acks": o.acks,
                "size": o.size,
                "received": received,
                "missing": warm_up + counted - received,
                "p50_ms": quantile(times, 0.5),
                "p99_ms": quantile(times, 0.99),
                "p999_ms": quantile(times, 0.999),
                "late_p99_ms": late_p99,
            }
        )
    )


if __name__ == "__main__":
    main(options())
