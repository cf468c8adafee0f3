// azeventhubs for Go with its checkpoint store, unmodified: one function a behaviour, one JSON line a result. Arguments:
// `plain` EVENTHUBS HTTP; `secure` EVENTHUBS KEY SECRET HUB CA TOKEN, over TLS; `processor` EVENTHUBS HUB CONTAINER, a
// processor until it is killed; `steady` EVENTHUBS HUB, a producer and a processor.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	azeventhubs "github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2/checkpoints"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/coder/websocket"
)

var (
	address, httpAddress string
	made                 int
	// Never more than once, so that an error is the first one.
	once     = azeventhubs.RetryOptions{MaxRetries: -1}
	earliest = azeventhubs.StartPosition{Earliest: to.Ptr(true)}
)

type failure struct{ why string }

func fail(format string, args ...any) { panic(failure{fmt.Sprintf(format, args...)}) }
func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}
func same(found, wanted any) {
	if !reflect.DeepEqual(found, wanted) {
		fail("%#v, not %#v", found, wanted)
	}
}
func says(err error, part string) {
	if err == nil || !strings.Contains(err.Error(), part) {
		fail("%v, which does not say %q", err, part)
	}
}
func within(seconds int) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second)
	time.AfterFunc(time.Duration(seconds+1)*time.Second, cancel)
	return ctx
}
func until(what string, seconds int, holds func() bool) {
	for end := time.Now().Add(time.Duration(seconds) * time.Second); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			fail("not within %d s: %s", seconds, what)
		}
	}
}

func call(method, path, contentType, body string) string {
	request, err := http.NewRequest(method, "http://"+httpAddress+path, bytes.NewBufferString(body))
	check(err)
	request.Header.Set("content-type", contentType)
	answer, err := http.DefaultClient.Do(request)
	check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	check(err)
	if answer.StatusCode >= 300 {
		fail("%d %s", answer.StatusCode, text)
	}
	return string(text)
}
func name() string {
	made++
	return fmt.Sprintf("go-%d-%d", os.Getpid(), made)
}
func hubOf(partitions int) string {
	hub := name()
	call("PUT", "/v1/topics/"+hub, "application/json", fmt.Sprintf(`{"partitions":%d}`, partitions))
	return hub
}

func emulator() string {
	return "Endpoint=sb://" + address + ";SharedAccessKeyName=any;SharedAccessKey=any;UseDevelopmentEmulator=true"
}
func producer(hub string) *azeventhubs.ProducerClient {
	client, err := azeventhubs.NewProducerClientFromConnectionString(emulator(), hub, &azeventhubs.ProducerClientOptions{RetryOptions: once})
	check(err)
	return client
}
func consumer(hub, group string) *azeventhubs.ConsumerClient {
	client, err := azeventhubs.NewConsumerClientFromConnectionString(emulator(), hub, group, &azeventhubs.ConsumerClientOptions{RetryOptions: once})
	check(err)
	return client
}
func sendWith(client *azeventhubs.ProducerClient, options *azeventhubs.EventDataBatchOptions, events ...*azeventhubs.EventData) error {
	batch, err := client.NewEventDataBatch(within(20), options)
	if err != nil {
		return err
	}
	for _, event := range events {
		check(batch.AddEventData(event, nil))
	}
	return client.SendEventDataBatch(within(20), batch, nil)
}
func texts(bodies ...string) (events []*azeventhubs.EventData) {
	for _, body := range bodies {
		events = append(events, &azeventhubs.EventData{Body: []byte(body)})
	}
	return
}
func sendTo(hub string, options *azeventhubs.EventDataBatchOptions, bodies ...string) error {
	client := producer(hub)
	defer client.Close(within(5))
	return sendWith(client, options, texts(bodies...)...)
}
func send(hub string, bodies ...string) { check(sendTo(hub, nil, bodies...)) }
func toPartition(id string) *azeventhubs.EventDataBatchOptions {
	return &azeventhubs.EventDataBatchOptions{PartitionID: &id}
}
func take(client *azeventhubs.PartitionClient, count int) (found []*azeventhubs.ReceivedEventData, err error) {
	ctx := within(20)
	for len(found) < count {
		events, err := client.ReceiveEvents(ctx, count-len(found), nil)
		found = append(found, events...)
		if err != nil {
			return found, err
		}
	}
	return found, nil
}
func receiveFrom(client *azeventhubs.ConsumerClient, partition string, count int, options azeventhubs.PartitionClientOptions) ([]*azeventhubs.ReceivedEventData, error) {
	reader, err := client.NewPartitionClient(partition, &options)
	if err != nil {
		return nil, err
	}
	defer reader.Close(within(5))
	return take(reader, count)
}
func receive(hub, partition string, count int, at azeventhubs.StartPosition) []*azeventhubs.ReceivedEventData {
	client := consumer(hub, azeventhubs.DefaultConsumerGroup)
	defer client.Close(within(5))
	events, err := receiveFrom(client, partition, count, azeventhubs.PartitionClientOptions{StartPosition: at})
	check(err)
	return events
}
func bodies(events []*azeventhubs.ReceivedEventData) (found []string) {
	for _, event := range events {
		found = append(found, string(event.Body))
	}
	return
}
func numbers(from, to int) (found []string) {
	for ; from < to; from++ {
		found = append(found, fmt.Sprint(from))
	}
	return
}

