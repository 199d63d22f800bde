"""An S3 server on loopback (moto) that asks for the right keys, has one bucket, and fails when it is told to."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import boto3
from moto.moto_api._internal import moto_api_backend
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

ACCESS_KEY, SECRET_KEY = "AKIATESTKEYOFPICKFLOW", "secret-that-no-file-may-show"
BUCKET, REGION = "pickflow", "us-east-1"
ERROR = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'


class ObjectStorage:
    """
    A moto server in a thread; a context manager. Buckets are those of the process: one server at a time.

    Attributes
    ----------
    endpoint : str
        Its URL.
    n_failed : int
        How many requests it has answered with 503.
    """

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        moto = DomainDispatcherApplication(create_backend_app)
        self._fail_s = 0.0
        self._failing_until: float | None = None
        self.n_failed = 0
        self._server = make_server("127.0.0.1", 0, self._guarded(moto), threaded=True)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def _guarded(self, moto: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        def answer(environment: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            if self._is_down():
                return _refuse(start, "503 Service Unavailable", "SlowDown", "Please reduce your request rate.")
            key = re.search(r"Credential=([^/]+)/", environment.get("HTTP_AUTHORIZATION", ""))
            if key is None or key[1] != ACCESS_KEY:
                return _refuse(start, "403 Forbidden", "InvalidAccessKeyId", "The Access Key Id does not exist.")
            if environment["PATH_INFO"].split("/")[1] != BUCKET:
                return _refuse(start, "403 Forbidden", "AccessDenied", "Access Denied")
            return moto(environment, start)

        return answer

    def __enter__(self) -> ObjectStorage:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        moto_api_backend.reset()

    def fail_for(self, seconds: float) -> None:
        """Answer 503 to everything for a while, from the next request on."""
        self._fail_s, self._failing_until = seconds, None

    def _is_down(self) -> bool:
        if self._fail_s and self._failing_until is None:
            self._failing_until = time.monotonic() + self._fail_s
        down = self._failing_until is not None and time.monotonic() < self._failing_until
        self.n_failed += down
        return down

    def contents(self, prefix: str = "") -> dict[str, bytes]:
        """All objects of the bucket below a prefix, by key."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        keys = [thing["Key"] for page in pages for thing in page.get("Contents", [])]
        return {key: self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


def _refuse(start: Callable[..., Any], status: str, code: str, message: str) -> list[bytes]:
    start(status, [("Content-Type", "application/xml")])
    return [ERROR.format(code=code, message=message).encode()]
