"""What an API server refuses: objects against the published schemas, and requests that no Role allows."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from tests.cloud.kubernetes_nodes import quantity

VERSION = "1.31"
SECRET_LIMIT = 1 << 20
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN = re.compile(rf"{LABEL.pattern}(\.{LABEL.pattern})*")
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}


class RefusalError(Exception):
    """An answer that is an error, as the API server words it."""

    def __init__(self, code: int, reason: str, message: str):
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message

    def status(self) -> dict[str, Any]:
        """The Status object that carries it."""
        words = {"status": "Failure", "message": self.message, "reason": self.reason, "code": self.code}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, **words}


def invalid(kind: str, name: str, why: str) -> RefusalError:
    """The refusal of an object."""
    return RefusalError(422, "Invalid", f'{kind} "{name}" is invalid: {why}')


def check_schema(thing: Mapping[str, Any]) -> None:
    """Refuse what the schema of its kind does not allow, unknown fields included."""
    name = thing.get("metadata", {}).get("name", "")
    try:
        kubernetes_validate.validate(thing, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        raise invalid(thing["kind"], name, f"{'.'.join(map(str, error.path))}: {error.message}"[:800]) from None


def check_secret(secret: Mapping[str, Any]) -> None:
    """Refuse a Secret that a cluster would."""
    check_schema(secret)
    name, values = secret["metadata"]["name"], secret.get("data") or {}
    if not SUBDOMAIN.fullmatch(name) or len(name) > 253:
        raise invalid("Secret", name, "metadata.name: a lowercase RFC 1123 subdomain")
    if sum(len(base64.b64decode(value, validate=True)) for value in values.values()) > SECRET_LIMIT:
        raise invalid("Secret", name, "data: Too long: must have at most 1048576 bytes")


def check_job(job: Mapping[str, Any]) -> None:
    """Refuse a Job that a cluster would."""
    check_schema(job)
    name, pod = job["metadata"]["name"], job["spec"]["template"]["spec"]
    if not LABEL.fullmatch(name) or len(name) > 63:
        raise invalid("Job", name, "metadata.name: a lowercase RFC 1123 label of at most 63 characters")
    if pod.get("restartPolicy") not in ("Never", "OnFailure"):
        raise invalid("Job", name, 'spec.template.spec.restartPolicy: supported values: "OnFailure", "Never"')
    volumes = {volume["name"] for volume in pod.get("volumes") or []}
    for i, container in enumerate(pod["containers"]):
        path = f"spec.template.spec.containers[{i}]"
        if not container.get("image"):
            raise invalid("Job", name, f"{path}.image: Required value")
        for mount in container.get("volumeMounts") or []:
            if mount["name"] not in volumes:
                raise invalid("Job", name, f"{path}.volumeMounts.name: Not found: {mount['name']}")
        _check_resources(name, f"{path}.resources", container.get("resources") or {})


def _check_resources(job: str, path: str, resources: Mapping[str, Any]) -> None:
    limits = resources.get("limits") or {}
    for name, value in (resources.get("requests") or {}).items():
        extended = "/" in name
        if extended and name not in limits:
            raise invalid("Job", job, f"{path}.limits: Limit must be set for non overcommitable resources ({name})")
        if name in limits and extended and quantity(value) != quantity(limits[name]):
            raise invalid("Job", job, f"{path}.requests: {value}: must be equal to {name} limit of {limits[name]}")
        if name in limits and quantity(value) > quantity(limits[name]):
            raise invalid("Job", job, f"{path}.requests: {value}: must be at most the {name} limit of {limits[name]}")


def read_manifests(folder: Path) -> list[dict[str, Any]]:
    """All objects of the manifests of a folder."""
    paths = sorted(folder.glob("*.yaml"))
    return [thing for path in paths for thing in yaml.safe_load_all(path.read_text()) if thing]


def rights_of(manifests: Iterable[Mapping[str, Any]], account: str, namespace: str) -> set[tuple[str, str]]:
    """
    What a service account may do in a namespace: pairs of verb and resource, as its Roles say.

    Parameters
    ----------
    manifests : iterable of mapping
        Role and RoleBinding objects, among others.
    account : str
        Name of a service account of the namespace.
    namespace : str
        The namespace.
    """
    ours = [thing for thing in manifests if thing["metadata"].get("namespace") == namespace]
    roles = {thing["metadata"]["name"]: thing["rules"] for thing in ours if thing["kind"] == "Role"}
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    bound = [
        thing["roleRef"]["name"]
        for thing in ours
        if thing["kind"] == "RoleBinding" and subject in thing["subjects"] and thing["roleRef"]["kind"] == "Role"
    ]
    return {
        (verb, f"{group}/{resource}" if group else resource)
        for role in bound
        for rule in roles[role]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
