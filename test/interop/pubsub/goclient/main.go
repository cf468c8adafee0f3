// cloud.google.com/go/pubsub/v2, unmodified: prints `ok NAME` or `failed NAME: why` for each case.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sort"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const project = "interop"

var (
	ctx    = context.Background()
	client *pubsub.Client
	made   int
)

type failure struct{ why string }

func fail(format string, args ...any) { panic(failure{fmt.Sprintf(format, args...)}) }
func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}
func code(err error, want codes.Code) {
	if status.Code(err) != want {
		fail("%v, not %v", err, want)
	}
}

func pair(sub *pubsubpb.Subscription) (string, string) {
	made++
	topic := fmt.Sprintf("projects/%s/topics/go-%d-%d", project, os.Getpid(), made)
	_, err := client.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: topic})
	check(err)
	if sub == nil {
		sub = &pubsubpb.Subscription{}
	}
	sub.Name = fmt.Sprintf("projects/%s/subscriptions/go-%d-%d", project, os.Getpid(), made)
	sub.Topic = topic
	_, err = client.SubscriptionAdminClient.CreateSubscription(ctx, sub)
	check(err)
	return topic, sub.Name
}

func publish(topic string, messages ...*pubsub.Message) []string {
	publisher := client.Publisher(topic)
	publisher.EnableMessageOrdering = true
	defer publisher.Stop()
	var results []*pubsub.PublishResult
	for _, message := range messages {
		results = append(results, publisher.Publish(ctx, message))
	}
	var ids []string
	for _, result := range results {
		id, err := result.Get(ctx)
		check(err)
		ids = append(ids, id)
	}
	return ids
}
func texts(all ...string) (messages []*pubsub.Message) {
	for _, one := range all {
		messages = append(messages, &pubsub.Message{Data: []byte(one)})
	}
	return
}

// Until there are so many.
func receive(sub string, count int, each func(*pubsub.Message)) []*pubsub.Message {
	within, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var mutex sync.Mutex
	var found []*pubsub.Message
	err := client.Subscriber(sub).Receive(within, func(_ context.Context, message *pubsub.Message) {
		mutex.Lock()
		defer mutex.Unlock()
		if len(found) >= count {
			message.Nack()
			return
		}
		found = append(found, message)
		each(message)
		if len(found) == count {
			cancel()
		}
	})
	check(err)
	if len(found) < count {
		fail("only %d of %d came", len(found), count)
	}
	return found
}
func ack(message *pubsub.Message) { message.Ack() }
func pull(sub string, max int32) []*pubsubpb.ReceivedMessage {
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	answer, err := client.SubscriptionAdminClient.Pull(within, &pubsubpb.PullRequest{Subscription: sub, MaxMessages: max})
	check(err)
	return answer.ReceivedMessages
}
func data(messages []*pubsub.Message) (all []string) {
	for _, one := range messages {
		all = append(all, string(one.Data))
	}
	return
}
func same(found, wanted any) {
	if fmt.Sprint(found) != fmt.Sprint(wanted) {
		fail("%v, not %v", found, wanted)
	}
}

