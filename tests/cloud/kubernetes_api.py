"""
An emulator of the part of the Kubernetes API that Snakemake's executor and a few commands of kubectl call.

It is no cluster. It checks each object strictly against the published schema and against what a real API server refuses
besides, asks the Roles of our manifests before each request, places pods on emulated nodes, and runs their command as a
process of this machine in a mount namespace of its own. Images are not pulled, memory is not measured, networks are not
separated: pods die of too little memory, or are evicted, when a test says so.
"""

from __future__ import annotations

import json
import re
import ssl
import tempfile
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.cloud.certificate import certificate_for_loopback
from tests.cloud.kubernetes_cluster import Cluster
from tests.cloud.kubernetes_nodes import Node
from tests.cloud.kubernetes_rules import VERBS, VERSION, RefusalError, read_manifests, rights_of

PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>batch)/v1)/namespaces/(?P<namespace>[^/]+)"
    r"/(?P<kind>pods|secrets|jobs)(?:/(?P<name>[^/]+))?(?:/(?P<part>status|log))?"
)
ALL_VERBS = ["create", "delete", "get", "list"]
# What kubectl asks before anything else.
DISCOVERY = {
    "/version": {"major": "1", "minor": VERSION.split(".")[1], "gitVersion": f"v{VERSION}.0-emulated"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [
            {
                "name": "batch",
                "versions": [{"groupVersion": "batch/v1", "version": "v1"}],
                "preferredVersion": {"groupVersion": "batch/v1", "version": "v1"},
            }
        ],
    },
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {"name": name, "singularName": "", "namespaced": True, "kind": kind, "verbs": ALL_VERBS}
            for name, kind in (("pods", "Pod"), ("secrets", "Secret"))
        ],
    },
    "/apis/batch/v1": {
        "kind": "APIResourceList",
        "groupVersion": "batch/v1",
        "resources": [{"name": "jobs", "singularName": "", "namespaced": True, "kind": "Job", "verbs": ALL_VERBS}],
    },
}


class KubernetesApi:
    """
    A cluster of one namespace behind an HTTPS server on loopback; a context manager.

    Parameters
    ----------
    manifests : Path
        Folder of the manifests that made the namespace: service accounts, Roles and their bindings.
    nodes : sequence of Node
        The machines.
    hidden : sequence of Path
        Folders that pods must not see.
    account : str
        Service account whose token is in `kubeconfig`.
    without : tuple of str, optional
        A right, verb and resource, that is taken away from that account.

    Attributes
    ----------
    kubeconfig, admin : Path
        Configurations of kubectl: of the service account, and of one who may do everything.
    used : set of (str, str)
        The rights that the service account has made use of.
    requests : list of str
        All requests, with the code of the answer.
    """

    def __init__(
        self,
        manifests: Path,
        nodes: Sequence[Node],
        hidden: Sequence[Path] = (),
        account: str = "pickflow",
        without: tuple[str, str] | None = None,
    ):
        things = read_manifests(manifests)
        self.namespace = next(thing["metadata"]["name"] for thing in things if thing["kind"] == "Namespace")
        accounts = {thing["metadata"]["name"] for thing in things if thing["kind"] == "ServiceAccount"}
        self.granted = rights_of(things, account, self.namespace) - {without}
        self.used: set[tuple[str, str]] = set()
        self.requests: list[str] = []
        self.folder = Path(tempfile.mkdtemp(prefix="emulated-kubernetes-"))
        self.cluster = Cluster(self.namespace, accounts, nodes, hidden, self.folder / "pods")
        certificate, key = certificate_for_loopback(self.folder)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.kubeconfig = self._write_kubeconfig("account", certificate)
        self.admin = self._write_kubeconfig("admin", certificate)

    def _write_kubeconfig(self, user: str, certificate: Path) -> Path:
        server = f"https://127.0.0.1:{self._server.server_port}"
        cluster = {"server": server, "certificate-authority": str(certificate)}
        context = {"cluster": "emulated", "user": user, "namespace": self.namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "emulated",
            "clusters": [{"name": "emulated", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": f"token-of-{user}"}}],
            "contexts": [{"name": "emulated", "context": context}],
        }
        path = self.folder / f"kubeconfig-{user}"
        path.write_text(yaml.safe_dump(config))
        return path

    def __enter__(self) -> KubernetesApi:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.cluster.close()

    def authorise(self, token: str, verb: str, resource: str) -> None:
        """Refuse what no Role allows, and whom nobody knows."""
        if token == "Bearer token-of-admin":
            return
        if token != "Bearer token-of-account":
            raise RefusalError(401, "Unauthorized", "Unauthorized")
        if (verb, resource) not in self.granted:
            raise RefusalError(
                403,
                "Forbidden",
                f'{resource.split("/")[-1]} is forbidden: User "system:serviceaccount" cannot {verb} resource'
                f' "{resource}" in the namespace "{self.namespace}"',
            )
        self.used.add((verb, resource))

    def answer(self, method: str, url: str, token: str, body: Any) -> tuple[int, Any]:
        """Code and object, or text, that answers a request."""
        parts = urlsplit(url)
        if method == "GET" and parts.path in DISCOVERY:
            return 200, DISCOVERY[parts.path]
        match = PATH.fullmatch(parts.path)
        if not match:
            raise RefusalError(404, "NotFound", f"the server could not find the requested resource {parts.path}")
        group, namespace, kind, name, part = match.groups()
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        verb = "list" if method == "GET" and name is None else VERBS[method]
        resource = "/".join(piece for piece in (group, kind, part) if piece)
        self.authorise(token, verb, resource)
        if namespace != self.namespace:
            raise RefusalError(404, "NotFound", f'namespaces "{namespace}" not found')
        if verb == "create":
            return 201, self.cluster.create(kind, body)
        if verb == "list":
            return 200, self.cluster.list_of(kind, query.get("labelSelector", ""), query.get("fieldSelector", ""))
        if verb == "get":
            return 200, self.cluster.log_of(name) if part == "log" else self.cluster.get(kind, name)
        if verb == "delete":
            return 200, self.cluster.delete(kind, name)
        raise RefusalError(405, "MethodNotAllowed", f"{method} is not emulated")


def _handler(api: KubernetesApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            try:
                code, thing = api.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
            except RefusalError as refusal:
                code, thing = refusal.code, refusal.status()
            api.requests.append(f"{code} {self.command} {self.path}")
            kind, text = ("text/plain", thing) if isinstance(thing, str) else ("application/json", json.dumps(thing))
            content = text.encode()
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

    return Handler
