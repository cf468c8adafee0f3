"""azure-eventhub with its checkpoint store: one function a behaviour, one JSON line a result. Arguments: sync|aio EVENTHUBS HTTP tcp|websocket."""
import asyncio
import base64
import datetime
import json
import sys
import threading
import time
import traceback
import urllib.request
import uuid

from azure.eventhub import (
    EventData,
    EventHubConsumerClient,
    EventHubProducerClient,
    EventHubSharedKeyCredential,
    TransportType,
)
from azure.eventhub.aio import EventHubConsumerClient as AioConsumer
from azure.eventhub.aio import EventHubProducerClient as AioProducer
from azure.eventhub.amqp import AmqpAnnotatedMessage, AmqpMessageBodyType
from azure.eventhub.exceptions import ConnectError, EventHubError, OwnershipLostError
from azure.eventhub.extensions.checkpointstoreblob import BlobCheckpointStore
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore as AioBlobCheckpointStore

kind, address, http, transport = sys.argv[1:5]
common = {"retry_total": 0}
if transport == "websocket":
    # Its WebSockets go to port 443, unless they are told another endpoint.
    common |= {"transport_type": TransportType.AmqpOverWebsocket, "custom_endpoint_address": f"sb://{address}"}
connection = f"Endpoint=sb://{address};SharedAccessKeyName=any;SharedAccessKey=any;UseDevelopmentEmulator=true"
account_key = base64.b64encode(b"k" * 32).decode()
storage = f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey={account_key};BlobEndpoint=http://{address}/account"
run = format(int(time.time() * 1000), "x")
names = 0
behaviours = []


def behaviour(says):
    def keep(act):
        behaviours.append((says, act))
        return act

    return keep


def fresh(stem="py"):
    global names
    names += 1
    return f"{stem}-{kind}-{run}-{names}"