func facts() {
	hub := hubOf(3)
	client := producer(hub)
	defer client.Close(within(5))
	properties, err := client.GetEventHubProperties(within(20), nil)
	check(err)
	same(properties.Name, hub)
	same(properties.PartitionIDs, []string{"0", "1", "2"})
	same(time.Since(properties.CreatedOn) < time.Minute, true)
	empty, err := client.GetPartitionProperties(within(20), "1", nil)
	check(err)
	same(empty.IsEmpty, true)
	check(sendTo(hub, toPartition("1"), "a", "b"))
	found, err := client.GetPartitionProperties(within(20), "1", nil)
	check(err)
	same([]any{found.IsEmpty, found.BeginningSequenceNumber, found.LastEnqueuedSequenceNumber, found.LastEnqueuedOffset}, []any{false, int64(0), int64(1), "1"})
	same(time.Since(found.LastEnqueuedOn) < time.Minute, true)
}

func batch() {
	hub := hubOf(1)
	send(hub, numbers(0, 500)...)
	events := receive(hub, "0", 500, earliest)
	same(bodies(events), numbers(0, 500))
	for i, event := range events {
		same([]any{event.SequenceNumber, event.Offset}, []any{int64(i), fmt.Sprint(i)})
	}
}

func sizes() {
	hub := hubOf(1)
	client := producer(hub)
	defer client.Close(within(5))
	batch, err := client.NewEventDataBatch(within(20), nil)
	check(err)
	count := 0
	for {
		if err = batch.AddEventData(&azeventhubs.EventData{Body: make([]byte, 100_000)}, nil); err != nil {
			break
		}
		count++
	}
	same([]any{errors.Is(err, azeventhubs.ErrEventDataTooLarge), count}, []any{true, 10})
	check(client.SendEventDataBatch(within(20), batch, nil))
	small, err := client.NewEventDataBatch(within(20), &azeventhubs.EventDataBatchOptions{MaxBytes: 1_000})
	check(err)
	check(small.AddEventData(&azeventhubs.EventData{Body: make([]byte, 300)}, nil))
	same(errors.Is(small.AddEventData(&azeventhubs.EventData{Body: make([]byte, 900)}, nil), azeventhubs.ErrEventDataTooLarge), true)
	check(client.SendEventDataBatch(within(20), small, nil))
	_, err = client.NewEventDataBatch(within(20), &azeventhubs.EventDataBatchOptions{MaxBytes: 2_000_000})
	says(err, "larger than the maximum size allowed by link (1048576)")
	same(len(receive(hub, "0", 11, earliest)), 11)
}

func large() {
	hub := hubOf(1)
	body := bytes.Repeat([]byte("0123456789"), 100_000)
	client := producer(hub)
	defer client.Close(within(5))
	check(sendWith(client, nil, &azeventhubs.EventData{Body: body}))
	same(bytes.Equal(receive(hub, "0", 1, earliest)[0].Body, body), true)
}

func partitionKey() {
	hub := hubOf(4)
	for i := range 4 {
		check(sendTo(hub, &azeventhubs.EventDataBatchOptions{PartitionKey: to.Ptr("schlüssel")}, fmt.Sprint(i)))
	}
	client := producer(hub)
	defer client.Close(within(5))
	var holders int
	for _, partition := range []string{"0", "1", "2", "3"} {
		found, err := client.GetPartitionProperties(within(20), partition, nil)
		check(err)
		if found.IsEmpty {
			continue
		}
		holders++
		events := receive(hub, partition, 4, earliest)
		same(bodies(events), numbers(0, 4))
		same(*events[3].PartitionKey, "schlüssel")
	}
	same(holders, 1)
}

