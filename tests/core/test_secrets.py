"""A secret never shows itself, and is found in whatever form it turns up."""

from __future__ import annotations

import base64
import copy
import html
import json
import pickle
import secrets
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from vnode_suite.core import secrets as looking
from vnode_suite.core.secrets import Registry, Secret

TOKEN = "q7x2mf.9k3hd8s1v6w0z4bn"
PASSWORD = 'p&ss "w<rd>\\ 7+/='


def private_key() -> str:
    """A fresh EC key as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture
def registry() -> Registry:
    """A registry that knows nothing yet."""
    return Registry()


def test_a_secret_shows_nothing_of_itself(registry: Registry) -> None:
    """Printing, formatting and looking into it give its kind only."""
    secret = Secret(TOKEN, "bootstrap-token", registry)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>40}",
        f"{secret!r}",
        "{0}".format(secret),  # noqa: UP030, UP032  (that form is what is tested)
        repr([secret]),
    ]
    assert all(TOKEN not in text for text in shown)
    assert secret.reveal() == TOKEN
    assert not hasattr(secret, "__dict__")


def test_a_secret_is_not_pickled(registry: Registry) -> None:
    """A pickle is a file like any other."""
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(TOKEN, "token", registry))


def test_a_secret_does_not_become_json(registry: Registry) -> None:
    """Writing it as JSON is refused rather than done."""
    with pytest.raises(TypeError):
        json.dumps({"token": Secret(TOKEN, "token", registry)})


def test_secrets_compare_by_value_and_copy_as_themselves(registry: Registry) -> None:
    """Equal values are equal secrets; a copy is the same object."""
    one, same, other = (Secret(value, "token", registry) for value in (TOKEN, TOKEN, PASSWORD))
    assert one == same
    assert one != other
    assert len({one, same, other}) == 2
    assert copy.deepcopy(one) is one


FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda value: f"before {value} after",
    "glued": lambda value: f"x{value}y",
    "json": lambda value: json.dumps({"field": value}),
    "json in json": lambda value: json.dumps({"body": json.dumps({"field": value})}),
    "repr": lambda value: repr({"field": value}),
    "url": lambda value: f"https://host/path?{urlencode({'value': value})}",
    "url strict": lambda value: quote(value, safe=""),
    "url plus": lambda value: quote_plus(value),
    "html": lambda value: f"<td>{html.escape(value)}</td>",
    "hex": lambda value: value.encode().hex(),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 shifted by one": lambda value: base64.b64encode(f"a{value}z".encode()).decode(),
    "base64 shifted by two": lambda value: base64.b64encode(f"ab{value}yz".encode()).decode(),
    "base64 url-safe": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "base64 in url": lambda value: quote(
        base64.b64encode(f"kind: Config\ntoken: {value}\n".encode()).decode(), safe=""
    ),
    "base64 twice": lambda value: base64.b64encode(
        base64.b64encode(f"apiVersion: v1\nusers: [{value}]".encode())
    ).decode(),
    "base64 thrice": lambda value: base64.b64encode(
        base64.b64encode(base64.b64encode(f"some padding {value}".encode()))
    ).decode(),
    "base64 wrapped": lambda value: "\n".join(
        textwrap.wrap(base64.b64encode(f"{'lead ' * 9}{value}{' tail' * 9}".encode()).decode(), 64)
    ),
    "base64 wrapped in json": lambda value: json.dumps(
        "\n".join(textwrap.wrap(base64.b64encode(f"{'lead ' * 9}{value}{' tail' * 9}".encode()).decode(), 64))
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [TOKEN, PASSWORD, secrets.token_hex(32)], ids=["token", "password", "hex"])
def test_a_registered_secret_is_found_in_every_form(registry: Registry, form: str, value: str) -> None:
    """Whatever the form, nothing of it is left, and it is counted."""
    registry.register(value, "planted")
    text = FORMS[form](value)
    redacted, counts = registry.redact(text)
    assert sum(counts.values()) >= 1
    for left in (value, base64.b64encode(value.encode()).decode().rstrip("=")[4:-4], quote(value, safe="")):
        assert left not in redacted
    assert registry.scan(redacted) == []


def test_what_is_no_secret_stays_as_it_is(registry: Registry) -> None:
    """Ordinary evidence goes through unchanged."""
    registry.register(TOKEN, "token")
    text = json.dumps(
        {
            "name": "cn-shanghai.vnd-2ze960zkdqrldeaw",
            "image": "registry.example/kube-proxy@sha256:" + "0f" * 32,
            "message": "failed to get kubernetes server version: Client.Timeout exceeded",
            "uid": "c0a8f0de-7c3f-4a83-9f5e-1b2c3d4e5f60",
            "ca": base64.b64encode(b"-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgI").decode(),
            "flags": [
                "--authorization-mode=Node,RBAC",
                "--enable-bootstrap-token-auth=true",
                "--token-ttl=10m",
            ],
            "secret": {"type": "bootstrap.kubernetes.io/token", "name": "bootstrap-token-q7x2mf"},
        },
        indent=1,
    )
    assert registry.redact(text) == (text, {})


@pytest.mark.parametrize(
    ("kind", "text", "secret"),
    [
        ("bootstrap-token", "token id is abcdef.0123456789abcdef here", "0123456789abcdef"),
        (
            "jwt",
            "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLWlzLWhlcmU",
            "c2lnbmF0dXJl",
        ),
        ("access-key-id", "AccessKeyId=LTAI5tExampleExample1234", "LTAI5tExample"),
        ("bearer", "Authorization: Bearer 31ada4fd-adec-460c-809a-9e56ceb75269", "31ada4fd"),
        ("url-password", "proxy http://user:hunter22@proxy.example:3128/", "hunter22"),
        ("credential-field", "    token: 31ada4fdadec460c809a9e56ceb75269", "31ada4fd"),
        ("credential-field", '{"access_key_secret": "Xk29sdkKD82kdkslwpqoe82kd9"}', "Xk29sdk"),
        ("password-field", "password=hunter2!", "hunter2!"),
        ("password-field", "PassWord=Hunter2!", "Hunter2!"),
        ("credential-field", "X-Auth-TOKEN: 31ADA4FDADEC460C809A9E56CEB75269", "31ADA4FD"),
        # A letter that becomes two in lower case, so that the offsets differ.
        ("credential-field", "\u0130\u0130 Token: 31ADA4FDADEC460C809A9E56CEB75269", "75269"),
    ],
)
def test_an_unknown_secret_is_known_by_its_shape(
    registry: Registry, kind: str, text: str, secret: str
) -> None:
    """Nobody registered it, yet it is taken out."""
    redacted, counts = registry.redact(text)
    assert secret not in redacted
    assert counts[kind] == 1


@pytest.mark.parametrize("wrap", [str, json.dumps, repr, lambda text: text.replace("\n", "\r\n")])
def test_a_private_key_is_known_by_its_shape(registry: Registry, wrap: Callable[[str], str]) -> None:
    """A key that nobody registered is taken out whole, however its lines are separated."""
    key = private_key()
    redacted, _ = registry.redact(f"the key is {wrap(key)}, said the log")
    assert not any(line in redacted for line in key.splitlines()[1:-1])
    assert redacted.endswith(", said the log")


def test_a_key_is_found_by_single_lines_of_it(registry: Registry) -> None:
    """A registered key is found although its head and its lines were torn apart."""
    key = private_key()
    registry.register(key, "client-key")
    body = key.splitlines()[1:-1]
    redacted, _ = registry.redact("\n".join(f"log| {line[:60]}" for line in reversed(body)))
    assert not any(line[:60] in redacted for line in body)


def test_a_key_cut_short_is_found(registry: Registry) -> None:
    """A component that shortens its log lines leaks the beginning all the same."""
    value = secrets.token_urlsafe(120)
    registry.register(value, "service-account-token")
    redacted, counts = registry.redact(f"request failed, body was {value[:40]}...")
    assert value[:40] not in redacted
    assert counts["service-account-token"] == 1


def test_files_and_servers_that_a_kubeconfig_names_may_be_spoken_of(registry: Registry) -> None:
    """Its key may not."""
    key = base64.b64encode(secrets.token_bytes(48)).decode()
    text = (
        "apiVersion: v1\n"
        "    server: https://kubernetesmaster:6443\n"
        "    client-certificate: /etc/kubernetes/pki/apiserver-kubelet.crt\n"
        f"    client-key-data: {key}\n"
        "      command: /usr/local/bin/kubelogin\n"
    )
    registry.register(text, "kubeconfig")
    said = (
        "https://kubernetesmaster:6443: /usr/local/bin/kubelogin found no /etc/kubernetes/pki/apiserver.crt"
    )
    assert registry.redact(said) == (said, {})
    assert registry.redact(f"the key {key}")[0] == "the key [redacted:kubeconfig]"


def test_values_too_short_to_be_told_from_words_are_not_looked_for(registry: Registry) -> None:
    """A password 'node' would take the word out of every sentence."""
    registry.register("node", "password")
    assert registry.redact("the node is Ready") == ("the node is Ready", {})


def test_the_environment_is_registered_by_names(registry: Registry) -> None:
    """Variables that hold credentials are known, others are not."""
    registry.register_environment(
        {
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "k2j4h5g6f7d8s9a0",
            "HOME": "/home/somebody",
            "CI_JOB_TOKEN": "tok-99887766",
        }
    )
    redacted, _ = registry.redact("k2j4h5g6f7d8s9a0 tok-99887766 /home/somebody")
    assert redacted == "[redacted:environment] [redacted:environment] /home/somebody"


def test_what_one_process_knows_another_takes_over(registry: Registry) -> None:
    """A worker's secrets are found by the controller."""
    registry.register(TOKEN, "token")
    controller = Registry()
    controller.take_over(registry.known())
    assert controller.scan(f"x {TOKEN}")


