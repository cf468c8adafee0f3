"""librdkafka as confluent-kafka brings it: BOOTSTRAP CA MECHANISM USER PASSWORD (for a token: of an endpoint at USER,
or unsecured); prints the topics, or the error."""
import sys
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

bootstrap, ca, mechanism, user, password = sys.argv[1:6]
settings = {
    "bootstrap.servers": bootstrap,
    "security.protocol": "SASL_SSL",
    "ssl.ca.location": ca,
    "sasl.mechanisms": mechanism,
}
if mechanism == "OAUTHBEARER" and user.startswith("http"):
    settings["sasl.oauthbearer.method"] = "oidc"
    settings["sasl.oauthbearer.token.endpoint.url"] = user
    settings["sasl.oauthbearer.client.id"] = "alice"
    settings["sasl.oauthbearer.client.secret"] = password
elif mechanism == "OAUTHBEARER":
    settings["enable.sasl.oauthbearer.unsecure.jwt"] = True
    settings["sasl.oauthbearer.config"] = f"principal={user}"
else:
    settings["sasl.username"] = user
    settings["sasl.password"] = password
failed = []
settings["error_cb"] = lambda error: failed.append(error.str())
try:
    print(sorted(AdminClient(settings).list_topics(timeout=10).topics))
except KafkaException as error:
    print(f"{error} {failed}", file=sys.stderr)
    sys.exit(1)