func partitionID() {
	hub := hubOf(3)
	check(sendTo(hub, toPartition("2"), "there"))
	same(bodies(receive(hub, "2", 1, earliest)), []string{"there"})
	says(sendTo(hub, toPartition("9"), "x"), "between 0 and 2")
}

func properties() {
	hub := hubOf(1)
	given := map[string]any{
		"text": "ü", "int64": int64(1) << 60, "int32": int32(5), "int16": int16(7), "int8": int8(-1),
		"uint64": uint64(1) << 63, "uint32": uint32(5), "uint16": uint16(7), "uint8": uint8(1),
		"float": float32(0.25), "double": 0.5, "yes": true, "bytes": []byte{0, 1},
		"time": time.UnixMilli(1_700_000_000_123).UTC(), "nothing": nil,
	}
	event := &azeventhubs.EventData{
		Body: []byte{0, 0xff}, Properties: given, ContentType: to.Ptr("application/json"), CorrelationID: uint64(9), MessageID: to.Ptr("m"),
	}
	client := producer(hub)
	defer client.Close(within(5))
	check(sendWith(client, nil, event))
	found := receive(hub, "0", 1, earliest)[0]
	for name, value := range given {
		if moment, ok := found.Properties[name].(time.Time); ok {
			found.Properties[name] = moment.UTC()
		}
		same(found.Properties[name], value)
	}
	same(len(found.Properties), len(given))
	same([]any{*found.ContentType, found.CorrelationID, *found.MessageID, found.Body}, []any{"application/json", uint64(9), "m", []byte{0, 0xff}})
	same(time.Since(*found.EnqueuedTime) < time.Minute, true)
}

func sections() {
	hub := hubOf(1)
	client := producer(hub)
	defer client.Close(within(5))
	batch, err := client.NewEventDataBatch(within(20), nil)
	check(err)
	given := []azeventhubs.AMQPAnnotatedMessageBody{
		{Value: map[string]any{"a": int64(1)}},
		{Value: "text"},
		{Sequence: [][]any{{int64(1), "x"}, {true}}},
		{Data: [][]byte{[]byte("one"), []byte("two")}},
	}
	for _, body := range given {
		message := &azeventhubs.AMQPAnnotatedMessage{
			Body: body, Properties: &azeventhubs.AMQPAnnotatedMessageProperties{Subject: to.Ptr("s"), GroupID: to.Ptr("g"), UserID: []byte("u")},
			MessageAnnotations: map[any]any{"x-opt-mine": "a"}, Footer: map[any]any{"f": "z"},
			Header: &azeventhubs.AMQPAnnotatedMessageHeader{TTL: time.Hour},
		}
		check(batch.AddAMQPAnnotatedMessage(message, nil))
	}
	check(client.SendEventDataBatch(within(20), batch, nil))
	for i, event := range receive(hub, "0", len(given), earliest) {
		raw := event.RawAMQPMessage
		same(raw.Body, given[i])
		same([]any{*raw.Properties.Subject, *raw.Properties.GroupID, raw.Properties.UserID}, []any{"s", "g", []byte("u")})
		same([]any{raw.MessageAnnotations["x-opt-mine"], raw.Footer["f"], event.SystemProperties["x-opt-mine"]}, []any{"a", "z", "a"})
	}
}

func positions() {
	hub := hubOf(1)
	for i := range 4 {
		send(hub, fmt.Sprint(i))
		time.Sleep(5 * time.Millisecond)
	}
	third := receive(hub, "0", 4, earliest)[2]
	for _, inclusive := range []bool{false, true} {
		wanted := []string{"3"}
		if inclusive {
			wanted = []string{"2", "3"}
		}
		for _, at := range []azeventhubs.StartPosition{
			{Offset: &third.Offset, Inclusive: inclusive},
			{SequenceNumber: &third.SequenceNumber, Inclusive: inclusive},
			{EnqueuedTime: third.EnqueuedTime, Inclusive: inclusive},
		} {
			same(bodies(receive(hub, "0", len(wanted), at)), wanted)
		}
	}
	client := consumer(hub, azeventhubs.DefaultConsumerGroup)
	defer client.Close(within(5))
	beyond := azeventhubs.StartPosition{SequenceNumber: to.Ptr(int64(99))}
	_, err := receiveFrom(client, "0", 1, azeventhubs.PartitionClientOptions{StartPosition: beyond})
	says(err, "The supplied offset '99' is invalid")
}