var cases = []struct {
	name string
	run  func()
}{
	{"publish and receive", func() {
		topic, sub := pair(nil)
		ids := publish(topic, &pubsub.Message{Data: []byte("hello"), Attributes: map[string]string{"a": "b"}})
		found := receive(sub, 1, ack)
		same([]any{found[0].ID, string(found[0].Data), found[0].Attributes["a"]}, []any{ids[0], "hello", "b"})
	}},
	{"two thousand messages", func() {
		topic, sub := pair(nil)
		var all []*pubsub.Message
		for i := 0; i < 2000; i++ {
			all = append(all, &pubsub.Message{Data: []byte(fmt.Sprint(i))})
		}
		ids := publish(topic, all...)
		var got []string
		for _, one := range receive(sub, 2000, ack) {
			got = append(got, one.ID)
		}
		sort.Strings(ids)
		sort.Strings(got)
		same(got, ids)
	}},
	{"nack", func() {
		topic, sub := pair(nil)
		publish(topic, texts("again")...)
		times := 0
		receive(sub, 3, func(m *pubsub.Message) {
			if times++; times < 3 {
				m.Nack()
			} else {
				m.Ack()
			}
		})
	}},
	{"ordering", func() {
		topic, sub := pair(&pubsubpb.Subscription{EnableMessageOrdering: true})
		var all []*pubsub.Message
		var wanted []string
		for i := 0; i < 10; i++ {
			all = append(all, &pubsub.Message{Data: []byte(fmt.Sprint(i)), OrderingKey: "k"})
			wanted = append(wanted, fmt.Sprint(i))
		}
		publish(topic, all...)
		same(data(receive(sub, 10, ack)), wanted)
	}},
	{"exactly once", func() {
		topic, sub := pair(&pubsubpb.Subscription{EnableExactlyOnceDelivery: true})
		publish(topic, texts("once")...)
		within, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		var outcome pubsub.AcknowledgeStatus = -1
		check(client.Subscriber(sub).Receive(within, func(c context.Context, m *pubsub.Message) {
			outcome, _ = m.AckWithResult().Get(ctx)
			cancel()
		}))
		same(outcome, pubsub.AcknowledgeStatusSuccess)
	}},
	{"exactly once refuses what is over", func() {
		topic, sub := pair(&pubsubpb.Subscription{EnableExactlyOnceDelivery: true})
		publish(topic, texts("once")...)
		request := &pubsubpb.AcknowledgeRequest{Subscription: sub, AckIds: []string{pull(sub, 1)[0].AckId}}
		check(client.SubscriptionAdminClient.Acknowledge(ctx, request))
		code(client.SubscriptionAdminClient.Acknowledge(ctx, request), codes.FailedPrecondition)
	}},
	{"filter", func() {
		topic, sub := pair(&pubsubpb.Subscription{Filter: `attributes.a = "1"`})
		publish(topic, &pubsub.Message{Data: []byte("no"), Attributes: map[string]string{"a": "2"}}, &pubsub.Message{Data: []byte("yes"), Attributes: map[string]string{"a": "1"}})
		same(data(receive(sub, 1, ack)), []string{"yes"})
	}},
	{"dead letter", func() {
		letters, dead := pair(nil)
		topic, sub := pair(&pubsubpb.Subscription{DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{DeadLetterTopic: letters, MaxDeliveryAttempts: 5}})
		publish(topic, texts("poison")...)
		var attempts []int
		receive(sub, 5, func(m *pubsub.Message) { attempts = append(attempts, *m.DeliveryAttempt); m.Nack() })
		same(attempts, []int{1, 2, 3, 4, 5})
		letter := receive(dead, 1, ack)[0]
		same(letter.Attributes["CloudPubSubDeadLetterSourceDeliveryCount"], "5")
	}},
	{"retry policy", func() {
		topic, sub := pair(&pubsubpb.Subscription{RetryPolicy: &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(2 * time.Second), MaximumBackoff: durationpb.New(3 * time.Second)}})
		publish(topic, texts("later")...)
		var times []time.Time
		receive(sub, 2, func(m *pubsub.Message) {
			if times = append(times, time.Now()); len(times) == 1 {
				m.Nack()
			} else {
				m.Ack()
			}
		})
		if times[1].Sub(times[0]) < 1900*time.Millisecond {
			fail("it came after %v", times[1].Sub(times[0]))
		}
	}},
	{"pull and deadlines", func() {
		topic, sub := pair(nil)
		publish(topic, texts("again")...)
		one := pull(sub, 1)[0]
		check(client.SubscriptionAdminClient.ModifyAckDeadline(ctx, &pubsubpb.ModifyAckDeadlineRequest{Subscription: sub, AckIds: []string{one.AckId}, AckDeadlineSeconds: 1}))
		same(pull(sub, 1)[0].Message.MessageId, one.Message.MessageId)
	}},
	{"seek to a time", func() {
		topic, sub := pair(&pubsubpb.Subscription{RetainAckedMessages: true})
		publish(topic, texts("kept")...)
		receive(sub, 1, ack)
		time.Sleep(500 * time.Millisecond)
		_, err := client.SubscriptionAdminClient.Seek(ctx, &pubsubpb.SeekRequest{Subscription: sub, Target: &pubsubpb.SeekRequest_Time{Time: timestamppb.New(time.Now().Add(-time.Minute))}})
		check(err)
		same(data(receive(sub, 1, ack)), []string{"kept"})
	}},
	{"snapshots", func() {
		topic, sub := pair(&pubsubpb.Subscription{RetainAckedMessages: true})
		publish(topic, texts("kept")...)
		name := fmt.Sprintf("projects/%s/snapshots/go-%d-%d", project, os.Getpid(), made)
		_, err := client.SubscriptionAdminClient.CreateSnapshot(ctx, &pubsubpb.CreateSnapshotRequest{Name: name, Subscription: sub})
		check(err)
		receive(sub, 1, ack)
		time.Sleep(500 * time.Millisecond)
		_, err = client.SubscriptionAdminClient.Seek(ctx, &pubsubpb.SeekRequest{Subscription: sub, Target: &pubsubpb.SeekRequest_Snapshot{Snapshot: name}})
		check(err)
		same(data(receive(sub, 1, ack)), []string{"kept"})
		check(client.SubscriptionAdminClient.DeleteSnapshot(ctx, &pubsubpb.DeleteSnapshotRequest{Snapshot: name}))
	}},
	{"masks", func() {
		_, sub := pair(&pubsubpb.Subscription{Labels: map[string]string{"a": "b"}})
		changed, err := client.SubscriptionAdminClient.UpdateSubscription(ctx, &pubsubpb.UpdateSubscriptionRequest{
			Subscription: &pubsubpb.Subscription{Name: sub, AckDeadlineSeconds: 50},
			UpdateMask:   &fieldmaskpb.FieldMask{Paths: []string{"ack_deadline_seconds"}}})
		check(err)
		same([]any{changed.AckDeadlineSeconds, changed.Labels["a"]}, []any{50, "b"})
		_, err = client.SubscriptionAdminClient.UpdateSubscription(ctx, &pubsubpb.UpdateSubscriptionRequest{
			Subscription: &pubsubpb.Subscription{Name: sub}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"filter"}}})
		code(err, codes.InvalidArgument)
	}},
	{"lists", func() {
		topic, sub := pair(nil)
		all := client.SubscriptionAdminClient.ListSubscriptions(ctx, &pubsubpb.ListSubscriptionsRequest{Project: "projects/" + project, PageSize: 2})
		seen := false
		for {
			one, err := all.Next()
			if errors.Is(err, iterator.Done) {
				break
			}
			check(err)
			seen = seen || one.Name == sub && one.Topic == topic
		}
		same(seen, true)
	}},
	{"errors", func() {
		topic, sub := pair(nil)
		_, err := client.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: topic})
		code(err, codes.AlreadyExists)
		_, err = client.TopicAdminClient.GetTopic(ctx, &pubsubpb.GetTopicRequest{Topic: topic + "-absent"})
		code(err, codes.NotFound)
		_, err = client.SubscriptionAdminClient.CreateSubscription(ctx, &pubsubpb.Subscription{Name: sub + "x", Topic: topic, AckDeadlineSeconds: 700})
		code(err, codes.InvalidArgument)
		code(client.Subscriber(sub+"-absent").Receive(ctx, func(context.Context, *pubsub.Message) {}), codes.NotFound)
	}},
	{"detach and delete", func() {
		topic, sub := pair(nil)
		_, err := client.TopicAdminClient.DetachSubscription(ctx, &pubsubpb.DetachSubscriptionRequest{Subscription: sub})
		check(err)
		got, err := client.SubscriptionAdminClient.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: sub})
		check(err)
		same(got.Detached, true)
		check(client.TopicAdminClient.DeleteTopic(ctx, &pubsubpb.DeleteTopicRequest{Topic: topic}))
		check(client.SubscriptionAdminClient.DeleteSubscription(ctx, &pubsubpb.DeleteSubscriptionRequest{Subscription: sub}))
	}},
}

func run(name string, call func()) {
	defer func() {
		if why := recover(); why != nil {
			fmt.Printf("failed %s: %v\n", name, why)
		} else {
			fmt.Printf("ok %s\n", name)
		}
	}()
	call()
}

func main() {
	made, err := pubsub.NewClient(ctx, project)
	if err != nil {
		fmt.Println("failed connect:", err)
		os.Exit(1)
	}
	client = made
	for _, one := range cases {
		run(one.name, one.run)
	}
}
