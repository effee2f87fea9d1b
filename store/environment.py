"""Reads settings from the environment: whatever begins with `RANEF_` is a setting, or the process does not start.

What is wrong is said in sentences that name the variable, all of it at once.
"""

import difflib
import os
import pkgutil
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from model.errors import RanefError

PREFIX = "RANEF_"
_CLASSES = ("service.settings.ServiceSettings", "service.settings.Limits", "worker.settings.WorkerSettings")
"""All sides are given one environment, so each knows the names of the others' settings; of the others no more than that
is looked at, and where only one side is installed this file of the other one is."""
_STACK = frozenset({"RANEF_DATA", "RANEF_VALKEY"})
"""Variables of the start on one machine."""
_WITHOUT_PREFIX = ("PORT", "REDIS_URL", "JAX_COMPILATION_CACHE_DIR")
# What Kubernetes gives to every process beside a Service that is called ranef, or ranef-…
_KUBERNETES = re.compile(
    r"RANEF_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)


class InvalidSettings(RanefError):
    """The environment cannot be used; the message has a line for each variable that is wrong."""


def names_of(settings: type[BaseSettings]) -> frozenset[str]:
    """The variables that a class of settings reads, but those that have no prefix."""
    prefix = settings.model_config.get("env_prefix", "")
    return frozenset(
        f"{prefix}{name}".upper()
        for name, field in settings.model_fields.items()
        if field.validation_alias is None and not _holds_settings(field.annotation)
    )


def known_names() -> frozenset[str]:
    """All variables that begin with the prefix and mean something to some side."""
    classes = (pkgutil.resolve_name(name) for name in _CLASSES)
    return _STACK.union(*map(names_of, classes))


def hold_to_settings(environment: Mapping[str, str], *classes: type[BaseSettings]) -> None:
    """Raise InvalidSettings if a variable is none of ours, or has a value that some of the classes cannot use."""
    wrong = [*_unknown(environment)]
    for settings in classes:
        for part, error in _errors(settings):
            wrong += _complaints(error, part, environment)
    if wrong:
        raise InvalidSettings("The settings cannot be used:\n  " + "\n  ".join(dict.fromkeys(wrong)))


def start_with(*classes: type[BaseSettings]) -> None:
    """End the process with what is wrong about its environment, if anything is."""
    try:
        hold_to_settings(os.environ, *classes)
    except InvalidSettings as error:
        raise SystemExit(f"ranef: {error}") from None


def _holds_settings(annotation: Any) -> TypeGuard[type[BaseSettings]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseSettings)


def _unknown(environment: Mapping[str, str]) -> Iterator[str]:
    known = sorted(known_names())
    for name, value in environment.items():
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper in known:
            continue
        if _KUBERNETES.fullmatch(upper) and (upper != "RANEF_PORT" or "://" in value):
            continue
        bare = upper.removeprefix(PREFIX)
        near = [bare] if bare in _WITHOUT_PREFIX else difflib.get_close_matches(upper, known, 1, 0.8)
        yield f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else "")


def _errors(settings: type[BaseSettings]) -> Iterator[tuple[type[BaseSettings], ValidationError]]:
    """What is wrong with settings, and with those that they hold, which would hide it."""
    held = dict[str, Any]()
    for name, field in settings.model_fields.items():
        if _holds_settings(field.annotation):
            yield from _errors(field.annotation)
            held[name] = field.annotation.model_construct()
    try:
        settings(**held)
    except ValidationError as error:
        yield settings, error


def _complaints(
    error: ValidationError, settings: type[BaseSettings], environment: Mapping[str, str]
) -> Iterator[str]:
    given = {name.upper(): value for name, value in environment.items()}
    prefix = settings.model_config.get("env_prefix", "")
    for each in error.errors(include_url=False, include_context=False):
        if each["type"] == "default_factory_not_called":
            continue
        first, *inner = each["loc"]
        name = str(first).upper()
        field = settings.model_fields.get(str(first).lower())
        if field is None or field.validation_alias is None:
            name = f"{prefix}{name}".upper()
        shown = f"={given[name]!r}" if name in given and field is not None and field.repr else ""
        place = f" (value {inner[0] + 1})" if inner and isinstance(inner[0], int) else ""
        yield f"{name}{shown}{place}: {each['msg'].removeprefix('Value error, ').removeprefix('Input ')}"