func latest() {
	hub := hubOf(1)
	send(hub, "old")
	client := consumer(hub, azeventhubs.DefaultConsumerGroup)
	defer client.Close(within(5))
	reader, err := client.NewPartitionClient("0", nil)
	check(err)
	defer reader.Close(within(5))
	done := make(chan []*azeventhubs.ReceivedEventData, 1)
	go func() {
		found, _ := take(reader, 1)
		done <- found
	}()
	for i := 0; i < 50; i++ {
		select {
		case found := <-done:
			same(bodies(found), []string{"new"})
			return
		case <-time.After(200 * time.Millisecond):
			send(hub, "new")
		}
	}
	fail("nothing came")
}

// Credit is given for what is asked for alone, and stays after a wait that came to nothing.
func withoutPrefetch() {
	hub := hubOf(1)
	client := consumer(hub, azeventhubs.DefaultConsumerGroup)
	defer client.Close(within(5))
	reader, err := client.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{StartPosition: earliest, Prefetch: -1})
	check(err)
	defer reader.Close(within(5))
	for range 2 {
		short, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		events, err := reader.ReceiveEvents(short, 10, nil)
		cancel()
		same([]any{len(events), errors.Is(err, context.DeadlineExceeded)}, []any{0, true})
	}
	send(hub, numbers(0, 25)...)
	var found []string
	for _, count := range []int{10, 10, 5} {
		events, err := reader.ReceiveEvents(within(10), count, nil)
		check(err)
		found = append(found, bodies(events)...)
	}
	same(found, numbers(0, 25))
}

func prefetch() {
	hub := hubOf(1)
	for i := range 4 {
		send(hub, numbers(i*1000, i*1000+1000)...)
	}
	client := consumer(hub, azeventhubs.DefaultConsumerGroup)
	defer client.Close(within(5))
	for _, count := range []int32{1, 0, 300, 5000} {
		wanted := 4000
		if count == 1 {
			wanted = 100
		}
		events, err := receiveFrom(client, "0", wanted, azeventhubs.PartitionClientOptions{StartPosition: earliest, Prefetch: count})
		check(err)
		same(bodies(events), numbers(0, wanted))
	}
}

func groups() {
	hub := hubOf(1)
	send(hub, "a", "b")
	for _, group := range []string{azeventhubs.DefaultConsumerGroup, "other", "third"} {
		client := consumer(hub, group)
		events, err := receiveFrom(client, "0", 2, azeventhubs.PartitionClientOptions{StartPosition: earliest})
		check(err)
		same(bodies(events), []string{"a", "b"})
		check(client.Close(within(5)))
	}
}

func partitions() {
	hub := hubOf(3)
	for i := range 3 {
		check(sendTo(hub, toPartition(fmt.Sprint(i)), fmt.Sprint(i)))
	}
	client := consumer(hub, azeventhubs.DefaultConsumerGroup)
	defer client.Close(within(5))
	var all sync.WaitGroup
	found := make([]string, 3)
	for i := range 3 {
		all.Add(1)
		go func() {
			defer all.Done()
			events, err := receiveFrom(client, fmt.Sprint(i), 1, azeventhubs.PartitionClientOptions{StartPosition: earliest})
			if err == nil {
				found[i] = string(events[0].Body)
			}
		}()
	}
	all.Wait()
	same(found, []string{"0", "1", "2"})
}

func ownershipLost(err error) bool {
	var known *azeventhubs.Error
	return errors.As(err, &known) && known.Code == azeventhubs.ErrorCodeOwnershipLost
}
func ownerLevel() {
	hub := hubOf(1)
	send(hub, "a")
	client := consumer(hub, azeventhubs.DefaultConsumerGroup)
	defer client.Close(within(5))
	level := func(of int64) azeventhubs.PartitionClientOptions {
		return azeventhubs.PartitionClientOptions{StartPosition: earliest, OwnerLevel: &of}
	}
	one, two := level(1), level(2)
	low, err := client.NewPartitionClient("0", &one)
	check(err)
	defer low.Close(within(5))
	_, err = take(low, 1)
	check(err)
	high, err := client.NewPartitionClient("0", &two)
	check(err)
	defer high.Close(within(5))
	_, err = take(high, 1)
	check(err)
	_, err = take(low, 1)
	if !ownershipLost(err) {
		fail("the older one hears: %v", err)
	}
	_, err = receiveFrom(client, "0", 1, level(0))
	if !ownershipLost(err) {
		fail("the lower one hears: %v", err)
	}
}