def call(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://{http}{path}", data=data, method=method, headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def make(partitions=1):
    hub = fresh()
    call("PUT", f"/v1/topics/{hub}", {"partitions": partitions})
    return hub


def container():
    from azure.eventhub.extensions.checkpointstoreblob._vendor.storage.blob import ContainerClient

    name = fresh("checkpoints").replace("_", "-")
    client = ContainerClient.from_connection_string(storage, name)
    client.create_container()
    return name


def same(found, wanted):
    assert found == wanted, f"{found!r}, not {wanted!r}"


def expects(errors, act):
    try:
        act()
    except errors as error:
        return error
    raise AssertionError(f"{errors} was to come")


def producer(hub, **options):
    return EventHubProducerClient.from_connection_string(connection, eventhub_name=hub, **common, **options)


def consumer(hub, group="$Default", **options):
    return EventHubConsumerClient.from_connection_string(
        connection, consumer_group=group, eventhub_name=hub, **common, **options
    )


def send(hub, bodies, **options):
    with producer(hub) as client:
        batch = client.create_batch(**options)
        for body in bodies:
            batch.add(body if isinstance(body, EventData) else EventData(body))
        client.send_batch(batch)


def receive(hub, count, group="$Default", within=20, client=None, **options):
    """So many events, or as many as come in time."""
    events, errors = [], []
    done = threading.Event()

    def on_event(context, event):
        events.append(event)
        event.context = context
        if len(events) >= count:
            done.set()

    def on_error(context, error):
        errors.append(error)
        done.set()

    options.setdefault("starting_position", "-1")
    reader = client or consumer(hub, group)
    thread = threading.Thread(target=lambda: reader.receive(on_event=on_event, on_error=on_error, **options))
    thread.start()
    done.wait(within)
    reader.close()
    thread.join()
    if errors:
        raise errors[0]
    return events


def bodies(events):
    return [event.body_as_str() for event in events]


if kind == "sync":

    @behaviour("a hub and its partitions say what they are")
    def _():
        hub = make(3)
        with producer(hub) as client:
            same(client.get_partition_ids(), ["0", "1", "2"])
            same(client.get_eventhub_properties()["eventhub_name"], hub)
            same(client.get_partition_properties("1")["is_empty"], True)
            send(hub, ["a", "b"], partition_id="1")
            found = client.get_partition_properties("1")
            same((found["is_empty"], found["last_enqueued_sequence_number"], found["last_enqueued_offset"]), (False, 1, "1"))

    @behaviour("all events of a batch come back, in order, with their numbers")
    def _():
        hub = make()
        send(hub, [f"e{i}" for i in range(12)])
        events = receive(hub, 12)
        same(bodies(events), [f"e{i}" for i in range(12)])
        same([event.sequence_number for event in events], list(range(12)))
        same([event.offset for event in events], [str(i) for i in range(12)])

    @behaviour("events with a partition key lie together and keep it")
    def _():
        hub = make(4)
        for i in range(4):
            send(hub, [f"{i}"], partition_key="the key")
        events = receive(hub, 4)
        same(len({event.context.partition_id for event in events}), 1)
        same([event.partition_key for event in events], [b"the key"] * 4)

    @behaviour("events for a partition lie there")
    def _():
        hub = make(3)
        send(hub, ["there"], partition_id="2")
        (event,) = receive(hub, 1, partition_id="2")
        same(event.context.partition_id, "2")

    @behaviour("single events and lists of them are sent without a batch")
    def _():
        hub = make()
        with producer(hub) as client:
            client.send_event(EventData("one"))
            client.send_batch([EventData("two"), EventData("three")])
        same(bodies(receive(hub, 3)), ["one", "two", "three"])

    @behaviour("properties of all types come back as they were")
    def _():
        hub = make()
        event = EventData(b"\x00\xff")
        given = {"text": "x", "whole": 5, "half": 0.5, "yes": True, "bytes": b"\x00\x01", "id": uuid.uuid4()}
        event.properties = given
        event.message_id, event.content_type, event.correlation_id = "m", "application/json", "c"
        send(hub, [event])
        (found,) = receive(hub, 1)
        wanted = {name.encode(): value.encode() if isinstance(value, str) else value for name, value in given.items()}
        same(found.properties, wanted)
        same((found.message_id, found.content_type, found.correlation_id), ("m", "application/json", "c"))
        same(b"".join(found.body), b"\x00\xff")

    @behaviour("bodies that are values and sequences come back as such")
    def _():
        hub = make()
        with producer(hub) as client:
            batch = client.create_batch()
            batch.add(AmqpAnnotatedMessage(value_body={b"a": [1, b"x"]}))
            batch.add(AmqpAnnotatedMessage(sequence_body=[[1, 2], [b"y"]]))
            client.send_batch(batch)
        first, second = receive(hub, 2)
        same((first.body_type, first.body), (AmqpMessageBodyType.VALUE, {b"a": [1, b"x"]}))
        same((second.body_type, list(second.body)), (AmqpMessageBodyType.SEQUENCE, [[1, 2], [b"y"]]))

    @behaviour("a batch ends at a megabyte, and what is larger is refused before it is sent")
    def _():
        hub = make()
        with producer(hub) as client:
            batch = client.create_batch()
            same(batch.max_size_in_bytes, 1024 * 1024)
            expects(ValueError, lambda: batch.add(EventData("x" * 2_000_000)))
            count = 0
            try:
                while True:
                    batch.add(EventData("y" * 100_000))
                    count += 1
            except ValueError:
                pass
            same(count, 10)
            client.send_batch(batch)
        same(len(receive(hub, count)), count)

    @behaviour("receivers begin at an offset, a number or a time, with it or behind it")
    def _():
        hub = make()
        for i in range(4):
            send(hub, [str(i)])
            time.sleep(0.005)
        events = receive(hub, 4)
        third = events[2]
        cases = [
            ({"starting_position": third.offset}, ["3"]),
            ({"starting_position": third.offset, "starting_position_inclusive": True}, ["2", "3"]),
            ({"starting_position": third.sequence_number}, ["3"]),
            ({"starting_position": third.enqueued_time}, ["3"]),
            ({"starting_position": third.enqueued_time, "starting_position_inclusive": True}, ["2", "3"]),
        ]
        for options, wanted in cases:
            same(bodies(receive(hub, len(wanted), **options)), wanted)

    @behaviour("a receiver at the end gets what comes then")
    def _():
        hub = make()
        send(hub, ["old"])
        threading.Timer(1.5, lambda: send(hub, ["new"])).start()
        same(bodies(receive(hub, 1, starting_position="@latest")), ["new"])

    @behaviour("batches are received as such")
    def _():
        hub = make()
        send(hub, [str(i) for i in range(50)])
        found, done = [], threading.Event()

        def on_batch(context, events):
            found.extend(events)
            if len(found) >= 50:
                done.set()

        client = consumer(hub)
        thread = threading.Thread(
            target=lambda: client.receive_batch(on_event_batch=on_batch, max_batch_size=20, starting_position="-1")
        )
        thread.start()
        done.wait(20)
        client.close()
        thread.join()
        same(bodies(found), [str(i) for i in range(50)])

    @behaviour("groups read for themselves")
    def _():
        hub = make()
        send(hub, ["a", "b"])
        for group in ("$Default", "other", "third"):
            same(bodies(receive(hub, 2, group=group)), ["a", "b"])

    @behaviour("a higher owner level takes over; the older receiver hears of it")
    def _():
        hub = make()
        send(hub, ["a"])
        lost, came = threading.Event(), threading.Event()
        errors = []
        low = consumer(hub)

        def on_error(context, error):
            errors.append(error)
            lost.set()

        thread = threading.Thread(
            target=lambda: low.receive(
                on_event=lambda *_: came.set(), on_error=on_error, partition_id="0", owner_level=1, starting_position="-1"
            )
        )
        thread.start()
        assert came.wait(10)
        same(len(receive(hub, 1, partition_id="0", owner_level=2)), 1)
        assert lost.wait(20)
        low.close()
        thread.join()
        assert isinstance(errors[0], OwnershipLostError) or "stolen" in str(errors[0]), errors

    @behaviour("what is last in the partition is told with each event")
    def _():
        hub = make()
        send(hub, ["a", "b", "c"])
        events = receive(hub, 3, track_last_enqueued_event_properties=True)
        told = events[-1].context.last_enqueued_event_properties
        same((told["sequence_number"], told["offset"]), (2, "2"))

    @behaviour("a hub that is not there, and a partition that is not, are errors that say so")
    def _():
        error = expects(EventHubError, lambda: send("nowhere", ["x"]))
        assert "could not be found" in str(error), error
        with producer(make()) as client:
            error = expects(EventHubError, lambda: client.get_partition_properties("7"))
        error = expects((EventHubError, ConnectError), lambda: send(make(2), ["x"], partition_id="9"))
        assert "Invalid partition 9" in str(error), error

    @behaviour("the buffered producer sends what it holds")
    def _():
        hub = make(2)
        failures = []
        client = producer(
            hub, buffered_mode=True, on_success=lambda *_: None, on_error=lambda events, pid, error: failures.append(error)
        )
        with client:
            for i in range(200):
                client.send_event(EventData(str(i)), partition_key=f"k{i % 5}")
            client.flush()
        same(failures, [])
        with producer(hub) as client:
            ends = [client.get_partition_properties(p)["last_enqueued_sequence_number"] + 1 for p in ("0", "1")]
        same(sum(ends), 200)

    @behaviour("a shared key credential comes in as the connection string does")
    def _():
        hub = make()
        with producer(hub) as client:
            client.send_event(EventData("x"))
        assert EventHubSharedKeyCredential("any", "any").get_token(f"sb://{address}/{hub}").token

    @behaviour("the checkpoint store claims, loses, and remembers what was reached")
    def _():
        name = container()
        store = BlobCheckpointStore.from_connection_string(storage, name)
        of = {"fully_qualified_namespace": "NS", "eventhub_name": "Hub", "consumer_group": "$Default", "partition_id": "0"}
        (first,) = store.claim_ownership([{**of, "owner_id": "one"}])
        (listed,) = store.list_ownership("NS", "Hub", "$Default")
        same((listed["owner_id"], listed["etag"].strip('"')), ("one", first["etag"].strip('"')))
        (second,) = store.claim_ownership([{**listed, "owner_id": "two"}])
        same(list(store.claim_ownership([{**listed, "owner_id": "late"}])), [])
        same(list(store.claim_ownership([{**of, "owner_id": "without an etag"}])), [])
        for sequence in (5, 6):
            store.update_checkpoint({**of, "offset": str(sequence), "sequence_number": sequence})
        (checkpoint,) = store.list_checkpoints("NS", "Hub", "$Default")
        same((checkpoint["offset"], checkpoint["sequence_number"]), ("6", 6))

    @behaviour("a consumer with a checkpoint store goes on where the one before it was")
    def _():
        hub, name = make(2), container()

        def read(count):
            store = BlobCheckpointStore.from_connection_string(storage, name)
            client = consumer(hub, checkpoint_store=store, load_balancing_interval=1)
            found, done = [], threading.Event()

            def on_event(context, event):
                found.append(event.body_as_str())
                context.update_checkpoint(event)
                if len(found) >= count:
                    done.set()

            thread = threading.Thread(target=lambda: client.receive(on_event=on_event, starting_position="-1"))
            thread.start()
            done.wait(30)
            client.close()
            thread.join()
            return sorted(found)

        for partition in ("0", "1"):
            send(hub, [f"{partition}-{i}" for i in range(3)], partition_id=partition)
        same(read(6), sorted(f"{p}-{i}" for p in "01" for i in range(3)))
        send(hub, ["late"], partition_id="1")
        same(read(1), ["late"])

    @behaviour("what Kafka, HTTP and others wrote is read with key, value, headers and time")
    def _():
        hub = make()
        records = {
            "records": [{"key": "k", "value": {"a": 1}, "headers": {"h": "v"}, "timestamp": "2026-01-01T00:00:00Z"}]
        }
        request = urllib.request.Request(
            f"http://{http}/v1/topics/{hub}/records",
            data=json.dumps(records).encode(),
            headers={"content-type": "application/vnd.millrace.records+json"},
        )
        urllib.request.urlopen(request).read()
        (event,) = receive(hub, 1)
        same((event.body_as_json(), event.partition_key, event.properties), ({"a": 1}, b"k", {b"h": b"v"}))
        same(event.enqueued_time, datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc))

    def perform(act):
        act()


