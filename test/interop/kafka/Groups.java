import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.InvalidRegularExpression;
import org.apache.kafka.common.errors.UnknownMemberIdException;
import org.apache.kafka.common.errors.UnreleasedInstanceIdException;
import org.apache.kafka.common.errors.UnsupportedAssignorException;

/** The Java client in groups of the consumer protocol (KIP-848), and in groups that change their protocol. */
public class Groups extends Client {
  public static void main(String[] args) {
    address = args[0];
    admin = Admin.create(config());
    behave("a group goes on where it committed", Groups::resume);
    for (String assignor : List.of("uniform", "range"))
      behave("partitions move when a member comes and goes (" + assignor + ")", () -> rebalance(assignor));
    behave("ten members share thirty partitions, and give them back", Groups::many);
    behave("a static member comes back to its partitions, and nobody else is disturbed", Groups::staticMember);
    behave("of two with one instance id the second is refused", Groups::sameInstance);
    behave("a pattern of RE2 finds topics, and those that come later", Groups::pattern);
    behave("a pattern of Java finds topics", Groups::javaPattern);
    behave("what is no pattern of RE2 is refused", Groups::badPattern);
    behave("an assignor that is not there is refused", Groups::badAssignor);
    behave("new partitions of a topic are given out", Groups::newPartitions);
    behave("a subscription that changes", Groups::resubscribe);
    behave("the group is listed and described", Groups::described);
    behave("positions are changed and deleted when nobody is in the group", Groups::positions);
    behave("settings of the group", Groups::settings);
    behave("a classic group takes consumers in while it runs, and is classic again without them", Groups::migrate);
    behave("static members of the classic protocol, cooperative", Groups::classicStatic);
    admin.close();
  }

  static KafkaConsumer<String, String> modern(String group, Object... more) {
    Object[] all = new Object[more.length + 2];
    System.arraycopy(more, 0, all, 0, more.length);
    all[more.length] = "group.protocol";
    all[more.length + 1] = "consumer";
    return consumer(group, all);
  }

  static void poll(KafkaConsumer<?, ?> consumer, long ms) {
    long until = System.currentTimeMillis() + ms;
    while (System.currentTimeMillis() < until) consumer.poll(Duration.ofMillis(50));
  }

  interface Holds {
    boolean now() throws Exception;
  }

  static void until(String what, Holds holds, KafkaConsumer<?, ?>... polled) throws Exception {
    long giveUp = System.currentTimeMillis() + 60_000;
    while (!holds.now()) {
      check(System.currentTimeMillis() < giveUp, what);
      for (var consumer : polled) consumer.poll(Duration.ofMillis(50));
    }
  }

  static ConsumerGroupDescription describe(String group) throws Exception {
    return admin.describeConsumerGroups(List.of(group)).all().get().get(group);
  }

  static void resume() throws Exception {
    String name = topic(2), group = fresh("group");
    send(name, List.of("a", "b", "c"));
    try (var consumer = modern(group)) {
      consumer.subscribe(List.of(name));
      same(new TreeSet<>(values(read(consumer, 3))), new TreeSet<>(List.of("a", "b", "c")));
    }
    send(name, List.of("d"));
    try (var consumer = modern(group)) {
      consumer.subscribe(List.of(name));
      same(values(read(consumer, 1)), List.of("d"));
      consumer.commitSync();
      consumer.commitAsync();
    }
  }

  static void rebalance(String assignor) throws Exception {
    String name = topic(4), group = fresh("group");
    var one = modern(group, "group.remote.assignor", assignor);
    var two = modern(group, "group.remote.assignor", assignor);
    try {
      one.subscribe(List.of(name));
      balanced(List.of(one), List.of(4));
      two.subscribe(List.of(name));
      balanced(List.of(one, two), List.of(2, 2));
      same(describe(group).partitionAssignor(), assignor);
      two.close();
      balanced(List.of(one), List.of(4));
    } finally {
      one.close();
      two.close();
    }
  }

  static void many() throws Exception {
    String name = topic(30), group = fresh("group");
    List<KafkaConsumer<String, String>> members = new ArrayList<>();
    try {
      for (int i = 0; i < 10; i++) {
        members.add(modern(group));
        members.get(i).subscribe(List.of(name));
      }
      balanced(members, List.of(3, 3, 3, 3, 3, 3, 3, 3, 3, 3));
      for (int i = 9; i >= 5; i--) members.remove(i).close();
      balanced(members, List.of(6, 6, 6, 6, 6));
    } finally {
      for (var member : members) member.close();
    }
  }

