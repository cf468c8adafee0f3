#!/usr/bin/env python3
"""Read a topic from its start with librdkafka (confluent-kafka): one JSON line.

python3 librdkafka_consume.py --bootstrap HOST:PORT --topic T --messages N

Partitions are assigned, not joined as a group: fetching alone is measured, from the first message to the last.
"""
import argparse
import json
import time

from confluent_kafka import Consumer, TopicPartition, libversion

MB = 1 << 20


def options():
    parser = argparse.ArgumentParser()
    add = parser.add_argument
    add("--bootstrap", default="127.0.0.1:9092")
    add("--topic", default="load")
    add("--messages", type=int, required=True)
    add("--size", type=int, default=1024, help="bytes of a value, as produced")
    add("--timeout", type=float, default=120)
    return parser.parse_args()


def consume(o):
    consumer = Consumer({"bootstrap.servers": o.bootstrap, "group.id": "load", "enable.auto.commit": False})
    partitions = consumer.list_topics(o.topic, timeout=10).topics[o.topic].partitions
    consumer.assign([TopicPartition(o.topic, partition, 0) for partition in partitions])
    deadline = time.perf_counter() + o.timeout
    count = start = errors = first_count = 0
    while count < o.messages and time.perf_counter() < deadline:
        messages = consumer.consume(num_messages=10000, timeout=0.5)
        errors += sum(1 for message in messages if message.error())
        if messages and not start:
            # The first batch was on its way before the clock: it is not counted.
            start = time.perf_counter()
            first_count = len(messages)
        count += len(messages)
    seconds = time.perf_counter() - start
    consumer.close()
    counted = count - first_count
    print(
        json.dumps(
            {
                "client": f"librdkafka {libversion()[0]}",
                "partitions": len(partitions),
                "messages": count,
                "missing": o.messages - count,
                "errors": errors,
                "msgs_s": round(counted / seconds),
                "mb_s": round(counted * o.size / seconds / MB, 2),
                "total_mb": round(count * o.size / MB, 2),
            }
        )
    )


if __name__ == "__main__":
    consume(options())
