"""Eclipse Paho's Python client, versions 3.1.1 and 5: one function a behaviour, one JSON line a result."""
import json
import queue
import socket
import sys
import time
import traceback

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

host, port, ws_path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
run = format(int(time.time() * 1000), "x")
names = 0
behaviours = []
V4, V5 = paho.MQTTv311, paho.MQTTv5


def behaviour(says, *versions):
    def keep(act):
        for version in versions or (None,):
            label = {V4: "3.1.1: ", V5: "5: ", None: ""}[version]
            behaviours.append((label + says, (lambda: act()) if version is None else (lambda v=version: act(v))))
        return act

    return keep


def fresh(stem="paho"):
    global names
    names += 1
    return f"{stem}-{run}-{names}"


def properties(kind, **values):
    found = Properties(kind)
    for name, value in values.items():
        setattr(found, name, value)
    return found


class Client:
    def __init__(self, version=V4, client_id=None, clean=True, expiry=None, will=None, keepalive=60, connect=None,
                 transport="tcp", manual=False, wait=True):
        self.version = version
        kind = {} if version == V5 else {"clean_session": clean}
        self.mqtt = paho.Client(CallbackAPIVersion.VERSION2, client_id=fresh() if client_id is None else client_id,
                                protocol=version, transport=transport, manual_ack=manual, **kind)
        if transport == "websockets":
            self.mqtt.ws_set_options(path=ws_path)
        self.messages = queue.Queue()
        self.acks = queue.Queue()
        self.connected = queue.Queue()
        self.closed = queue.Queue()
        self.mqtt.on_message = lambda _c, _u, message: self.messages.put(message)
        self.mqtt.on_publish = lambda _c, _u, mid, code, props: self.acks.put((mid, code))
        self.mqtt.on_subscribe = lambda _c, _u, mid, codes, props: self.acks.put((mid, codes))
        self.mqtt.on_unsubscribe = lambda _c, _u, mid, codes, props: self.acks.put((mid, codes))
        self.mqtt.on_connect = lambda _c, _u, flags, code, props: self.connected.put((flags, code, props))
        self.mqtt.on_disconnect = lambda _c, _u, flags, code, props: self.closed.put(code)
        if will is not None:
            self.mqtt.will_set(**will)
        extra = {}
        if version == V5:
            values = dict(connect or {})
            if expiry is not None:
                values["SessionExpiryInterval"] = expiry
            extra = {"clean_start": clean, "properties": properties(PacketTypes.CONNECT, **values)}
        self.mqtt.connect(host, port, keepalive, **extra)
        self.mqtt.loop_start()
        if wait:
            self.flags, self.code, self.properties = self.connected.get(timeout=5)
            assert not self.code.is_failure, self.code

    def subscribe(self, *args, **kwargs):
        self.mqtt.subscribe(*args, **kwargs)
        return self.acks.get(timeout=5)[1]

    def publish(self, topic, payload, qos=1, **kwargs):
        info = self.mqtt.publish(topic, payload, qos, **kwargs)
        info.wait_for_publish(5)
        return info

    def get(self, timeout=5):
        return self.messages.get(timeout=timeout)

    def none(self, timeout=0.5):
        try:
            found = self.messages.get(timeout=timeout)
        except queue.Empty:
            return
        raise AssertionError(f"{found.topic} {found.payload} came")

    def leave(self, **kwargs):
        self.mqtt.disconnect(**kwargs)
        self.mqtt.loop_stop()

    def break_off(self):
        self.mqtt.loop_stop()
        self.mqtt._sock.shutdown(socket.SHUT_RDWR)
        self.mqtt._sock.close()


@behaviour("messages arrive with each QoS, in order", V4, V5)
def each_qos(version):
    topic = fresh()
    to = Client(version)
    to.subscribe(topic, 2)
    sender = Client(version)
    for qos in (0, 1, 2):
        sender.publish(topic, f"{qos}", qos)
    got = sorted((m.payload.decode(), m.qos) for m in (to.get(), to.get(), to.get()))
    assert got == [("0", 0), ("1", 1), ("2", 2)], got
    for i in range(200):
        sender.mqtt.publish(topic, str(i), 1)
    assert [to.get().payload.decode() for _ in range(200)] == [str(i) for i in range(200)]


@behaviour("several filters in one request are answered each", V4, V5)
def several(version):
    topic = fresh()
    to = Client(version)
    filters = [(f"{topic}/a", 0), (f"{topic}/+/c", 1), (f"{topic}/#", 2)]
    if version == V5:
        filters = [(name, SubscribeOptions(qos)) for name, qos in filters]
    codes = [code.value for code in to.subscribe(filters)]
    assert codes == [0, 1, 2], codes
    Client(version).publish(f"{topic}/b/c", "x", 2)
    assert to.get().qos == 2
    to.none()


