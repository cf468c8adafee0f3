"""google-cloud-pubsub, unmodified: `clients.py NAME` runs one case, or all; prints `ok NAME` for each that holds."""
import concurrent.futures
import datetime
import os
import queue
import sys
import time
import uuid

from google.api_core import exceptions
from google.cloud import pubsub_v1
from google.cloud.pubsub_v1 import types
from google.cloud.pubsub_v1.subscriber import exceptions as sub_exceptions
from google.protobuf import duration_pb2, field_mask_pb2, timestamp_pb2
from google.pubsub_v1.types import Encoding, Schema

PROJECT = 'projects/interop'
publisher = pubsub_v1.PublisherClient()
ordered = pubsub_v1.PublisherClient(publisher_options=types.PublisherOptions(enable_message_ordering=True))
subscriber = pubsub_v1.SubscriberClient()
cases = []


def case(function):
    cases.append(function)
    return function


def fresh(what):
    return f'{what}-{uuid.uuid4().hex[:10]}'


def topic(**more):
    name = f'{PROJECT}/topics/{fresh("topic")}'
    publisher.create_topic(request={'name': name, **more})
    return name


def subscription(of, **more):
    name = f'{PROJECT}/subscriptions/{fresh("sub")}'
    subscriber.create_subscription(request={'name': name, 'topic': of, **more})
    return name


def pair(**more):
    of = topic()
    return of, subscription(of, **more)


def publish(of, *all, **attributes):
    return [publisher.publish(of, data, **attributes).result(timeout=20) for data in all]


def pull(of, count=100, timeout=10):
    return list(subscriber.pull(request={'subscription': of, 'max_messages': count}, timeout=timeout).received_messages)


def data_of(messages):
    return [one.message.data for one in messages]


def streamed(of, count, handle=lambda m: m.ack(), timeout=30, **flow):
    found = queue.Queue()

    def callback(message):
        found.put(message)
        handle(message)

    control = types.FlowControl(**flow) if flow else types.FlowControl(max_messages=1000)
    future = subscriber.subscribe(of, callback=callback, flow_control=control)
    try:
        return [found.get(timeout=timeout) for _ in range(count)]
    finally:
        future.cancel()
        future.result(timeout=20)


def raises(kind, call, says=''):
    try:
        call()
    except kind as error:
        assert says in str(error), str(error)
        return error
    raise AssertionError(f'{kind.__name__} was expected')


@case
def publish_and_pull():
    of, sub = pair()
    [id] = publish(of, b'hello', origin='here')
    [one] = pull(sub)
    assert (one.message.data, one.message.message_id, dict(one.message.attributes)) == (b'hello', id, {'origin': 'here'})
    assert abs(one.message.publish_time.timestamp() - time.time()) < 60
    subscriber.acknowledge(request={'subscription': sub, 'ack_ids': [one.ack_id]})


@case
def streaming_pull_of_a_thousand():
    of, sub = pair()
    futures = [publisher.publish(of, b'm%d' % i) for i in range(1000)]
    ids = {future.result(timeout=20) for future in futures}
    assert {m.message_id for m in streamed(sub, 1000)} == ids


@case
def nack_brings_it_again():
    of, sub = pair()
    publish(of, b'again')
    seen = []

    def handle(message):
        seen.append(message.message_id)
        message.ack() if len(seen) == 3 else message.nack()

    streamed(sub, 3, handle)
    assert len(set(seen)) == 1


@case
def flow_control_holds_back():
    of, sub = pair()
    publish(of, *[b'%d' % i for i in range(20)])
    held = []
    found = queue.Queue()
    future = subscriber.subscribe(sub, callback=lambda m: (held.append(m), found.put(m)), flow_control=types.FlowControl(max_messages=5))
    for _ in range(5):
        found.get(timeout=20)
    time.sleep(1)
    assert len(held) == 5, len(held)
    for _ in range(15):
        while held:
            held.pop(0).ack()
        found.get(timeout=20)
    future.cancel()
    future.result(timeout=20)


@case
def ordering_keys_in_order():
    of, sub = pair(enable_message_ordering=True)
    for i in range(10):
        ordered.publish(of, b'%d' % i, ordering_key='k').result(timeout=20)
    assert [m.data for m in streamed(sub, 10)] == [b'%d' % i for i in range(10)]


@case
def ordering_keys_again_in_order():
    of, sub = pair(enable_message_ordering=True)
    for i in range(5):
        ordered.publish(of, b'%d' % i, ordering_key='k').result(timeout=20)
    nacked = []

    def handle(message):
        if message.data == b'2' and not nacked:
            nacked.append(1)
            message.nack()
        else:
            message.ack()

    # Those behind it are there already: they come again after it, acknowledged or not.
    assert [m.data for m in streamed(sub, 8, handle)] == [b'0', b'1', b'2', b'3', b'4', b'2', b'3', b'4']


