"""gRPC calls without generated code."""

import json

import grpc

from rig.answer import GRPC_CODES, Answer, Ask

AT_ONCE = 16


def call(channel: grpc.Channel, ask: Ask) -> list[Answer]:
    """Makes the calls, some at a time."""
    method = channel.unary_unary(ask.path)
    answers: list[Answer] = []
    metadata = ask.metadata()
    while len(answers) < ask.n:
        count = min(ask.at_once or AT_ONCE, ask.n - len(answers))
        calls = [method.future(bytes(ask.body), ask.timeout, metadata) for _ in range(count)]
        answers += [answer(it) for it in calls]
    return answers


def answer(it: grpc.Future) -> Answer:
    """Waits for a call."""
    code = it.code()
    headers: dict[str, list[str]] = {}
    for name, value in it.initial_metadata() or ():
        headers.setdefault(name, []).append(value if isinstance(value, str) else value.hex())
    status = GRPC_CODES[code.value[0]]
    if code is not grpc.StatusCode.OK:
        return Answer(status, headers=headers, why=it.details() or "")
    return Answer(status, headers.get("x-backend", [None])[0], json.loads(it.result()), headers)


def channel(target: str, host: str | None) -> grpc.Channel:
    """A plaintext channel that keeps to itself."""
    options: list[tuple[str, object]] = [("grpc.use_local_subchannel_pool", 1)]
    if host is not None:
        options.append(("grpc.default_authority", host))
    return grpc.insecure_channel(target, options=options)