def aio_producer(hub, **options):
    return AioProducer.from_connection_string(connection, eventhub_name=hub, **common, **options)


def aio_consumer(hub, group="$Default", **options):
    return AioConsumer.from_connection_string(
        connection, consumer_group=group, eventhub_name=hub, **common, **options
    )


async def aio_send(hub, texts, **options):
    async with aio_producer(hub) as client:
        batch = await client.create_batch(**options)
        for one in texts:
            batch.add(one if isinstance(one, EventData) else EventData(one))
        await client.send_batch(batch)


async def over(*tasks):
    """A receiver that is closed goes on for a while by itself."""
    await asyncio.wait(tasks, timeout=0.5)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def aio_receive(hub, count, group="$Default", within=20, client=None, checkpoint=False, **options):
    events, errors = [], []
    done = asyncio.Event()

    async def on_event(context, event):
        events.append(event)
        event.context = context
        if checkpoint:
            await context.update_checkpoint(event)
        if len(events) >= count:
            done.set()

    async def on_error(context, error):
        errors.append(error)
        done.set()

    options.setdefault("starting_position", "-1")
    async with client or aio_consumer(hub, group) as reader:
        task = asyncio.create_task(reader.receive(on_event=on_event, on_error=on_error, **options))
        try:
            await asyncio.wait_for(done.wait(), within)
        except asyncio.TimeoutError:
            pass
    await over(task)
    if errors:
        raise errors[0]
    return events