@case
def exactly_once_confirms():
    of, sub = pair(enable_exactly_once_delivery=True)
    publish(of, b'once')
    outcomes = []
    done = queue.Queue()

    def handle(message):
        future = message.ack_with_response()
        future.add_done_callback(lambda f: (outcomes.append(f.result()), done.put(1)))

    found = queue.Queue()
    future = subscriber.subscribe(sub, callback=lambda m: (handle(m), found.put(m)))
    done.get(timeout=30)
    future.cancel()
    future.result(timeout=20)
    assert outcomes == [sub_exceptions.AcknowledgeStatus.SUCCESS], outcomes


@case
def exactly_once_refuses_what_is_over():
    of, sub = pair(enable_exactly_once_delivery=True)
    publish(of, b'once')
    [one] = pull(sub)
    request = {'subscription': sub, 'ack_ids': [one.ack_id]}
    subscriber.acknowledge(request=request)
    error = raises(exceptions.FailedPrecondition, lambda: subscriber.acknowledge(request=request))
    assert error.reason == 'EXACTLY_ONCE_ACKID_FAILURE', error.reason
    assert error.metadata == {one.ack_id: 'PERMANENT_FAILURE_INVALID_ACK_ID'}, error.metadata


@case
def filters():
    of, sub = pair(filter='hasPrefix(attributes.kind, "a") OR (attributes.n != "1" AND attributes:only)')
    for data, attributes in [(b'1', {'kind': 'ab'}), (b'2', {'kind': 'b'}), (b'3', {'only': '', 'n': '2'}), (b'4', {'only': '', 'n': '1'})]:
        publish(of, data, **attributes)
    assert sorted(m.data for m in streamed(sub, 2)) == [b'1', b'3']


@case
def dead_letters():
    letters, dead = pair()
    of, sub = pair(dead_letter_policy={'dead_letter_topic': letters, 'max_delivery_attempts': 5})
    publish(of, b'poison', mine='x')
    attempts = [m.delivery_attempt for m in streamed(sub, 5, lambda m: m.nack())]
    assert attempts == [1, 2, 3, 4, 5], attempts
    [letter] = streamed(dead, 1)
    assert letter.attributes['CloudPubSubDeadLetterSourceDeliveryCount'] == '5'
    assert letter.attributes['CloudPubSubDeadLetterSourceTopicPublishTime'] != ''
    assert letter.attributes['mine'] == 'x'


@case
def retry_policy():
    policy = types.RetryPolicy(minimum_backoff=duration_pb2.Duration(seconds=2), maximum_backoff=duration_pb2.Duration(seconds=5))
    of, sub = pair(retry_policy=policy)
    publish(of, b'later')
    times = []

    def handle(message):
        times.append(time.monotonic())
        message.ack() if len(times) == 2 else message.nack()

    streamed(sub, 2, handle)
    assert times[1] - times[0] > 1.9, times


@case
def deadline_passes():
    of, sub = pair()
    publish(of, b'again')
    [one] = pull(sub)
    subscriber.modify_ack_deadline(request={'subscription': sub, 'ack_ids': [one.ack_id], 'ack_deadline_seconds': 1})
    [again] = pull(sub)
    assert again.message.message_id == one.message.message_id


@case
def seek_to_a_time():
    of, sub = pair(retain_acked_messages=True)
    publish(of, b'kept')
    streamed(sub, 1)
    time.sleep(0.5)
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
    subscriber.seek(request={'subscription': sub, 'time': past})
    assert data_of(pull(sub)) == [b'kept']
    future = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1)
    subscriber.seek(request={'subscription': sub, 'time': future})
    assert list(subscriber.pull(request={'subscription': sub, 'max_messages': 1, 'return_immediately': True}).received_messages) == []


@case
def snapshots():
    of, sub = pair(retain_acked_messages=True)
    publish(of, b'a', b'b')
    name = f'{PROJECT}/snapshots/{fresh("snap")}'
    made = subscriber.create_snapshot(request={'name': name, 'subscription': sub})
    assert made.topic == of
    streamed(sub, 2)
    time.sleep(0.5)
    subscriber.seek(request={'subscription': sub, 'snapshot': name})
    assert sorted(data_of(pull(sub))) == [b'a', b'b']
    assert name in [one.name for one in subscriber.list_snapshots(request={'project': PROJECT})]
    assert name in list(publisher.list_topic_snapshots(request={'topic': of}))
    subscriber.delete_snapshot(request={'snapshot': name})


