import re
from pathlib import Path

from modernbert.cli.main import _parse
from modernbert.cli.serve import Serve

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def test_systemd_starts_a_command_that_exists():
    (words,) = re.findall(r"^ExecStart=/opt/modernbert/bin/modernbert (.*)$", _text("modernbert.service"), re.MULTILINE)
    said = _parse(words.split())
    assert isinstance(said, Serve)
    assert said.host == "127.0.0.1", "a proxy stands in front"


def test_docker_starts_it_where_others_reach_it_and_copies_what_is_there():
    text = _text("Dockerfile")
    (entry,) = re.findall(r"^ENTRYPOINT \[(.*)\]$", text, re.MULTILINE)
    program, *words = re.findall(r'"([^"]*)"', entry)
    assert program == "modernbert"
    assert _parse(words).host == "0.0.0.0"
    assert f"EXPOSE {Serve().port}" in text
    copied = [name for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for name in line.split()]
    assert [name for name in copied if not (DEPLOY.parent / name).exists()] == []


def test_the_proxy_knows_the_servers_limits():
    limits = dict(re.findall(r"(\w+) (\d+)\w*; +# --", _text("nginx.conf")))
    assert int(limits["client_max_body_size"]) * 10**6 == Serve().payload_limit
    assert int(limits["proxy_read_timeout"]) > Serve().timeout
    assert f"127.0.0.1:{Serve().port}" in _text("nginx.conf")


def _text(name):
    return (DEPLOY / name).read_text()
