"""`python -m stack.await_store`: return once the server of REDIS_URL answers, or fail after half a minute."""

import os
import time

import redis


def await_store(url: str, seconds: float = 30.0) -> None:
    """Return once a server answers and has read its data; raises redis.RedisError if it does not in time."""
    give_up = time.monotonic() + seconds
    with redis.Redis.from_url(url, socket_timeout=1.0) as client:
        while True:
            try:
                client.ping()
                return
            except redis.RedisError:
                if time.monotonic() >= give_up:
                    raise
                time.sleep(0.02)


if __name__ == "__main__":
    try:
        await_store(os.environ["REDIS_URL"])
    except redis.RedisError as error:
        raise SystemExit(f"ranef: the server of REDIS_URL does not answer: {error}") from error