@case
def schemas():
    from google.pubsub_v1 import SchemaServiceClient
    client = pubsub_v1.SchemaServiceClient()
    id = fresh('schema')
    definition = 'syntax = "proto3"; message Event { string name = 1; int32 count = 2; }'
    made = client.create_schema(request={'parent': PROJECT, 'schema_id': id, 'schema': Schema(type_=Schema.Type.PROTOCOL_BUFFER, definition=definition)})
    name = f'{PROJECT}/schemas/{id}'
    assert made.name == name and len(made.revision_id) == 8
    next = 'syntax = "proto3"; message Event { string name = 1; int32 count = 2; bool more = 3; }'
    second = client.commit_schema(request={'name': name, 'schema': Schema(name=name, type_=Schema.Type.PROTOCOL_BUFFER, definition=next)})
    assert [one.revision_id for one in client.list_schema_revisions(request={'name': name})] == [second.revision_id, made.revision_id]
    of = topic(schema_settings={'schema': name, 'encoding': Encoding.BINARY, 'first_revision_id': made.revision_id, 'last_revision_id': made.revision_id})
    sub = subscription(of)
    publish(of, b'\x0a\x01x\x10\x07')
    raises(exceptions.InvalidArgument, lambda: publish(of, b'\x18\x01'), 'schema')
    publisher.update_topic(request={'topic': {'name': of, 'schema_settings': {'schema': name, 'encoding': Encoding.BINARY}}, 'update_mask': {'paths': ['schema_settings']}})
    publish(of, b'\x18\x01')
    messages = pull(sub)
    assert [m.message.attributes['googclient_schemarevisionid'] for m in messages] == [made.revision_id, second.revision_id]
    raises(exceptions.InvalidArgument, lambda: client.validate_message(request={'parent': PROJECT, 'name': name, 'message': b'{"count":"x"}', 'encoding': Encoding.JSON}))
    client.validate_message(request={'parent': PROJECT, 'name': name, 'message': b'{"count":3}', 'encoding': Encoding.JSON})
    client.rollback_schema(request={'name': name, 'revision_id': made.revision_id})
    assert client.get_schema(request={'name': name}).definition == definition
    client.delete_schema(request={'name': name})
    raises(exceptions.NotFound, lambda: client.get_schema(request={'name': name}))


@case
def transforms():
    code = 'function f(m, d) { if (m.data === "drop") return null; m.data = m.data + "!"; m.attributes.id = d.message_id; return m }'
    of, sub = pair(message_transforms=[{'javascript_udf': {'function_name': 'f', 'code': code}}])
    publish(of, b'drop', b'keep')
    [one] = streamed(sub, 1)
    assert one.data == b'keep!' and one.attributes['id'] == one.message_id


@case
def administration():
    of, sub = pair(labels={'team': 'a'})
    got = subscriber.get_subscription(request={'subscription': sub})
    assert (got.topic, got.ack_deadline_seconds, dict(got.labels)) == (of, 10, {'team': 'a'})
    assert got.message_retention_duration == datetime.timedelta(days=7)
    changed = subscriber.update_subscription(request={'subscription': {'name': sub, 'ack_deadline_seconds': 33}, 'update_mask': {'paths': ['ack_deadline_seconds']}})
    assert changed.ack_deadline_seconds == 33
    raises(exceptions.InvalidArgument, lambda: subscriber.update_subscription(request={'subscription': {'name': sub, 'topic': of}, 'update_mask': {'paths': ['topic']}}))
    assert list(publisher.list_topic_subscriptions(request={'topic': of})) == [sub]
    assert sub in [one.name for one in subscriber.list_subscriptions(request={'project': PROJECT, 'page_size': 2})]
    publisher.detach_subscription(request={'subscription': sub})
    assert subscriber.get_subscription(request={'subscription': sub}).detached
    raises(exceptions.FailedPrecondition, lambda: pull(sub))
    publisher.delete_topic(request={'topic': of})
    raises(exceptions.NotFound, lambda: publisher.get_topic(request={'topic': of}), 'Resource not found (resource=')


@case
def errors():
    of, sub = pair()
    raises(exceptions.AlreadyExists, lambda: publisher.create_topic(request={'name': of}), 'Resource already exists in the project')
    raises(exceptions.NotFound, lambda: publish(f'{PROJECT}/topics/absent', b'x'))
    raises(exceptions.NotFound, lambda: subscription(f'{PROJECT}/topics/absent'))
    raises(exceptions.InvalidArgument, lambda: publisher.create_topic(request={'name': f'{PROJECT}/topics/1'}))
    raises(exceptions.InvalidArgument, lambda: pull(sub, 0))
    raises(exceptions.InvalidArgument, lambda: publisher.api.publish(request={'topic': of, 'messages': [{}]}) if hasattr(publisher, 'api') else pubsub_v1.PublisherClient().publish(of, b'').result())
    raises(exceptions.InvalidArgument, lambda: subscriber.acknowledge(request={'subscription': sub, 'ack_ids': ['made-up']}))


if __name__ == '__main__':
    names = sys.argv[1:]
    for one in cases:
        if names and one.__name__ not in names:
            continue
        try:
            one()
            print(f'ok {one.__name__}', flush=True)
        except BaseException as error:
            print(f'failed {one.__name__}: {type(error).__name__}: {error}', flush=True)
    os._exit(0)