def test_a_file_is_scanned_across_the_edges_of_its_pieces(registry: Registry, tmp_path: Path) -> None:
    """A secret that lies on the edge of two pieces is found once, at its place."""
    registry.register("s3cr3t-" + "v" * 30, "token")
    file = tmp_path / "log.txt"
    file.write_text("-" * ((1 << 20) - 10) + "s3cr3t-" + "v" * 30 + "-" * 5000)
    (hit,) = registry.scan(file)
    assert (hit.offset, hit.length, hit.kind, hit.path) == ((1 << 20) - 10, 37, "token", file)
    assert "s3cr3t" not in repr(hit)


def test_a_clean_file_has_no_hits(registry: Registry, tmp_path: Path) -> None:
    """The scan is quiet where there is nothing."""
    registry.register(TOKEN, "token")
    file = tmp_path / "clean.txt"
    file.write_text("all is well\n" * 1000)
    assert registry.scan(file) == []


@settings(max_examples=150, deadline=None)
@given(
    value=st.text(
        st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Z")), min_size=6, max_size=60
    ),
    before=st.text(max_size=40),
    after=st.text(max_size=40),
)
def test_no_text_keeps_a_registered_value(value: str, before: str, after: str) -> None:
    """Whatever surrounds it, the value is gone."""
    registry = Registry()
    registry.register(value, "planted")
    redacted, _ = registry.redact(before + value + after)
    assert value not in redacted.replace("[redacted:planted]", "\0")