func nowhere() {
	says(sendTo("nowhere", nil, "x"), "could not be found")
	client := consumer("nowhere", azeventhubs.DefaultConsumerGroup)
	defer client.Close(within(5))
	_, err := receiveFrom(client, "0", 1, azeventhubs.PartitionClientOptions{StartPosition: earliest})
	says(err, "could not be found")
	_, err = client.GetEventHubProperties(within(20), nil)
	says(err, "could not be found")
}

func concurrent() {
	hub := hubOf(1)
	client := producer(hub)
	defer client.Close(within(5))
	failures := make(chan error, 300)
	for i := range 300 {
		go func() { failures <- sendWith(client, toPartition("0"), texts(fmt.Sprint(i))...) }()
	}
	for range 300 {
		check(<-failures)
	}
	found := bodies(receive(hub, "0", 300, earliest))
	wanted := numbers(0, 300)
	sort.Strings(found)
	sort.Strings(wanted)
	same(found, wanted)
}

func overWebSocket(ctx context.Context, args azeventhubs.WebSocketConnParams) (net.Conn, error) {
	// It has TLS in mind, always.
	url := strings.Replace(args.Host, "wss://", "ws://", 1)
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{"amqp"}})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(-1)
	return websocket.NetConn(context.Background(), conn, websocket.MessageBinary), nil
}
func webSockets() {
	hub := hubOf(1)
	sender, err := azeventhubs.NewProducerClientFromConnectionString(emulator(), hub, &azeventhubs.ProducerClientOptions{RetryOptions: once, NewWebSocketConn: overWebSocket})
	check(err)
	defer sender.Close(within(5))
	body := strings.Repeat("x", 300_000)
	check(sendWith(sender, nil, texts("a", "b", body)...))
	reader, err := azeventhubs.NewConsumerClientFromConnectionString(emulator(), hub, azeventhubs.DefaultConsumerGroup, &azeventhubs.ConsumerClientOptions{RetryOptions: once, NewWebSocketConn: overWebSocket})
	check(err)
	defer reader.Close(within(5))
	events, err := receiveFrom(reader, "0", 3, azeventhubs.PartitionClientOptions{StartPosition: earliest})
	check(err)
	same(bodies(events), []string{"a", "b", body})
}

func foreign() {
	hub := hubOf(1)
	record := `{"records":[{"key":"k","value":{"a":1},"headers":{"h":"v"},"timestamp":"2026-01-01T00:00:00Z"}]}`
	call("POST", "/v1/topics/"+hub+"/records", "application/vnd.millrace.records+json", record)
	found := receive(hub, "0", 1, earliest)[0]
	same([]any{string(found.Body), *found.PartitionKey, found.Properties["h"]}, []any{`{"a":1}`, "k", "v"})
	same(found.EnqueuedTime.UTC().Format(time.RFC3339), "2026-01-01T00:00:00Z")
}

func containerOf(name string) *container.Client {
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	connection := "DefaultEndpointsProtocol=http;AccountName=account;AccountKey=" + key + ";BlobEndpoint=http://" + address + "/account"
	client, err := container.NewClientFromConnectionString(connection, name, nil)
	check(err)
	return client
}
func storeOf(container string) *checkpoints.BlobStore {
	store, err := checkpoints.NewBlobStore(containerOf(container), nil)
	check(err)
	return store
}
func makeContainer() string {
	made := name()
	_, err := containerOf(made).Create(within(20), nil)
	check(err)
	return made
}