  static void staticMember() throws Exception {
    String name = topic(4), group = fresh("group");
    var other = modern(group);
    try {
      var one = modern(group, "group.instance.id", "station-1");
      one.subscribe(List.of(name));
      other.subscribe(List.of(name));
      balanced(List.of(one, other), List.of(2, 2));
      Set<TopicPartition> had = Set.copyOf(one.assignment());
      var epoch = describe(group).groupEpoch();
      one.close();
      poll(other, 1_000);
      same(other.assignment().size(), 2);
      var back = modern(group, "group.instance.id", "station-1");
      try {
        back.subscribe(List.of(name));
        until("it has what it had", () -> back.assignment().equals(had), back, other);
        same(describe(group).groupEpoch(), epoch);
      } finally {
        back.close();
      }
    } finally {
      other.close();
    }
  }

  static void sameInstance() throws Exception {
    String name = topic(1), group = fresh("group");
    try (var one = modern(group, "group.instance.id", "i"); var two = modern(group, "group.instance.id", "i")) {
      one.subscribe(List.of(name));
      balanced(List.of(one), List.of(1));
      two.subscribe(List.of(name));
      thrown(() -> poll(two, 10_000), UnreleasedInstanceIdException.class);
    }
  }

  static void thrown(Behaviour call, Class<?> why) throws Exception {
    try {
      call.run();
    } catch (Exception error) {
      same(error.getClass(), why);
      return;
    }
    throw new AssertionError("not thrown: " + why);
  }

  static Set<String> topicsOf(KafkaConsumer<?, ?> consumer) {
    Set<String> names = new TreeSet<>();
    for (TopicPartition one : consumer.assignment()) names.add(one.topic());
    return names;
  }

  static void named(String... names) throws Exception {
    List<NewTopic> topics = new ArrayList<>();
    for (String name : names) topics.add(new NewTopic(name, 1, (short) 1));
    admin.createTopics(topics).all().get();
  }

  static void pattern() throws Exception {
    String stem = fresh("re"), group = fresh("group");
    named(stem + "-red", stem + "-blue", "not-" + stem + "-red");
    try (var consumer = modern(group)) {
      consumer.subscribe(new SubscriptionPattern(stem + "-(red|green)"));
      until("red", () -> topicsOf(consumer).equals(Set.of(stem + "-red")), consumer);
      named(stem + "-green");
      until("and green", () -> topicsOf(consumer).equals(Set.of(stem + "-red", stem + "-green")), consumer);
    }
  }

  static void javaPattern() throws Exception {
    String stem = fresh("java-re");
    named(stem + "-1", stem + "-2");
    try (var consumer = modern(fresh("group"))) {
      consumer.subscribe(Pattern.compile(stem + "-(?=\\d).*"));
      until("both", () -> topicsOf(consumer).equals(Set.of(stem + "-1", stem + "-2")), consumer);
    }
  }

  static void badPattern() throws Exception {
    try (var consumer = modern(fresh("group"))) {
      consumer.subscribe(new SubscriptionPattern("(a"));
      thrown(() -> poll(consumer, 10_000), InvalidRegularExpression.class);
    }
  }

  static void badAssignor() throws Exception {
    String name = topic(1);
    try (var consumer = modern(fresh("group"), "group.remote.assignor", "mine")) {
      consumer.subscribe(List.of(name));
      thrown(() -> poll(consumer, 10_000), UnsupportedAssignorException.class);
    }
  }

  static void newPartitions() throws Exception {
    String name = topic(1);
    try (var consumer = modern(fresh("group"))) {
      consumer.subscribe(List.of(name));
      balanced(List.of(consumer), List.of(1));
      admin.createPartitions(Map.of(name, NewPartitions.increaseTo(3))).all().get();
      balanced(List.of(consumer), List.of(3));
    }
  }

  static void resubscribe() throws Exception {
    String one = topic(2), two = topic(3);
    try (var consumer = modern(fresh("group"))) {
      consumer.subscribe(List.of(one));
      balanced(List.of(consumer), List.of(2));
      consumer.subscribe(List.of(one, two));
      balanced(List.of(consumer), List.of(5));
      consumer.subscribe(List.of(two));
      balanced(List.of(consumer), List.of(3));
      consumer.unsubscribe();
      same(consumer.assignment().size(), 0);
    }
  }

  static List<GroupListing> list(ListGroupsOptions options, String group) throws Exception {
    return admin.listGroups(options).all().get().stream().filter(one -> one.groupId().equals(group)).toList();
  }