#: What texts are made of below: secrets, what looks like one, what separates, what may hide where one begins.
LONG = "Zm9vYmFyIGJheiBxdXV4IGZvbyBiYXIgYmF6IHF1dXg/+a"
BITS = [
    TOKEN, PASSWORD, LONG, LONG[:20], "pässwörd-schlüssel-日本語", base64.b64encode(f"x{TOKEN}yz".encode()).decode(),
    base64.b64encode(f"password: {LONG} and more".encode()).decode(), "token: ", "client_secret=", '"', ',"', ",", "<",
    "\n", "\r\n", "\n    ", "\\n", "\x1f", " ", "é", "a", "abcdefg", "0123456789abcdef", "abcdef.", "eyJhbGciOiJ",
    "Bearer ", "http://user:", "@", "%2B", "-----BEGIN PRIVATE KEY-----", "LTAI5tExample",
]  # fmt: skip
VALUES = [TOKEN, PASSWORD, LONG, "pässwörd-schlüssel-日本語", "abcdefg"]
TEXTS = st.lists(st.sampled_from(BITS), max_size=12).map("".join)


@settings(max_examples=100, deadline=None)
@given(steps=st.lists(st.tuples(st.booleans(), st.sampled_from(VALUES), TEXTS), max_size=12))
def test_what_is_remembered_of_texts_hides_no_secret(steps: list[tuple[bool, str, str]]) -> None:
    """A text gives the same as in a registry that has just been made, also if it was clean before a secret came."""
    registry = Registry()
    texts = [text for _, _, text in steps]
    for registers, value, _ in steps:
        if registers:
            registry.register(value, "planted")
        fresh = Registry()
        fresh.take_over(registry.known())
        remembered = [registry.redact(text) for text in texts]
        looking._remembered_looks.cache_clear()
        assert remembered == [fresh.redact(text) for text in texts]