func store() {
	store := storeOf(makeContainer())
	claim := func(owner string, etag *azcore.ETag) []azeventhubs.Ownership {
		of := azeventhubs.Ownership{FullyQualifiedNamespace: "ns", EventHubName: "hub", ConsumerGroup: "$Default", PartitionID: "0", OwnerID: owner, ETag: etag}
		claimed, err := store.ClaimOwnership(within(20), []azeventhubs.Ownership{of}, nil)
		check(err)
		return claimed
	}
	first := claim("one", nil)
	same(len(first), 1)
	listed, err := store.ListOwnership(within(20), "ns", "hub", "$Default", nil)
	check(err)
	// In lists they have no quotes, as in the real service.
	same([]any{len(listed), listed[0].OwnerID, `"` + string(*listed[0].ETag) + `"`}, []any{1, "one", string(*first[0].ETag)})
	same(len(claim("two", listed[0].ETag)), 1)
	same(len(claim("late", listed[0].ETag)), 0)
	same(len(claim("without an etag", nil)), 0)
	for i := int64(5); i < 7; i++ {
		checkpoint := azeventhubs.Checkpoint{FullyQualifiedNamespace: "ns", EventHubName: "hub", ConsumerGroup: "$Default", PartitionID: "0", SequenceNumber: &i, Offset: to.Ptr(fmt.Sprint(i))}
		check(store.SetCheckpoint(within(20), checkpoint, nil))
	}
	kept, err := store.ListCheckpoints(within(20), "ns", "hub", "$Default", nil)
	check(err)
	same([]any{len(kept), *kept[0].SequenceNumber, *kept[0].Offset}, []any{1, int64(6), "6"})
}

// Runs until the context is over. `took`: an event of a partition; `has`: the partition is its own, or no more.
func process(ctx context.Context, hub, container string, has func(partition string, isOwn bool), took func(body string)) {
	client, err := azeventhubs.NewConsumerClientFromConnectionString(emulator(), hub, azeventhubs.DefaultConsumerGroup, nil)
	check(err)
	defer client.Close(within(5))
	processor, err := azeventhubs.NewProcessor(client, storeOf(container), &azeventhubs.ProcessorOptions{
		UpdateInterval: time.Second, PartitionExpirationDuration: 4 * time.Second, StartPositions: azeventhubs.StartPositions{Default: earliest},
	})
	check(err)
	go func() {
		for {
			partition := processor.NextPartitionClient(ctx)
			if partition == nil {
				return
			}
			go func() {
				defer partition.Close(within(5))
				has(partition.PartitionID(), true)
				defer has(partition.PartitionID(), false)
				for ctx.Err() == nil {
					short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
					events, err := partition.ReceiveEvents(short, 50, nil)
					cancel()
					for _, event := range events {
						took(string(event.Body))
						if partition.UpdateCheckpoint(within(10), event, nil) != nil {
							return
						}
					}
					if err != nil && !errors.Is(err, context.DeadlineExceeded) {
						return
					}
				}
			}()
		}
	}()
	_ = processor.Run(ctx)
}

func resumes() {
	hub, container := hubOf(2), makeContainer()
	for i := range 2 {
		check(sendTo(hub, toPartition(fmt.Sprint(i)), fmt.Sprint(i, "a"), fmt.Sprint(i, "b"), fmt.Sprint(i, "c")))
	}
	var mutex sync.Mutex
	var found []string
	took := func(body string) {
		mutex.Lock()
		defer mutex.Unlock()
		found = append(found, body)
	}
	count := func() int {
		mutex.Lock()
		defer mutex.Unlock()
		return len(found)
	}
	run := func(wanted int) {
		ctx, cancel := context.WithCancel(context.Background())
		over := make(chan bool)
		go func() {
			process(ctx, hub, container, func(string, bool) {}, took)
			close(over)
		}()
		until(fmt.Sprint(wanted, " events"), 30, func() bool { return count() >= wanted })
		cancel()
		<-over
	}
	run(6)
	check(sendTo(hub, toPartition("1"), "late"))
	run(7)
	same([]any{count(), found[6]}, []any{7, "late"})
	until("the group is among all others", 10, func() bool {
		return strings.Contains(call("GET", "/v1/groups", "application/json", ""), "eventhubs.$Default")
	})
}

// A processor in another process, and what it says.
type other struct {
	process    *exec.Cmd
	mutex      sync.Mutex
	partitions map[string]bool
	events     []string
}