if kind == "aio":

    @behaviour("a hub and its partitions say what they are")
    async def _():
        hub = make(3)
        async with aio_producer(hub) as client:
            same(await client.get_partition_ids(), ["0", "1", "2"])
            same((await client.get_partition_properties("1"))["is_empty"], True)
            await aio_send(hub, ["a", "b"], partition_id="1")
            same((await client.get_partition_properties("1"))["last_enqueued_sequence_number"], 1)

    @behaviour("all events of a batch come back, in order, with their numbers")
    async def _():
        hub = make()
        await aio_send(hub, [f"e{i}" for i in range(500)])
        events = await aio_receive(hub, 500)
        same(bodies(events), [f"e{i}" for i in range(500)])
        same([event.sequence_number for event in events], list(range(500)))

    @behaviour("a busy partition beside idle ones gives all it has before close")
    async def _():
        hub = make(4)
        await aio_send(hub, [f"e{i}" for i in range(12)], partition_id="2")
        same(bodies(await aio_receive(hub, 12)), [f"e{i}" for i in range(12)])

    @behaviour("events with a partition key lie together and keep it")
    async def _():
        hub = make(4)
        for i in range(4):
            await aio_send(hub, [f"{i}"], partition_key="the key")
        events = await aio_receive(hub, 4)
        same(len({event.context.partition_id for event in events}), 1)
        same([event.partition_key for event in events], [b"the key"] * 4)

    @behaviour("events for a partition lie there")
    async def _():
        hub = make(3)
        await aio_send(hub, ["there"], partition_id="2")
        (event,) = await aio_receive(hub, 1, partition_id="2")
        same(event.context.partition_id, "2")

    @behaviour("single events and lists of them are sent without a batch")
    async def _():
        hub = make()
        async with aio_producer(hub) as client:
            await client.send_event(EventData("one"))
            await client.send_batch([EventData("two"), EventData("three")])
        same(bodies(await aio_receive(hub, 3)), ["one", "two", "three"])

    @behaviour("properties of all types come back as they were")
    async def _():
        hub = make()
        event = EventData("x")
        given = {b"whole": 5, b"half": 0.5, b"no": False, b"bytes": b"\x00\x01"}
        event.properties = given
        await aio_send(hub, [event])
        (found,) = await aio_receive(hub, 1)
        same(found.properties, given)

    @behaviour("receivers begin at an offset, a number or a time, with it or behind it")
    async def _():
        hub = make()
        for i in range(4):
            await aio_send(hub, [str(i)])
            await asyncio.sleep(0.005)
        third = (await aio_receive(hub, 4))[2]
        cases = [
            ({"starting_position": third.offset}, ["3"]),
            ({"starting_position": third.offset, "starting_position_inclusive": True}, ["2", "3"]),
            ({"starting_position": third.sequence_number}, ["3"]),
            ({"starting_position": third.enqueued_time}, ["3"]),
        ]
        for options, wanted in cases:
            same(bodies(await aio_receive(hub, len(wanted), **options)), wanted)

    @behaviour("a receiver at the end gets what comes then")
    async def _():
        hub = make()
        await aio_send(hub, ["old"])
        waiting = asyncio.create_task(aio_receive(hub, 1, starting_position="@latest"))
        await asyncio.sleep(1.5)
        await aio_send(hub, ["new"])
        same(bodies(await waiting), ["new"])

    @behaviour("groups read for themselves")
    async def _():
        hub = make()
        await aio_send(hub, ["a", "b"])
        for group in ("$Default", "other"):
            same(bodies(await aio_receive(hub, 2, group=group)), ["a", "b"])

    @behaviour("a higher owner level takes over; the older receiver hears of it")
    async def _():
        hub = make()
        await aio_send(hub, ["a"])
        errors = []
        lost, came = asyncio.Event(), asyncio.Event()
        low = aio_consumer(hub)

        async def on_event(*_):
            came.set()

        async def on_error(context, error):
            errors.append(error)
            lost.set()

        task = asyncio.create_task(
            low.receive(on_event=on_event, on_error=on_error, partition_id="0", owner_level=1, starting_position="-1")
        )
        await asyncio.wait_for(came.wait(), 10)
        same(len(await aio_receive(hub, 1, partition_id="0", owner_level=2)), 1)
        await asyncio.wait_for(lost.wait(), 20)
        await low.close()
        await over(task)
        assert "stolen" in str(errors[0]) or isinstance(errors[0], OwnershipLostError), errors

    @behaviour("what is last in the partition is told with each event")
    async def _():
        hub = make()
        await aio_send(hub, ["a", "b", "c"])
        events = await aio_receive(hub, 3, track_last_enqueued_event_properties=True)
        same(events[-1].context.last_enqueued_event_properties["sequence_number"], 2)

    @behaviour("a hub that is not there is an error that says so")
    async def _():
        try:
            await aio_send("nowhere", ["x"])
        except EventHubError as error:
            assert "could not be found" in str(error), error
        else:
            raise AssertionError("nowhere was sent to")

    @behaviour("the buffered producer sends what it holds")
    async def _():
        hub = make(2)
        failures = []

        async def on_success(*_):
            pass

        async def on_error(events, partition, error):
            failures.append(error)

        async with aio_producer(hub, buffered_mode=True, on_success=on_success, on_error=on_error) as client:
            for i in range(200):
                await client.send_event(EventData(str(i)))
            await client.flush()
        same(failures, [])
        same(len(await aio_receive(hub, 200)), 200)

    @behaviour("an event of nearly a megabyte goes in and comes out")
    async def _():
        hub = make()
        await aio_send(hub, ["z" * 1_000_000])
        (event,) = await aio_receive(hub, 1)
        same(len(event.body_as_str()), 1_000_000)

    @behaviour("the checkpoint store claims, loses, and remembers what was reached")
    async def _():
        name = container()
        store = AioBlobCheckpointStore.from_connection_string(storage, name)
        of = {"fully_qualified_namespace": "NS", "eventhub_name": "Hub", "consumer_group": "$Default", "partition_id": "0"}
        async with store:
            await store.claim_ownership([{**of, "owner_id": "one"}])
            (listed,) = await store.list_ownership("NS", "Hub", "$Default")
            await store.claim_ownership([{**listed, "owner_id": "two"}])
            same(list(await store.claim_ownership([{**listed, "owner_id": "late"}])), [])
            await store.update_checkpoint({**of, "offset": "6", "sequence_number": 6})
            (checkpoint,) = await store.list_checkpoints("NS", "Hub", "$Default")
            same((checkpoint["offset"], checkpoint["sequence_number"]), ("6", 6))

    @behaviour("two consumers with a checkpoint store share the partitions, and one goes on alone")
    async def _():
        hub, name = make(4), container()
        found, owners = [], {}

        def reader(who):
            store = AioBlobCheckpointStore.from_connection_string(storage, name)
            client = aio_consumer(
                hub, checkpoint_store=store, load_balancing_interval=1, partition_ownership_expiration_interval=5
            )

            async def on_event(context, event):
                if event is None:
                    return
                found.append(event.body_as_str())
                await context.update_checkpoint(event)

            async def on_start(context):
                owners.setdefault(who, set()).add(context.partition_id)

            receiving = client.receive(on_event=on_event, on_partition_initialize=on_start, starting_position="-1")
            return client, asyncio.create_task(receiving)

        one, first = reader("one")
        two, second = reader("two")
        for deadline in range(300):
            if len(owners.get("one", ())) >= 1 and len(owners.get("two", ())) >= 2:
                break
            await asyncio.sleep(0.1)
        for partition in range(4):
            await aio_send(hub, [f"{partition}-{i}" for i in range(5)], partition_id=str(partition))
        for deadline in range(200):
            if len(set(found)) == 20:
                break
            await asyncio.sleep(0.1)
        same(len(set(found)), 20)
        await one.close()
        await aio_send(hub, ["last"], partition_id="0")
        await aio_send(hub, ["last too"], partition_id="3")
        for deadline in range(300):
            if {"last", "last too"} <= set(found):
                break
            await asyncio.sleep(0.1)
        await two.close()
        await over(first, second)
        assert {"last", "last too"} <= set(found), found

    def perform(act):
        asyncio.run(asyncio.wait_for(act(), 120))


for says, act in behaviours:
    error = None
    started = time.monotonic()
    try:
        perform(act)
    except BaseException:
        error = traceback.format_exc()
    print(json.dumps({"says": says, "error": error, "seconds": round(time.monotonic() - started, 1)}), flush=True)