@behaviour("a filter that is not valid is refused, and the others stand", V5)
def bad_filter(version):
    topic = fresh()
    to = Client(version)
    try:
        codes = to.subscribe([(f"{topic}/a#b", SubscribeOptions(1)), (topic, SubscribeOptions(1))])
    except ValueError:
        return  # This version of the client does not let it out.
    assert [code.value for code in codes] == [0x8F, 1], codes


@behaviour("after UNSUBSCRIBE nothing comes", V4, V5)
def unsubscribe(version):
    topic = fresh()
    to = Client(version)
    to.subscribe(topic, 1)
    to.mqtt.unsubscribe(topic)
    to.acks.get(timeout=5)
    Client(version).publish(topic, "x")
    to.none()


@behaviour("a retained message is replaced, and removed by an empty one", V4, V5)
def retained(version):
    topic = fresh()
    sender = Client(version)
    for text in ("old", "new"):
        sender.publish(topic, text, 1, retain=True)
    to = Client(version)
    to.subscribe(topic, 1)
    message = to.get()
    assert (message.payload, message.retain) == (b"new", True), message.payload
    to.none(0.3)
    sender.publish(topic, b"", 1, retain=True)
    later = Client(version)
    later.subscribe(topic, 1)
    later.none()


@behaviour("a will is sent when the connection breaks, and not on DISCONNECT", V4, V5)
def wills(version):
    topic = fresh()
    to = Client(version)
    to.subscribe(topic + "/#", 1)
    polite = Client(version, will={"topic": topic + "/polite", "payload": "x", "qos": 1})
    polite.leave()
    broken = Client(version, will={"topic": topic + "/broken", "payload": "x", "qos": 1})
    broken.break_off()
    assert to.get().topic == topic + "/broken"
    to.none(0.3)


@behaviour("a will waits for its delay, and is not sent when the client is back before", V5)
def will_delay(version):
    topic = fresh()
    to = Client(version)
    to.subscribe(topic, 1)
    name = fresh()
    will = {"topic": topic, "payload": "x", "qos": 1,
            "properties": properties(PacketTypes.WILLMESSAGE, WillDelayInterval=2)}
    Client(version, name, expiry=60, will=will).break_off()
    back = Client(version, name, clean=False, expiry=60)
    to.none(3.5)
    back.leave()
    name = fresh()
    start = time.time()
    Client(version, name, expiry=60, will=will).break_off()
    assert to.get(8).payload == b"x"
    assert time.time() - start >= 1.8, time.time() - start


@behaviour("a session that is kept gets what came while it was away, once", V4, V5)
def kept(version):
    topic, name = fresh(), fresh()
    options = {"clean": False, "expiry": 600}
    first = Client(version, name, **options)
    assert not first.flags.session_present
    first.subscribe(topic, 2)
    first.leave()
    sender = Client(version)
    for qos in (1, 2):
        sender.publish(topic, str(qos), qos)
    again = Client(version, name, **options)
    assert again.flags.session_present
    assert sorted(again.get().payload for _ in range(2)) == [b"1", b"2"]
    again.none(0.4)
    again.leave()
    fresh_start = Client(version, name, clean=True)
    assert not fresh_start.flags.session_present


@behaviour("what was not acknowledged comes again with DUP to a client that comes back", V4, V5)
def redelivery(version):
    topic, name = fresh(), fresh()
    options = {"clean": False, "expiry": 600}
    first = Client(version, name, manual=True, **options)
    first.subscribe(topic, 1)
    Client(version).publish(topic, "x", 1)
    message = first.get()
    assert not message.dup
    first.break_off()
    again = Client(version, name, **options)
    repeated = again.get()
    assert (repeated.payload, repeated.dup, repeated.mid) == (b"x", True, message.mid)


@behaviour("a client identifier is assigned where none is given", V5)
def assigned(version):
    client = Client(version, "")
    assert len(client.properties.AssignedClientIdentifier) > 3


@behaviour("who connects with the same identifier takes the session over", V5)
def taken_over(version):
    name = fresh()
    first = Client(version, name)
    first.mqtt.reconnect_delay_set(30, 30)
    Client(version, name)
    assert first.closed.get(timeout=5).value == 0x8E


@behaviour("user properties, content type, response topic and correlation data go through, in order", V5)
def user_properties(version):
    topic = fresh()
    to = Client(version)
    to.subscribe(topic, 1)
    sent = properties(PacketTypes.PUBLISH, ContentType="text/x", ResponseTopic="answers", CorrelationData=b"\x01\xff",
                      PayloadFormatIndicator=1)
    pairs = [("b", "1"), ("a", "2"), ("b", "3"), ("content-type", "other"), ("empty", "")]
    sent.UserProperty = pairs
    Client(version).publish(topic, "x", 1, properties=sent)
    got = to.get().properties
    assert got.UserProperty == pairs, got.UserProperty
    assert (got.ContentType, got.ResponseTopic, got.CorrelationData, got.PayloadFormatIndicator) == (
        "text/x", "answers", b"\x01\xff", 1)