func startOther(hub, container string) *other {
	one := &other{process: exec.Command(os.Args[0], "processor", address, hub, container), partitions: map[string]bool{}}
	one.process.Stderr = os.Stderr
	out, err := one.process.StdoutPipe()
	check(err)
	check(one.process.Start())
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			what, text, _ := strings.Cut(lines.Text(), " ")
			one.mutex.Lock()
			switch what {
			case "has":
				one.partitions[text] = true
			case "lost":
				delete(one.partitions, text)
			case "event":
				one.events = append(one.events, text)
			}
			one.mutex.Unlock()
		}
	}()
	return one
}
func (one *other) owns() int {
	one.mutex.Lock()
	defer one.mutex.Unlock()
	return len(one.partitions)
}
func (one *other) took(bodies ...string) (count int) {
	one.mutex.Lock()
	defer one.mutex.Unlock()
	for _, event := range one.events {
		for _, body := range bodies {
			if event == body {
				count++
			}
		}
	}
	return
}
func (one *other) kill() {
	_ = one.process.Process.Kill()
	_ = one.process.Wait()
}

func balance() {
	hub, container := hubOf(4), makeContainer()
	one, two := startOther(hub, container), startOther(hub, container)
	defer two.kill()
	defer one.kill()
	until("two partitions each", 60, func() bool { return one.owns() == 2 && two.owns() == 2 })
	first, last := []string{"0a", "1a", "2a", "3a"}, []string{"0b", "1b", "2b", "3b"}
	for i, body := range first {
		check(sendTo(hub, toPartition(fmt.Sprint(i)), body))
	}
	until("all events", 30, func() bool { return one.took(first...)+two.took(first...) == 4 })
	same([]any{one.took(first...), two.took(first...)}, []any{2, 2})
	one.kill()
	for i, body := range last {
		check(sendTo(hub, toPartition(fmt.Sprint(i)), body))
	}
	until("all partitions", 60, func() bool { return two.owns() == 4 })
	until("what came since", 30, func() bool { return two.took(last...) == 4 })
	same(two.took(first...), 2)
}

// Sends `KEY/NUMBER` one after another and reads them with a processor, until its input is over; then it reads on until it
// is killed.
func steady(hub string) {
	container := makeContainer()
	go func() {
		for {
			process(context.Background(), hub, container, func(string, bool) {}, func(body string) { fmt.Println("event", body) })
			time.Sleep(200 * time.Millisecond)
		}
	}()
	over := make(chan bool)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(over)
	}()
	client := producer(hub)
	for number := 0; ; number++ {
		select {
		case <-over:
			fmt.Println("all")
			time.Sleep(10 * time.Minute)
		case <-time.After(20 * time.Millisecond):
		}
		for key := range 6 {
			id := fmt.Sprintf("%d/%d", key, number)
			for sendWith(client, &azeventhubs.EventDataBatchOptions{PartitionKey: to.Ptr(fmt.Sprint(key))}, texts(id)...) != nil {
				time.Sleep(200 * time.Millisecond)
			}
			fmt.Println("sent", id)
		}
	}
}

// Over TLS, where keys are asked for.

var key, secret, secureHub, token string
var trusted *tls.Config

func goesAround(body string, sender *azeventhubs.ProducerClient, reader *azeventhubs.ConsumerClient) error {
	defer sender.Close(within(5))
	defer reader.Close(within(5))
	if err := sendWith(sender, toPartition("0"), texts(body)...); err != nil {
		return err
	}
	found, err := sender.GetPartitionProperties(within(20), "0", nil)
	if err != nil {
		return err
	}
	at := azeventhubs.StartPosition{SequenceNumber: &found.LastEnqueuedSequenceNumber, Inclusive: true}
	events, err := receiveFrom(reader, "0", 1, azeventhubs.PartitionClientOptions{StartPosition: at})
	if err == nil {
		same(bodies(events), []string{body})
	}
	return err
}
func byString(body, connection, endpoint string) error {
	sender, err := azeventhubs.NewProducerClientFromConnectionString(connection, secureHub, &azeventhubs.ProducerClientOptions{RetryOptions: once, TLSConfig: trusted, CustomEndpoint: endpoint})
	check(err)
	reader, err := azeventhubs.NewConsumerClientFromConnectionString(connection, secureHub, azeventhubs.DefaultConsumerGroup, &azeventhubs.ConsumerClientOptions{RetryOptions: once, TLSConfig: trusted, CustomEndpoint: endpoint})
	check(err)
	return goesAround(body, sender, reader)
}

type given string

