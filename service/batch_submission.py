"""A batch on its way in: its members are checked and stored some at a time, and one that is wrong stops no other."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from starlette.requests import Request

from model.errors import Issue
from model.limits import DESIGN_CELLS
from service.apart import Ask
from service.bodies import Body, work_on
from service.callbacks import call_back_about_batch, checker
from service.datasets import opener, payloads
from service.deps import Services
from service.members import Candidate, read_members
from service.problems import document, summarize
from service.settings import Limits
from service.submission import Submission, prepare, submit_many
from store.base import QueueFull, StoreFull
from store.batches import BatchRecord, Member
from store.callbacks import TooManyCallbacks

# Members that are stored together: their payloads are in memory at once.
_AT_ONCE = 100
_BYTES_AT_ONCE = 4 << 20
_PROBLEM_BYTES = 16 << 10
_Prepared = tuple[Candidate, Submission | None]


async def accept_batch(request: Request, here: Services, tenant: str, body: Body, nonce: str) -> BatchRecord:
    """Read a batch, submit its fits and keep it; the nonce names it.

    Raises InvalidModel for what is wrong with the batch as a whole, StoreUnavailable and StoreFull.
    """
    members: list[Member] = []
    asked: dict[str, Ask] = {
        "dataset": payloads(here, tenant),
        "callback": checker(here, tenant),
        "submit": lambda some: members.extend(_submit(request, here, some)),
    }

    def keep(read: tuple[str | None, Sequence[_Prepared]]) -> BatchRecord:
        callback_url, last = read
        members.extend(_submit(request, here, last))
        return _keep(here, tenant, tuple(members), callback_url, nonce)

    arguments = here.settings.limits, body.media_type, tenant, nonce
    return await work_on(here, body, _read, *arguments, asked=asked, then=keep)


def _keep(
    here: Services, tenant: str, members: tuple[Member, ...], callback_url: str | None, nonce: str
) -> BatchRecord:
    name = base64.b32encode(hashlib.sha256(nonce.encode()).digest()).decode().lower()[:26]
    try:
        record = here.batches.create(f"bat_{name}", tenant, members)
    except StoreFull:
        # Nobody would know of what was made for a batch that is refused.
        own = [member.fit_id for member in members if member.own and member.fit_id is not None]
        here.store.cancel_many(own, tenant)
        raise
    fit_ids = [member.fit_id for member in members if member.fit_id is not None]
    call_back_about_batch(here, tenant, record.id, callback_url, fit_ids)
    return record


def _read(
    ask: Ask, body: bytes, cells: int, limits: Limits, media_type: str, tenant: str, nonce: str
) -> tuple[str | None, list[_Prepared]]:
    """Let the sound members be submitted some at a time; give the address of a callback, and the last members."""
    read = read_members(media_type, body, limits, opener(ask), lambda url: ask("callback", url), cells)
    waiting: list[_Prepared] = []
    held = 0
    # None of a small body is submitted before all are read: one may prove costly, and all begins anew.
    at_once = _AT_ONCE if cells == DESIGN_CELLS else limits.batch_members
    for index, candidate in enumerate(read.candidates):
        if len(waiting) == at_once or (held > _BYTES_AT_ONCE and cells == DESIGN_CELLS):
            ask("submit", waiting)
            waiting, held = [], 0
        submission = None
        if candidate.checked is not None:
            submission = prepare(tenant, *candidate.checked, f"{nonce} {index}", 0.0, queue="batch")
            held += len(submission.payload)
        # Its plan has said all it had to; the table and the design of many would fill the memory.
        waiting.append((candidate.without_plan(), submission))
    return read.callback_url, waiting


def _submit(request: Request, here: Services, some: Sequence[_Prepared]) -> Iterator[Member]:
    creations = iter(submit_many(here, [submission for _, submission in some if submission is not None]))
    for candidate, submission in some:
        creation = next(creations) if submission is not None else None
        if isinstance(creation, tuple):
            fit, created = creation
            yield Member(candidate.custom_id, fit.id, own=created)
            continue
        issues = candidate.issues if creation is None else (_no_room(creation),)
        problem = document(request, summarize(issues), issues=issues)
        problem["errors_total"] += candidate.more_issues
        yield Member(candidate.custom_id, None, problem=_bounded(problem))


def _no_room(error: StoreFull | QueueFull | TooManyCallbacks) -> Issue:
    if isinstance(error, TooManyCallbacks):
        return Issue("too-many-callbacks", "Too many callbacks wait for this fit already.", "/callback")
    if isinstance(error, QueueFull):
        code = "tenant-queue-full" if error.scope == "tenant" else "queue-full"
        return Issue(code, "Too many fits are waiting.")
    code = "tenant-full" if error.scope == "tenant" else "store-full"
    return Issue(code, "There is no room for another fit.")


def _bounded(problem: dict[str, Any]) -> dict[str, Any]:
    """Leave out the last errors of a problem that is larger than its member need be; `errors_total` has them all."""
    errors = problem["errors"]
    while errors and len(orjson.dumps(errors)) > _PROBLEM_BYTES:
        errors = errors[:-1]
    return {**problem, "errors": errors}
