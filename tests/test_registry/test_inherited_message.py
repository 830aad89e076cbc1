"""The queue message of a handler, and its rights. Rules: CX2, CX7, QU7, F2."""

from collections.abc import Callable
from pathlib import Path

import trio
import trio.testing

from registry import open_app
from trio_actors.queues import queues_of

WriteApp = Callable[..., Path]

MAIN = """\
namespace: app
entries:
  - {name: host, kind: process.host}
  - {name: q, kind: queue.queue, max_attempts: 1, dead_letter: dead}
  - {name: dead, kind: queue.queue}
  - name: consumer
    kind: queue.consumer
    queue: q
    func: handle
    lifecycle:
      auto_start: true
      security: {actor: {id: robot}, policies: [may]}
  - name: may
    kind: security.policy
    policy:
      actions: [funcs.call, process.spawn, process.host, queue.publish]
      resources: [app:handle, app:inner, app:child, app:host, app:dead]
      effect: allow
  - name: secret
    kind: function.lua
    method: main
    source: "return {main = function() end}"
  - {name: look, kind: library.lua, modules: [queue], source: "LOOK"}
  - name: inner
    kind: function.lua
    method: main
    modules: [queue]
    imports: {look: look}
    source: "return {main = function() return require('look')() end}"
  - name: child
    kind: process.lua
    modules: [queue]
    imports: {look: look}
    source: "return function() require('look')() end"
  - name: handle
    kind: function.lua
    method: main
    modules: [queue, funcs, security]
    source: |
      return {main = function(body)
        local _, denied = funcs.call("app:secret")
        queue.publish("app:dead", {at = "handler", who = security.actor():id(),
          denied = denied:kind()})
        funcs.call("app:inner")
        process.spawn("app:child", "app:host")
      end}
""".replace(
    "LOOK",
    "return function() local m, err = require('queue').message()"
    " require('queue').publish('app:dead', {at = process.id(),"
    " seen = m and m:attempt() or err:kind()}) end",
)


async def test_a_call_inherits_the_message_and_a_process_does_not(
    write_app: WriteApp, autojump_clock: trio.testing.MockClock
) -> None:
    """CX2, CX7, QU7; F2: the handler acts under the security of its consumer."""
    async with open_app(write_app({"main.yaml": MAIN})) as app:
        queues = queues_of(app.node)
        await queues.publish("app:q", {"n": 1})
        await trio.sleep(1)
        dead = queues.find("app:dead")
        bodies = []
        while dead.info().ready:
            delivery = await dead.take()
            bodies.append(delivery.body)
            delivery.ack()
        assert bodies == [
            {"at": "handler", "who": "robot", "denied": "PermissionDenied"},
            {"at": "app:inner", "seen": 1},
            {"at": "app:child", "seen": "Invalid"},
        ]


async def test_a_consumer_needs_the_permission_of_its_function(
    write_app: WriteApp, autojump_clock: trio.testing.MockClock
) -> None:
    """F2: under the consumer's own security context; without it the message is refused."""
    text = MAIN.replace("resources: [app:handle, ", "resources: [")
    async with open_app(write_app({"main.yaml": text})) as app:
        queues = queues_of(app.node)
        await queues.publish("app:q", {"n": 1})
        await trio.sleep(1)
        delivery = await queues.find("app:dead").take()
        assert delivery.headers()["x-error"] == "not allowed: app:handle"
        delivery.ack()
