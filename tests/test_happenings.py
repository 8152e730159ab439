"""What comes out of a queue: AMI notices, events of ECS, and what nobody should have sent."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ecsroll.happenings import (
    Confirmation,
    HostChanged,
    Message,
    Other,
    Reader,
    ServiceNews,
    TaskStopped,
    Unreadable,
)
from ecsroll.notices import AmiNotice, ami_notice, notice_text
from ecsroll.signatures import Forged, Signatures, Unreachable, canonical, certificate_url
from tests.console import FakeClock

TOPIC = "arn:aws:sns:us-west-2:177427601217:ecs-optimized-amazon-ami-update"
WINDOWS = "arn:aws:sns:us-east-1:801119661308:ec2-windows-ami-update"
OWN = "arn:aws:sns:eu-west-1:111122223333:ecsroll-ami-updates"
SIGNED_AT = "2026-09-28T12:00:00.000Z"
SENT = datetime(2026, 9, 28, 12, 0, 1, tzinfo=UTC)
URL = "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-0123.pem"

ECS_NOTICE = {
    "ECSAgent": {"ReleaseVersion": "1.17.2"},
    "ECSAmis": [
        {
            "ReleaseVersion": "2017.09.j",
            "AgentVersion": "1.17.2",
            "ReleaseNotes": "This AMI includes the latest ECS agent 1.17.2",
            "OsType": "linux",
            "OperatingSystemName": "Amazon Linux",
            "Regions": {
                "us-east-1": {"Name": "amzn-ami-2017.09.j-amazon-ecs-optimized", "ImageId": "ami-cad827b7"},
                "us-east-2": {"Name": "amzn-ami-2017.09.j-amazon-ecs-optimized", "ImageId": "ami-0123456789abcdef0"},
            },
        }
    ],
}


# Signing ---------------------------------------------------------------------------------------------------------


@cache
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def certificate(kind: str = "rsa") -> bytes:
    private: Any = key() if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(SENT - timedelta(days=1))
        .not_valid_after(SENT + timedelta(days=365))
        .sign(private, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def envelope(said: Any = ECS_NOTICE, *, version: str = "1", sign: bool = True, **members: Any) -> dict[str, Any]:
    """An SNS envelope with a good signature."""
    made = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Message": said if isinstance(said, str) else json.dumps(said),
        "Timestamp": SIGNED_AT,
        "UnsubscribeURL": "https://sns.us-west-2.amazonaws.com/?Action=Unsubscribe",
        **members,
    }
    if sign:
        algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()  # noqa: S303 - what SNS takes
        signature = key().sign(canonical(made), PKCS1v15(), algorithm)
        made |= {
            "SignatureVersion": version,
            "Signature": base64.b64encode(signature).decode(),
            "SigningCertURL": URL,
        }
    return made


class Web:
    """Where certificates come from; counts how often it was asked."""

    def __init__(self, answer: Callable[[], bytes] = certificate) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def __call__(self, url: str) -> bytes:
        self.asked.append(url)
        return self.answer()


def reader(web: Web | None = None, **members: Any) -> Reader:
    return Reader(Signatures(FakeClock(), web or Web()), account="111122223333", **members)


def message(body: Any, **members: Any) -> Message:
    text = body if isinstance(body, str) else json.dumps(body)
    return Message(**{"id": "1", "body": text, "sent": SENT, **members})


# Who wrote it -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [None, "New image"])
def test_a_good_signature_of_either_version(version: str, subject: str | None) -> None:
    more: dict[str, Any] = {"Subject": subject} if subject else {}
    there = reader()
    assert isinstance(there.read(message(envelope(version=version, **more))), AmiNotice)
    assert there.counts == {"verified": 1}


def test_the_canonical_text_is_the_one_of_the_guide() -> None:
    said = {
        "Type": "Notification",
        "Message": "m",
        "MessageId": "i",
        "Timestamp": "t",
        "TopicArn": "a",
        "Signature": "x",
    }
    assert canonical(said) == b"Message\nm\nMessageId\ni\nTimestamp\nt\nTopicArn\na\nType\nNotification\n"
    assert canonical({**said, "Subject": "s"}).startswith(b"Message\nm\nMessageId\ni\nSubject\ns\nTimestamp\n")
    asked = {**said, "Type": "SubscriptionConfirmation", "SubscribeURL": "u", "Token": "k"}
    assert b"SubscribeURL\nu\nTimestamp\nt\nToken\nk\n" in canonical(asked)


TAMPERED: dict[str, dict[str, Any]] = {
    "another message": {"Message": json.dumps({**ECS_NOTICE, "ECSAgent": {}})},
    "another topic": {"TopicArn": OWN},
    "another time": {"Timestamp": "2026-09-28T12:00:01.000Z"},
    "a subject that was not signed": {"Subject": "urgent"},
    "no signature": {"Signature": ""},
    "a signature that is no base64": {"Signature": "!!!"},
    "a signature that is no ASCII": {"Signature": "ä\u00a0"},
    "a time with half a character": {"Timestamp": "\ud800"},
    "a signature of another kind": {"Signature": ["x"]},
    "a version that nobody knows": {"SignatureVersion": "3"},
    "the other version": {"SignatureVersion": "2"},
    "a certificate from elsewhere": {"SigningCertURL": "https://sns.us-west-2.amazonaws.com.evil.example/x.pem"},
    "no certificate": {"SigningCertURL": None},
}


@pytest.mark.parametrize("change", TAMPERED.values(), ids=TAMPERED)
def test_a_forged_message_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match="forged"):
        reader().read(message({**envelope(), **change}))


URLS: dict[str, tuple[str, bool]] = {
    "SNS": (URL, True),
    "SNS in China": ("https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-1.pem", True),
    "SNS in GovCloud": ("https://sns.us-gov-west-1.amazonaws.com/x.pem", True),
    "without encryption": ("http://sns.us-west-2.amazonaws.com/x.pem", False),
    "a file": ("file:///sns.us-west-2.amazonaws.com/x.pem", False),
    "another service": ("https://s3.us-west-2.amazonaws.com/x.pem", False),
    "a bucket of that name": ("https://sns.us-west-2.s3.amazonaws.com/x.pem", False),
    "a host that ends with it": ("https://evilsns.us-west-2.amazonaws.com/x.pem", False),
    "a host that begins with it": ("https://sns.us-west-2.amazonaws.com.evil.example/x.pem", False),
    "behind a user name": ("https://sns.us-west-2.amazonaws.com@evil.example/x.pem", False),
    "another port": ("https://sns.us-west-2.amazonaws.com:8443/x.pem", False),
    "a line break": ("https://sns.us-west-2.amazonaws.com\n.evil.example/x.pem", False),
    "capital letters": ("https://SNS.us-west-2.amazonaws.com/x.pem", False),
    "no certificate file": ("https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&Token=1", False),
    "a path upwards": ("https://sns.us-west-2.amazonaws.com/../x.pem", False),
    "half an address": ("https://[", False),
    "nothing": ("", False),
}


@pytest.mark.parametrize(("url", "good"), URLS.values(), ids=URLS)
def test_certificates_come_from_sns_only(url: str, good: bool) -> None:
    if good:
        assert certificate_url({"SigningCertURL": url}) == url
    else:
        with pytest.raises(Forged):
            certificate_url({"SigningCertURL": url})


@pytest.mark.parametrize("answer", [lambda: b"<html>not found</html>", lambda: certificate("ec")], ids=["html", "ec"])
def test_what_is_no_certificate_of_sns_verifies_nothing(answer: Callable[[], bytes]) -> None:
    with pytest.raises(Unreadable, match="certificate"):
        reader(Web(answer)).read(message(envelope()))


def test_a_certificate_is_fetched_once() -> None:
    web = Web()
    there = reader(web)
    for _ in range(3):
        there.read(message(envelope()))
    assert web.asked == [URL]


def test_where_the_certificate_can_not_be_had_the_message_is_unchecked_and_it_is_asked_for_again_later() -> None:
    def gone() -> bytes:
        raise Unreachable

    web = Web(gone)
    there = reader(web)
    for _ in range(3):
        assert isinstance(there.read(message(envelope())), AmiNotice)
    assert (there.counts, len(web.asked)) == ({"unchecked": 3}, 1)
    there.signatures.clock.sleep(301)
    web.answer = certificate
    there.read(message(envelope()))
    assert there.counts["verified"] == 1


def test_certificates_that_are_kept_are_bounded() -> None:
    signatures = Signatures(FakeClock(), Web())
    for number in range(50):
        signatures._key(f"https://sns.us-west-2.amazonaws.com/{number}.pem")
    assert len(signatures._keys) == 16


def test_a_message_that_was_kept_and_sent_again_is_refused() -> None:
    with pytest.raises(Unreadable, match="replayed"):
        reader().read(message(envelope(), sent=SENT + timedelta(days=2)))
    assert isinstance(reader().read(message(envelope(), sent=SENT + timedelta(minutes=30))), AmiNotice)


def test_everybody_can_have_a_topic_so_only_known_ones_are_listened_to() -> None:
    stranger = "arn:aws:sns:us-west-2:999999999999:ecs-optimized-amazon-ami-update"
    with pytest.raises(Unreadable, match="not one that is listened to"):
        reader().read(message(envelope(TopicArn=stranger)))
    for there, topic in ((reader(topics=frozenset({stranger})), stranger), (reader(), OWN)):
        assert isinstance(there.read(message(envelope(TopicArn=topic))), AmiNotice)


def test_an_envelope_without_a_signature_is_counted_as_such() -> None:
    there = reader()
    assert isinstance(there.read(message(envelope(sign=False))), AmiNotice)
    assert there.counts == {"unsigned": 1}


# AMI notices --------------------------------------------------------------------------------------------------------


def test_a_notice_of_the_ecs_topic_enveloped_and_raw_says_the_same() -> None:
    notice = reader().read(message(envelope()))
    assert notice == reader().read(message(ECS_NOTICE))
    assert isinstance(notice, AmiNotice)
    (image,) = notice.images
    assert (image.version, image.agent, image.system) == ("2017.09.j", "1.17.2", "Amazon Linux")
    found = {release.region: release.image for release in image.releases}
    assert found["us-east-1"] == "ami-cad827b7"
    assert "eu-west-1" not in found


def test_several_images_and_keys_that_nobody_knows() -> None:
    entries = [*ECS_NOTICE["ECSAmis"], {"ReleaseVersion": "2018.03.a", "Regions": {}, "Kernel": "6.18"}, "odd", {}]
    notice = ami_notice({"ECSAmis": entries, "Schema": 2})
    assert notice is not None
    assert [image.version for image in notice.images] == ["2017.09.j", "2018.03.a", ""]


def test_a_region_entry_that_is_odd_is_passed_over() -> None:
    notice = ami_notice({"ECSAmis": [{"Regions": {"a": None, "b": {"ImageId": 7}, "c": {"ImageId": "ami-1"}}}]})
    assert notice is not None
    assert [release.region for release in notice.images[0].releases] == ["c"]


def test_windows_and_base_systems_say_it_in_free_text() -> None:
    subject = "New AMIs dated 2018.01.05 now available"
    windows = reader().read(message(envelope("Hello, there are new AMIs", TopicArn=WINDOWS, Subject=subject)))
    assert windows == AmiNotice(about="windows", subject=subject)
    base = "arn:aws:sns:us-east-1:137112412989:amazon-linux-2023-ami-updates"
    assert reader().read(message(envelope("2023.9", TopicArn=base))) == AmiNotice(about="base")


def test_what_is_published_is_read_back() -> None:
    row = {
        "cluster": "demo",
        "group": "web",
        "family": "amazon-linux-2023",
        "outdated": True,
        "newest": {"image": "ami-1", "version": "20260923", "agent": "1.107.0"},
        "hosts_behind": 3,
    }
    current = {**row, "group": "new", "outdated": False}
    text = notice_text([row, {**row, "group": "api"}, current], "eu-west-1")
    assert text is not None
    notice = ami_notice(json.loads(text))
    assert notice is not None
    (image,) = notice.images
    assert (image.version, image.agent, image.releases[0].image) == ("20260923", "1.107.0", "ami-1")
    assert [each["group"] for each in json.loads(text)["ecsroll"]["behind"]] == ["web", "api"]
    assert notice_text([current], "eu-west-1") is None


# Events of ECS -------------------------------------------------------------------------------------------------------


def event(kind: str, detail: Any, **members: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "e-1",
        "detail-type": kind,
        "source": "aws.ecs",
        "account": "111122223333",
        "time": "2026-09-28T12:00:00Z",
        "region": "eu-west-1",
        "resources": ["arn:aws:ecs:eu-west-1:111122223333:service/demo/web"],
        "detail": detail,
        **members,
    }


TASK = {
    "taskArn": "arn:aws:ecs:eu-west-1:111122223333:task/demo/c13b",
    "taskDefinitionArn": "arn:aws:ecs:eu-west-1:111122223333:task-definition/web:7",
    "clusterArn": "arn:aws:ecs:eu-west-1:111122223333:cluster/demo",
    "group": "service:web",
    "lastStatus": "STOPPED",
    "stoppedAt": "2026-09-28T12:00:00Z",
    "version": 6,
}
HOST = {
    "containerInstanceArn": "arn:aws:ecs:eu-west-1:111122223333:container-instance/demo/2dd1",
    "clusterArn": "arn:aws:ecs:eu-west-1:111122223333:cluster/demo",
    "ec2InstanceId": "i-1",
    "agentConnected": False,
    "status": "ACTIVE",
    "version": 14801,
}


def test_events_of_ecs() -> None:
    there = reader()
    task = there.read(message(event("ECS Task State Change", TASK)))
    assert isinstance(task, TaskStopped)
    assert task.task.service == "web"
    host = there.read(message(event("ECS Container Instance State Change", HOST)))
    assert isinstance(host, HostChanged)
    assert (host.connected, host.version, host.cluster) == (False, 14801, "demo")
    failed = {
        "eventType": "ERROR",
        "eventName": "SERVICE_DEPLOYMENT_FAILED",
        "deploymentId": "ecs-svc/1",
        "reason": "x",
    }
    news = there.read(message(event("ECS Deployment State Change", failed)))
    assert isinstance(news, ServiceNews)
    assert (news.cluster, news.service, news.name, news.deployment) == ("demo", "web", failed["eventName"], "ecs-svc/1")


def test_an_event_in_an_envelope_is_the_same_event() -> None:
    said = event("ECS Task State Change", TASK)
    assert reader().read(message(envelope(said, TopicArn=OWN))) == reader().read(message(said))


def test_a_service_arn_of_the_old_format_takes_the_cluster_from_the_detail() -> None:
    detail = {"eventType": "WARN", "eventName": "SERVICE_TASK_START_IMPAIRED", "clusterArn": HOST["clusterArn"]}
    said = event("ECS Service Action", detail, resources=["arn:aws:ecs:eu-west-1:111122223333:service/web"])
    news = reader().read(message(said))
    assert isinstance(news, ServiceNews)
    assert (news.cluster, news.service) == ("demo", "web")


OTHERS = {
    "a task that runs": event("ECS Task State Change", {**TASK, "lastStatus": "RUNNING"}),
    "a kind that is new": event("ECS Daemon Deployment State Change", {}),
    "another service's": event("EC2 Instance Launch Successful", {}, source="aws.autoscaling"),
}


@pytest.mark.parametrize("said", OTHERS.values(), ids=OTHERS)
def test_events_that_mean_nothing_here(said: dict[str, Any]) -> None:
    assert isinstance(reader().read(message(said)), Other)


def test_a_topic_that_wants_to_be_confirmed() -> None:
    asked = envelope(Type="SubscriptionConfirmation", SubscribeURL="https://sns.us-west-2.amazonaws.com/?x", Token="t")
    assert reader().read(message(asked)) == Confirmation(topic=TOPIC)


# What nobody should have sent ---------------------------------------------------------------------------------------

BROKEN: dict[str, Any] = {
    "nothing": "",
    "no JSON": "hello",
    "half of it": '{"ECSAmis": [',
    "a number": "7",
    "a list": "[]",
    "nested a hundred thousand deep": "[" * 100_000,
    "nested in an object": '{"a":' * 100_000,
    "a number of ten thousand digits": "9" * 10_000,
    "more than a message can be": json.dumps({"ECSAmis": ["x" * 1_100_000]}),
    "half a character": '{"\ud800": 1}',
    "an object of nothing": {},
    "a notice whose images are none": {"ECSAmis": "ami-1"},
    "an event without a detail": event("ECS Task State Change", None),
    "a task without a name": event("ECS Task State Change", {**TASK, "taskArn": None}),
    "a task that stopped at no time": event("ECS Task State Change", {**TASK, "stoppedAt": "soon"}),
    "a host without a name": event("ECS Container Instance State Change", {}),
    "a service event about nothing": event("ECS Service Action", {"eventName": "X"}, resources=[]),
    "a service event about a number": event("ECS Service Action", {"eventName": "X"}, resources=[7]),
    "a service event without a name": event("ECS Service Action", {}),
    "a service event at no time": event("ECS Service Action", {"eventName": "X"}, time=None),
    "an envelope of another kind": envelope(Type="Order"),
    "an envelope without a time": envelope(Timestamp=None, sign=False),
    "an envelope with an odd time": envelope(Timestamp="soon", sign=False),
    "an envelope whose topic is a number": envelope(TopicArn=7, sign=False),
    "an envelope with text that nobody knows": envelope("hello"),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_what_can_not_be_used_is_refused_with_a_reason(body: Any) -> None:
    with pytest.raises(Unreadable, match=r"\w+"):
        reader().read(message(body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([TASK, HOST, ECS_NOTICE, envelope()]), st.data())
def test_whatever_stands_under_a_key_nothing_but_unreadable_is_raised(
    said: dict[str, Any], data: st.DataObject
) -> None:
    changed = {**said, data.draw(st.sampled_from(sorted(said))): data.draw(JSON)}
    kind = data.draw(st.sampled_from(["ECS Task State Change", "ECS Container Instance State Change", ""]))
    try:
        reader().read(message(event(kind, changed) if kind else changed))
    except Unreadable:
        return
