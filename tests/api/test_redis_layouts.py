"""Redis behind TLS with an ACL user, behind sentinels, and as a cluster: the hints cross, and survive who serves them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.client import Rest, a_chat, a_user
from rig.daemon import Daemon, shared_secret
from rig.nodes import linked, metric
from rig.postgres import PostgresCluster, free_port
from rig.redis import RedisError, RedisServer

TAKEOVER_S = 20.0


@pytest.fixture
def servers() -> Iterator[list[RedisServer]]:
    made: list[RedisServer] = []
    yield made
    for server in made:
        server.close()


def two_daemons(spawn: Callable[..., Daemon], postgres: PostgresCluster, **settings: str) -> list[Daemon]:
    url, secret = postgres.new_database(), shared_secret()
    return [spawn(database_url=url, name=name, settings={"JWT_SECRET": secret, **settings}).start() for name in ("a", "b")]


async def hints_cross(pair: list[Daemon]) -> None:
    """In several chats, so that a cluster has them in several slots."""
    async with Rest(pair[0].url) as one, Rest(pair[1].url) as two:
        ann, bob = await a_user(one), await a_user(one)
        chats = [(await a_chat(ann, bob))["id"] for _ in range(8)]
        bob.rest = two
        async with ann.socket() as anns, bob.socket() as bobs:
            await asyncio.gather(anns.event("caught_up"), bobs.event("caught_up"))
            await linked(pair)
            before = await metric(pair[1], "node_hints_received_total")
            for chat in chats:
                await anns.message(chat, "across")
                await bobs.event("message", lambda event: event["chat_id"] == chat)
            assert await metric(pair[1], "node_hints_received_total") >= before + len(chats)


def certificates(folder: Path) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=an authority of this test")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "redis.key",
            "-out", "redis.csr", "-subj", "/CN=redis")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    openssl("x509", "-req", "-in", "redis.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "names", "-out", "redis.pem")


async def test_tls_and_an_acl_user(spawn, postgres: PostgresCluster, servers: list[RedisServer], tmp_path: Path) -> None:
    certificates(tmp_path)
    tls_port = free_port()
    server = RedisServer(
        f"tls-port {tls_port}", f"tls-cert-file {tmp_path}/redis.pem", f"tls-key-file {tmp_path}/redis.key",
        f"tls-ca-cert-file {tmp_path}/ca.pem", "tls-auth-clients no",
        # What docs/scaling.md tells an operator to grant.
        "user supd on >of-supd resetchannels &supd:* ~supd:* -@all +ping +publish +subscribe +unsubscribe +set +hset "
        "+hdel +hmget +hgetall +pexpire +time +eval +evalsha +script|load",
        "user default off")
    servers.append(server)
    log = open(server.folder / "log", "ab")
    server.process = subprocess.Popen(["redis-server", str(server.config)], stdin=subprocess.DEVNULL, stdout=log,
                                      stderr=log, cwd=server.folder)
    log.close()
    url = f"rediss://supd:of-supd@localhost:{tls_port}"
    pair = two_daemons(spawn, postgres, REDIS_URL=url, SUPD__REDIS__CA_FILE=f"{tmp_path}/ca.pem")
    await hints_cross(pair)
    assert "of-supd" not in pair[0].log_text()
    # A name that the certificate does not have is no Redis of ours, and the daemon serves without.
    (other,) = [spawn(database_url=postgres.new_database(), name="c", settings={
        "JWT_SECRET": shared_secret(), "REDIS_URL": url.replace("localhost", "127.0.0.1"),
        "SUPD__REDIS__CA_FILE": f"{tmp_path}/ca.pem"}).start()]
    deadline = time.monotonic() + 10
    while "redis_away" not in other.log_text():
        assert time.monotonic() < deadline, "a certificate of another name was taken"
        await asyncio.sleep(0.05)
    away = json.loads(next(line for line in other.log_text().splitlines() if "redis_away" in line))
    assert (away["operation"], away["reason"]) == ("tls", "IP address mismatch")
    assert not await metric(other, "redis_connected")
    async with Rest(other.url) as rest:
        await a_user(rest)


def doctors_findings(daemon: Daemon) -> dict[str, dict]:
    report = daemon.run("doctor", "--json", "--data-dir", str(daemon.data_dir)).stdout
    return {one["check"]: one for one in json.loads(report)["checks"]}


async def test_sentinels_name_the_master(spawn, postgres: PostgresCluster, servers: list[RedisServer]) -> None:
    master = RedisServer("repl-diskless-sync-delay 0").start()
    servers.append(master)
    replica = RedisServer(f"replicaof 127.0.0.1 {master.port}").start()
    servers.append(replica)
    await until(lambda: replica.command("ROLE")[3] == "connected", "the replica has all")
    sentinels = [RedisServer(f"sentinel monitor main 127.0.0.1 {master.port} 2", "sentinel down-after-milliseconds main 500",
                             "sentinel failover-timeout main 3000", sentinel=True).start() for _ in range(3)]
    servers.extend(sentinels)
    await until(lambda: all(
        int(dict(zip(state[::2], state[1::2]))["num-other-sentinels"]) == 2
        and int(dict(zip(state[::2], state[1::2]))["num-slaves"]) == 1
        for state in (each.command("SENTINEL", "master", "main") for each in sentinels)), "the sentinels know each other")
    hosts = ",".join(f"127.0.0.1:{each.port}" for each in [*sentinels])
    pair = two_daemons(spawn, postgres, REDIS_URL=f"redis+sentinel://{hosts}/main")
    await hints_cross(pair)
    found = doctors_findings(pair[0])
    assert found["redis.sentinels"]["verdict"] == "ok" and str(master.port) in found["redis.sentinels"]["found"], found
    assert found["redis.eviction"]["verdict"] == "ok", found
    sentinels[2].kill()  # two are still enough to choose a new master
    assert doctors_findings(pair[0])["redis.sentinels"]["verdict"] == "warn"
    master.kill()
    begun = time.monotonic()
    await until(lambda: replica.command("ROLE")[0] == "master", "a new master")
    await linked(pair, deadline_s=TAKEOVER_S)
    print(f"the daemons hear each other again {time.monotonic() - begun:.1f} s after the master was killed")
    await hints_cross(pair)


async def test_a_cluster_with_sharded_channels(spawn, postgres: PostgresCluster, servers: list[RedisServer]) -> None:
    nodes = [RedisServer("cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-node-timeout 1000",
                         port=port).start() for port in cluster_ports(3)]
    servers.extend(nodes)
    subprocess.run(["redis-cli", "--cluster", "create", *(f"127.0.0.1:{node.port}" for node in nodes), "--cluster-yes"],
                   check=True, capture_output=True, timeout=60)
    await until(lambda: all("cluster_state:ok" in node.command("CLUSTER", "INFO") for node in nodes), "the cluster")
    pair = two_daemons(spawn, postgres, REDIS_URL=f"redis+cluster://127.0.0.1:{nodes[0].port}")
    await hints_cross(pair)
    # A slot that people of it are talking in moves to another node.
    async with Rest(pair[0].url) as one, Rest(pair[1].url) as two:
        ann, bob = await a_user(one), await a_user(one)
        chat = (await a_chat(ann, bob))["id"]
        bob.rest = two
        async with ann.socket() as anns, bob.socket() as bobs:
            await asyncio.gather(anns.event("caught_up"), bobs.event("caught_up"))
            await linked(pair)
            channel = next(name for node in nodes for name in node.command("PUBSUB", "SHARDCHANNELS")
                           if name.endswith(f":c:{chat[-1]}"))
            move_slot(nodes, nodes[0].command("CLUSTER", "KEYSLOT", channel))
            await linked(pair, deadline_s=TAKEOVER_S)
            deadline = time.monotonic() + TAKEOVER_S
            while True:
                before = await metric(pair[1], "node_hints_received_total")
                await anns.message(chat, "where is it now")
                await bobs.event("message")
                if await metric(pair[1], "node_hints_received_total") > before:
                    break
                assert time.monotonic() < deadline, "the hints of the moved slot do not cross"


def cluster_ports(count: int) -> list[int]:
    """A cluster node also listens on its port + 10000."""
    found: list[int] = []
    while len(found) < count:
        port = free_port()
        if port < 55_000 and port not in found:
            found.append(port)
        elif port >= 55_000:
            found.extend(each for each in [port - 20_000] if each not in found)
    return found


def move_slot(nodes: list[RedisServer], slot: object) -> None:
    ids = {node.command("CLUSTER", "MYID"): node for node in nodes}
    owner = next(key for key, node in ids.items() if owns(node, key, int(str(slot))))
    target = next(key for key in ids if key != owner)
    ids[target].command("CLUSTER", "SETSLOT", str(slot), "IMPORTING", owner)
    ids[owner].command("CLUSTER", "SETSLOT", str(slot), "MIGRATING", target)
    keys = ids[owner].command("CLUSTER", "GETKEYSINSLOT", str(slot), "1000")
    for key in keys:
        ids[owner].command("MIGRATE", "127.0.0.1", str(ids[target].port), key, "0", "5000")
    for node in (ids[target], *ids.values()):
        node.command("CLUSTER", "SETSLOT", str(slot), "NODE", target)


def owns(node: RedisServer, node_id: str, slot: int) -> bool:
    for line in str(node.command("CLUSTER", "NODES")).splitlines():
        parts = line.split()
        if parts[0] != node_id:
            continue
        for part in parts[8:]:
            first, _, last = part.partition("-")
            if first.isdigit() and int(first) <= slot <= int(last or first):
                return True
    return False


async def until(holds: Callable[[], bool], what: str, deadline_s: float = 30.0) -> None:
    deadline = time.monotonic() + deadline_s
    while True:
        try:
            if holds():
                return
        except (OSError, ConnectionError, RedisError):
            pass
        assert time.monotonic() < deadline, f"{what} did not come"
        await asyncio.sleep(0.1)