@settings(max_examples=100, deadline=None)
@given(text=TEXTS, known=st.sets(st.sampled_from(VALUES)))
def test_a_long_text_is_scanned_for_the_same_as_a_short_one(text: str, known: set[str]) -> None:
    """Looking at distinct fragments first finds all that looking at the whole text does."""
    registry = Registry()
    for value in known:
        registry.register(value, "planted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looking, "_REPETITIVE", 0)
        by_fragments = registry.scan(text + text)
        patch.setattr(looking, "_REPETITIVE", 1 << 30)
        assert by_fragments == registry.scan(text + text)


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_in_a_long_text_is_found_in_every_form(registry: Registry, form: str) -> None:
    """Among thousands of lines that are all the same, too."""
    registry.register(TOKEN, "planted")
    lines = ['      {"cell": "1.22-bootstrap","status": "passed"},'] * 2000
    lines.insert(1234, FORMS[form](TOKEN))
    assert registry.scan("\n".join(lines))
    assert registry.scan("\n".join(lines).replace(TOKEN, "").replace(lines[1234], "")) == []


def test_many_secrets_in_one_text_are_all_found(registry: Registry) -> None:
    """However many of its blocks are known."""
    values = [secrets.token_hex(16) for _ in range(100)]
    for value in values:
        registry.register(value, "planted")
    redacted, counts = registry.redact("é" + " and ".join(values))
    assert redacted == "é" + " and ".join(["[redacted:planted]"] * 100)
    assert counts["planted"] == 100


@pytest.mark.parametrize(
    "unit",
    [
        "eyJ",
        "A",
        "token=",
        "-----BEGIN PRIVATE KEY-----",
        "abcdef.",
        "http://a:",
        "LTAI",
        "%2B",
        "Bearer a1",
        "passwd:",
    ],
)
def test_redaction_takes_time_in_proportion_to_the_text(registry: Registry, unit: str) -> None:
    """Twice the text takes about twice the time, also where a pattern nearly matches everywhere."""
    registry.register(TOKEN, "token")

    def seconds(length: int) -> float:
        text = (unit * (length // len(unit) + 1))[:length]
        best = 9.0
        for _ in range(3):
            began = time.process_time()
            registry.redact(text)
            best = min(best, time.process_time() - began)
        return best

    assert seconds(400_000) < 12 * seconds(100_000) + 0.05