func (token given) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(token), ExpiresOn: time.Now().Add(time.Hour)}, nil
}
func byToken(body, token string) error {
	sender, err := azeventhubs.NewProducerClient("localhost", secureHub, given(token), &azeventhubs.ProducerClientOptions{RetryOptions: once, TLSConfig: trusted, CustomEndpoint: address})
	check(err)
	reader, err := azeventhubs.NewConsumerClient("localhost", secureHub, azeventhubs.DefaultConsumerGroup, given(token), &azeventhubs.ConsumerClientOptions{RetryOptions: once, TLSConfig: trusted, CustomEndpoint: address})
	check(err)
	return goesAround(body, sender, reader)
}
func connectionOf(host, secret string) string {
	return "Endpoint=sb://" + host + ";SharedAccessKeyName=" + key + ";SharedAccessKey=" + secret
}
func unauthorized(err error) {
	var known *azeventhubs.Error
	if !errors.As(err, &known) || known.Code != azeventhubs.ErrorCodeUnauthorizedAccess {
		fail("%v", err)
	}
}

func report(name string, behaviour func()) {
	started := time.Now()
	var why *string
	func() {
		defer func() {
			if thrown := recover(); thrown != nil {
				text := fmt.Sprint(thrown)
				if known, ok := thrown.(failure); ok {
					text = known.why
				}
				why = &text
			}
		}()
		behaviour()
	}()
	line, _ := json.Marshal(struct {
		Says  string  `json:"says"`
		Error *string `json:"error"`
		Ms    int64   `json:"ms"`
	}{name, why, time.Since(started).Milliseconds()})
	fmt.Println(string(line))
}

func main() {
	address = os.Args[2]
	switch os.Args[1] {
	case "processor":
		has := func(partition string, isOwn bool) {
			word := map[bool]string{true: "has", false: "lost"}[isOwn]
			fmt.Println(word, partition)
		}
		process(context.Background(), os.Args[3], os.Args[4], has, func(body string) { fmt.Println("event", body) })
	case "steady":
		steady(os.Args[3])
	case "secure":
		key, secret, secureHub, token = os.Args[3], os.Args[4], os.Args[5], os.Args[7]
		pem, err := os.ReadFile(os.Args[6])
		check(err)
		trusted = &tls.Config{RootCAs: x509.NewCertPool()}
		trusted.RootCAs.AppendCertsFromPEM(pem)
		report("over TLS a custom endpoint is connected to in place of the host that keys sign for", func() { check(byString("endpoint", connectionOf("localhost", secret), address)) })
		report("over TLS a connection string with a port comes in, where the name of the certificate is told", func() {
			named := trusted.Clone()
			named.ServerName = "localhost"
			before := trusted
			trusted = named
			defer func() { trusted = before }()
			check(byString("port", connectionOf(address, secret), ""))
		})
		report("over TLS a token of the issuer comes in", func() { check(byToken("token", token)) })
		report("a wrong key is refused with unauthorized access", func() { unauthorized(byString("x", connectionOf("localhost", "wrong"), address)) })
		report("a token that nobody signed is refused with unauthorized access", func() { unauthorized(byToken("x", token+"x")) })
	default:
		httpAddress = os.Args[3]
		report("a hub and its partitions say what they are", facts)
		report("all events of a batch come back, in order, with their numbers", batch)
		report("a batch ends at a megabyte or where it was told to, and what is larger is refused", sizes)
		report("an event of a megabyte goes in and comes out", large)
		report("events with a partition key lie together and keep it", partitionKey)
		report("events for a partition lie there; one that is not there is refused", partitionID)
		report("properties of all types and ids come back as they were", properties)
		report("bodies that are values, sequences, several data sections come back as such, with annotations and footer", sections)
		report("receivers begin at an offset, a number or a time, with it or behind it", positions)
		report("a receiver at the end gets what comes then", latest)
		report("a receiver without prefetch waits in vain, then gets what comes, as much as it asks for", withoutPrefetch)
		report("thousands come in order with any prefetch", prefetch)
		report("groups read for themselves", groups)
		report("partitions are read side by side over one connection", partitions)
		report("a higher owner level takes over; the older receiver hears of it, a lower one is refused", ownerLevel)
		report("what is not there is an error that says so", nowhere)
		report("hundreds of sends at once are all stored", concurrent)
		report("all of it goes over WebSockets", webSockets)
		report("what others wrote is read with key, value, headers and time", foreign)
		report("the checkpoint store claims, loses, and remembers what was reached", store)
		report("a processor goes on where the one before it was", resumes)
		report("two processors share the partitions; one is killed, and the other goes on with all", balance)
	}
}