  static void described() throws Exception {
    String name = topic(2), group = fresh("group");
    try (var consumer = modern(group, "client.rack", "r1", "client.id", "me")) {
      consumer.subscribe(List.of(name));
      balanced(List.of(consumer), List.of(2));
      until("stable", () -> describe(group).groupState() == GroupState.STABLE, consumer);
      var found = describe(group);
      same(found.type(), GroupType.CONSUMER);
      same(found.partitionAssignor(), "uniform");
      same(found.groupEpoch().get(), found.targetAssignmentEpoch().get());
      var member = found.members().iterator().next();
      same(member.clientId(), "me");
      same(member.upgraded().get(), true);
      same(member.memberEpoch().get(), found.groupEpoch().get());
      same(member.assignment().topicPartitions().size(), 2);
      same(member.targetAssignment().get().topicPartitions().size(), 2);
      same(list(new ListGroupsOptions().withTypes(Set.of(GroupType.CONSUMER)), group).size(), 1);
      same(list(new ListGroupsOptions().withTypes(Set.of(GroupType.CLASSIC)), group).size(), 0);
      same(list(new ListGroupsOptions().inGroupStates(Set.of(GroupState.STABLE)), group).size(), 1);
      same(list(new ListGroupsOptions().inGroupStates(Set.of(GroupState.EMPTY)), group).size(), 0);
    }
    same(describe(group).groupState(), GroupState.EMPTY);
  }

  static void positions() throws Exception {
    String name = topic(1), group = fresh("group");
    TopicPartition partition = new TopicPartition(name, 0);
    send(name, List.of("a", "b"));
    try (var consumer = modern(group)) {
      consumer.subscribe(List.of(name));
      read(consumer, 2);
      consumer.commitSync();
      refused(admin.deleteConsumerGroups(List.of(group)).all(), GroupNotEmptyException.class);
      var deleted = admin.deleteConsumerGroupOffsets(group, Set.of(partition));
      refused(deleted.partitionResult(partition), GroupSubscribedToTopicException.class);
      var altered = admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(1)));
      refused(altered.all(), UnknownMemberIdException.class);
    }
    admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(1, "note"))).all().get();
    var found = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(partition);
    same(found.offset() + found.metadata(), "1note");
    admin.deleteConsumerGroupOffsets(group, Set.of(partition)).all().get();
    same(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(partition), null);
    admin.deleteConsumerGroups(List.of(group)).all().get();
    same(list(new ListGroupsOptions(), group).size(), 0);
  }

  static void settings() throws Exception {
    ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, fresh("group"));
    String name = "consumer.session.timeout.ms";
    var set = new AlterConfigOp(new ConfigEntry(name, "50000"), AlterConfigOp.OpType.SET);
    admin.incrementalAlterConfigs(Map.of(resource, List.of(set))).all().get();
    ConfigEntry found = null;
    for (int i = 0; i < 100 && (found == null || found.isDefault()); i++) {
      Thread.sleep(50);
      found = admin.describeConfigs(List.of(resource)).all().get().get(resource).get(name);
    }
    same(found.value() + found.source(), "50000DYNAMIC_GROUP_CONFIG");
  }

  static void migrate() throws Exception {
    String name = topic(4), group = fresh("group");
    var classic = consumer(group);
    var modern = modern(group);
    try {
      classic.subscribe(List.of(name));
      balanced(List.of(classic), List.of(4));
      classic.commitSync(Map.of(new TopicPartition(name, 0), new OffsetAndMetadata(0)));
      same(describe(group).type(), GroupType.CLASSIC);
      modern.subscribe(List.of(name));
      balanced(List.of(classic, modern), List.of(2, 2));
      same(describe(group).type(), GroupType.CONSUMER);
      classic.commitSync();
      modern.close();
      balanced(List.of(classic), List.of(4));
      same(describe(group).type(), GroupType.CLASSIC);
    } finally {
      classic.close();
      modern.close();
    }
  }

  static void classicStatic() throws Exception {
    String name = topic(4), group = fresh("group");
    String strategy = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
    Object[] shared = {"partition.assignment.strategy", strategy, "session.timeout.ms", 20_000, "group.instance.id", ""};
    List<KafkaConsumer<String, String>> members = new ArrayList<>();
    try {
      for (int i = 0; i < 2; i++) {
        shared[5] = "station-" + i;
        members.add(consumer(group, shared));
        members.get(i).subscribe(List.of(name));
      }
      balanced(members, List.of(2, 2));
      Set<TopicPartition> had = Set.copyOf(members.get(1).assignment());
      members.remove(1).close();
      poll(members.get(0), 1_000);
      same(members.get(0).assignment().size(), 2);
      members.add(consumer(group, shared));
      members.get(1).subscribe(List.of(name));
      var back = members.get(1);
      until("it has what it had", () -> back.assignment().equals(had), back, members.get(0));
    } finally {
      for (var member : members) member.close();
    }
  }
}