@behaviour("a message whose time is over is not delivered; another has what is left of its time", V5)
def expiry(version):
    topic, name = fresh(), fresh()
    options = {"clean": False, "expiry": 600}
    first = Client(version, name, **options)
    first.subscribe(topic, 1)
    first.leave()
    sender = Client(version)
    for text, seconds in (("short", 1), ("long", 60)):
        sender.publish(topic, text, 1, properties=properties(PacketTypes.PUBLISH, MessageExpiryInterval=seconds))
    time.sleep(1.6)
    again = Client(version, name, **options)
    message = again.get()
    assert message.payload == b"long" and message.properties.MessageExpiryInterval < 60
    again.none(0.3)


@behaviour("subscription identifiers say which subscriptions a message fits", V5)
def identifiers(version):
    topic = fresh()
    to = Client(version)
    for filter, number in ((f"{topic}/a", 7), (f"{topic}/#", 200_000)):
        to.subscribe(filter, options=SubscribeOptions(1),
                     properties=properties(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=number))
    Client(version).publish(f"{topic}/a", "x")
    assert sorted(to.get().properties.SubscriptionIdentifier) == [7, 200_000]
    to.none(0.3)


@behaviour("no-local, retain-as-published and retain handling", V5)
def options(version):
    topic = fresh()
    client = Client(version)
    client.subscribe(topic, options=SubscribeOptions(1, noLocal=True))
    client.publish(topic, "own", 1)
    client.none(0.4)
    client.subscribe(topic, options=SubscribeOptions(1, retainAsPublished=True, retainHandling=2))
    client.publish(topic, "flagged", 1, retain=True)
    assert client.get().retain
    client.subscribe(topic, options=SubscribeOptions(1, retainHandling=1))
    client.none(0.3)
    client.subscribe(topic, options=SubscribeOptions(1, retainHandling=0))
    assert client.get().payload == b"flagged"


@behaviour("a shared subscription divides messages among its members", V5)
def shared(version):
    topic = fresh()
    members = [Client(version) for _ in range(3)]
    for member in members:
        member.subscribe(f"$share/team/{topic}/#", 1)
    sender = Client(version)
    for i in range(30):
        sender.publish(f"{topic}/{i}", str(i))
    time.sleep(0.5)
    counts = [member.messages.qsize() for member in members]
    assert sum(counts) == 30 and min(counts) >= 5, counts


@behaviour("topic aliases, both ways", V5)
def aliases(version):
    topic = fresh()
    to = Client(version, connect={"TopicAliasMaximum": 2})
    to.subscribe(topic + "/#", 1)
    sender = Client(version)
    sender.publish(topic + "/a", "1", 1, properties=properties(PacketTypes.PUBLISH, TopicAlias=1))
    sender.publish("", "2", 1, properties=properties(PacketTypes.PUBLISH, TopicAlias=1))
    first, second = to.get(), to.get()
    # The client leaves the translation of an alias to who uses it.
    assert (first.topic, second.topic) == (topic + "/a", ""), (first.topic, second.topic)
    assert first.properties.TopicAlias == second.properties.TopicAlias


@behaviour("the receive maximum of the client is kept to", V5)
def receive_maximum(version):
    topic = fresh()
    to = Client(version, manual=True, connect={"ReceiveMaximum": 2})
    to.subscribe(topic, 1)
    sender = Client(version)
    for i in range(5):
        sender.publish(topic, str(i), 1)
    got = [to.get(), to.get()]
    to.none()
    to.mqtt.ack(got[0].mid, got[0].qos)
    assert to.get().payload == b"2"
    to.none(0.3)


@behaviour("a message larger than the client takes is not sent to it", V5)
def maximum_packet(version):
    topic = fresh()
    to = Client(version, connect={"MaximumPacketSize": 100})
    to.subscribe(topic, 1)
    sender = Client(version)
    sender.publish(topic, "x" * 500, 1)
    sender.publish(topic, "small", 1)
    assert to.get().payload == b"small"


@behaviour("a message of a megabyte goes through whole", V4, V5)
def large(version):
    topic = fresh()
    to = Client(version)
    to.subscribe(topic, 1)
    Client(version).publish(topic, b"x" * 1_000_000, 1)
    assert len(to.get().payload) == 1_000_000


@behaviour("the server keeps to the keep alive of the client", V4)
def keep_alive(version):
    client = Client(version, keepalive=1)
    client.mqtt.reconnect_delay_set(30, 30)
    time.sleep(3)
    assert client.mqtt.is_connected(), "pings were not answered"


@behaviour("over a WebSocket", V4, V5)
def web_socket(version):
    topic = fresh()
    to = Client(version, transport="websockets")
    to.subscribe(topic, 1)
    Client(version, transport="websockets").publish(topic, b"y" * 100_000, 2)
    message = to.get()
    assert (message.qos, len(message.payload)) == (1, 100_000)


failed = 0
for says, act in behaviours:
    error = None
    try:
        act()
    except BaseException:
        error = traceback.format_exc()
        failed += 1
    print(json.dumps({"says": says, "error": error}), flush=True)
sys.exit(0)
