"""What a user of kazoo does, on any ensemble. Prints what it sees, without ids and times, so that two servers can be compared line by line."""
import re
import sys
import threading

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import BadVersionError, NoNodeError, NodeExistsError, NotEmptyError
from kazoo.security import make_digest_acl

hosts = sys.argv[1]
states = []
zk = KazooClient(hosts=hosts, timeout=10.0)
zk.add_listener(states.append)
zk.start(timeout=30)


def say(what, value):
    print(what, re.sub(r"[0-9a-f]{32}", "ID", repr(value)), flush=True)


def stat(s):
    return (s.version, s.cversion, s.aversion, s.dataLength, s.numChildren, s.ephemeralOwner == zk.client_id[0])


say("server_version", zk.server_version()[0])
say("create", zk.create("/app", b"one"))
for what, act in [
    ("exists", lambda: zk.create("/app", b"")), ("no parent", lambda: zk.create("/none/x", b"")), ("bad version", lambda: zk.set("/app", b"", version=7)),
    ("no node", lambda: zk.get("/none")), ("makepath", lambda: zk.create("/app/a/b/c", b"deep", makepath=True)), ("not empty", lambda: zk.delete("/app/a")),
]:
    try:
        say(what, act())
    except (BadVersionError, NoNodeError, NodeExistsError, NotEmptyError) as error:
        say(what, type(error).__name__)
say("get", (zk.get("/app")[0], stat(zk.get("/app")[1])))
say("set", stat(zk.set("/app", b"two", version=0)))
say("sequence", [zk.create("/app/s-", b"", sequence=True) for _ in range(3)])
ephemeral = zk.create("/app/e-", b"", ephemeral=True, sequence=True)
say("ephemeral sequential", (ephemeral, stat(zk.exists(ephemeral))))
say("children", sorted(zk.get_children("/app")))
say("children with stat", stat(zk.get_children("/app", include_data=True)[1]))
say("sync", zk.sync("/app"))
say("acls", [(a.perms, a.id.scheme, a.id.id) for a in zk.get_acls("/app")[0]])
zk.add_auth("digest", "user:secret")
zk.create("/app/secret", b"s", acl=[make_digest_acl("user", "secret", all=True)])
say("digest", zk.get("/app/secret")[0])
stranger = KazooClient(hosts=hosts)
stranger.start(timeout=30)
stranger.sync("/")
try:
    say("stranger", stranger.get("/app/secret"))
except Exception as error:
    say("stranger", type(error).__name__)

transaction = zk.transaction()
transaction.create("/tx", b"1")
transaction.set_data("/tx", b"2")
transaction.check("/tx", 1)
transaction.create("/tx/child", b"")
say("transaction", [r if isinstance(r, (str, bool)) else type(r).__name__ for r in transaction.commit()])
transaction = zk.transaction()
transaction.create("/tx2", b"1")
transaction.delete("/none")
transaction.create("/tx3", b"1")
say("failed transaction", [type(r).__name__ for r in transaction.commit()])
say("nothing of it", (zk.exists("/tx2"), zk.exists("/tx3")))

# Watches: each value is waited for before the next is written.
seen, changed = [], threading.Condition()


def note(what, value):
    with changed:
        seen.append((what, value))
        changed.notify_all()


def wait_for(what, value):
    with changed:
        if not changed.wait_for(lambda: (what, value) in seen, timeout=30):
            raise TimeoutError("%s %r; seen %r" % (what, value, seen))
    say("seen", (what, value))


zk.create("/watched", b"0")


@zk.DataWatch("/watched")
def data_changed(data, _stat):
    note("data", data)


@zk.ChildrenWatch("/watched")
def children_changed(children):
    note("children", tuple(sorted(children)))


wait_for("data", b"0")
for value in (b"1", b"2"):
    stranger.set("/watched", value)
    wait_for("data", value)
stranger.create("/watched/x", b"")
wait_for("children", ("x",))
stranger.create("/watched/y", b"")
wait_for("children", ("x", "y"))
stranger.delete("/watched/x")
wait_for("children", ("y",))

# Two contenders never hold the lock together, and both get it.
inside, most, turns = [0], [0], []


def contend(client, name):
    for _ in range(3):
        with client.Lock("/lock", name):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            turns.append(name)
            inside[0] -= 1


threads = [threading.Thread(target=contend, args=(c, n)) for c, n in ((zk, "a"), (stranger, "b"))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(60)
say("lock", (most[0], sorted(turns)))

# The one who leads goes; the other leads.
led = []
first_leads, first_may_go, second_leads = threading.Event(), threading.Event(), threading.Event()


def first():
    led.append("first")
    first_leads.set()
    first_may_go.wait(30)


def second():
    led.append("second")
    second_leads.set()


one = threading.Thread(target=lambda: zk.Election("/election", "first").run(first))
one.start()
first_leads.wait(30)
two = threading.Thread(target=lambda: stranger.Election("/election", "second").run(second))
two.start()
while len(zk.Election("/election").contenders()) < 2:
    pass
say("contenders", zk.Election("/election").contenders())
first_may_go.set()
one.join(30)
two.join(30)
say("led", led)

if len(sys.argv) > 2:
    # The server that this client is connected to is killed by whoever started us; the session is kept.
    session, ephemeral = zk.client_id[0], zk.create("/kept", b"", ephemeral=True)
    connected, lost = threading.Event(), threading.Event()

    def listener(state):
        (connected if state == KazooState.CONNECTED else lost).set()

    zk.add_listener(listener)
    print("KILL", zk._connection._socket.getpeername()[1], flush=True)
    lost.wait(30)
    connected.wait(30)
    say("session kept", zk.client_id[0] == session)
    say("ephemeral kept", zk.retry(zk.exists, "/kept").ephemeralOwner == session)
    say("states", KazooState.LOST in states)

stranger.stop()
ephemerals = [c for c in zk.get_children("/app") if c.startswith("e-")]
zk.stop()
after = KazooClient(hosts=hosts)
after.start(timeout=30)
after.sync("/")
say("ephemerals before and after", (len(ephemerals), len([c for c in after.get_children("/app") if c.startswith("e-")])))
for path in ("/app", "/tx", "/watched", "/lock", "/election"):
    after.add_auth("digest", "user:secret")
    after.delete(path, recursive=True)
say("left", after.get_children("/"))
after.stop()
