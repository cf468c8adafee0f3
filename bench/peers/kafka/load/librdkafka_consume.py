#!/usr/bin/env python3
"""Read a topic from its start with librdkafka (confluent-kafka): one JSON line.

python3 librdkafka_consume.py --bootstrap HOST:PORT --topic T --messages N [--groups 10]

Partitions are assigned, not joined as a group: fetching alone is measured, from the first message to the last. Several
groups read all of it each, at once, in a process each; the clock runs from the first's first message to the last's last.
"""
import argparse
import json
import multiprocessing
import time

from confluent_kafka import Consumer, TopicPartition, libversion

MB = 1 << 20


def options():
    parser = argparse.ArgumentParser()
    add = parser.add_argument
    add("--bootstrap", default="127.0.0.1:9092")
    add("--ca", default=None, help="PEM file: TLS, with this authority")
    add("--topic", default="load")
    add("--messages", type=int, required=True, help="for each group")
    add("--groups", type=int, default=1)
    add("--size", type=int, default=1024, help="bytes of a value, as produced")
    add("--timeout", type=float, default=120)
    return parser.parse_args()


def consume(o, group):
    tls = {"security.protocol": "ssl", "ssl.ca.location": o.ca} if o.ca else {}
    # With its default, librdkafka stops fetching for a second whenever its own queue is full: the faster the broker, the
    # longer it would stand still.
    settings = {"group.id": group, "enable.auto.commit": False, "fetch.queue.backoff.ms": 5}
    consumer = Consumer({"bootstrap.servers": o.bootstrap, **tls, **settings})
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
    end = time.perf_counter()
    consumer.close()
    return {
        "partitions": len(partitions),
        "count": count,
        "counted": count - first_count,
        "errors": errors,
        "start": start,
        "end": end,
    }


def main(o):
    if o.groups == 1:
        read = [consume(o, "load")]
    else:
        with multiprocessing.Pool(o.groups) as pool:
            read = pool.starmap(consume, [(o, f"load-{i}") for i in range(o.groups)], chunksize=1)
    seconds = max(one["end"] for one in read) - min(one["start"] for one in read)
    total = lambda of: sum(one[of] for one in read)
    print(
        json.dumps(
            {
                "client": f"librdkafka {libversion()[0]}",
                "partitions": read[0]["partitions"],
                "groups": o.groups,
                "messages": total("count"),
                "missing": max(0, o.messages * o.groups - total("count")),
                "errors": total("errors"),
                "msgs_s": round(total("counted") / seconds),
                "mb_s": round(total("counted") * o.size / seconds / MB, 2),
                "total_mb": round(total("count") * o.size / MB, 2),
            }
        )
    )


if __name__ == "__main__":
    main(options())
