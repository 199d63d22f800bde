"""The state of the emulated cluster: objects of one namespace, and the loop that places pods and sees them end."""

from __future__ import annotations

import copy
import os
import re
import shutil
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.cloud.kubernetes_nodes import Node
from tests.cloud.kubernetes_pods import Process, container_status
from tests.cloud.kubernetes_rules import RefusalError, check_job, check_schema, check_secret

TICK_S = 0.05
KINDS = {"pods": ("Pod", "v1"), "secrets": ("Secret", "v1"), "jobs": ("Job", "batch/v1")}


@dataclass
class Fault:
    """
    What is done to the next pods of a rule.

    Attributes
    ----------
    rule : str
        Of the workflow.
    kind : str
        ``oom``: killed by the kernel. ``evicted``: sent away by the node. ``lost``: the same before it has begun.
    times : int
        To so many pods.
    """

    rule: str
    kind: str
    times: int = 1


def timestamp() -> str:
    """The time, as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rule_of(pod: Mapping[str, Any]) -> str:
    """The rule of the workflow that a pod, or a Job's template, runs."""
    command = " ".join(pod["spec"]["containers"][0].get("args") or [])
    match = re.search(r"--allowed-rules '?(\w+)", command)
    return match[1] if match else ""


class Cluster:
    """
    Objects of one namespace, and the pods that run.

    Parameters
    ----------
    namespace : str
        Its name.
    accounts : set of str
        Service accounts of the namespace.
    nodes : sequence of Node
        The machines.
    hidden : sequence of Path
        Folders that pods must not see.
    folder : Path
        Where pods keep their volumes and logs.

    Attributes
    ----------
    things : dict
        ``things["jobs"][name]`` and so on.
    created : list of dict
        Every Job and Secret that was ever accepted, as it was sent.
    placed : list of (str, str)
        Rule and node of each pod that has begun.
    ended : list of (str, str)
        Rule and reason of each pod that has ended.
    faults : list of Fault
        Still to come.
    """

    def __init__(self, namespace: str, accounts: set[str], nodes: Sequence[Node], hidden: Sequence[Path], folder: Path):
        self.namespace, self.accounts, self.nodes = namespace, accounts, list(nodes)
        self.hidden, self.folder = list(hidden), folder
        self.things: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in KINDS}
        self.created: list[dict[str, Any]] = []
        self.placed: list[tuple[str, str]] = []
        self.ended: list[tuple[str, str]] = []
        self.faults: list[Fault] = []
        self.environment = image_environment()
        self.processes: dict[str, Process] = {}
        self._killed_for: dict[str, str] = {}
        self._lock, self._closed = threading.RLock(), threading.Event()
        self._had_workdir = Path("/workdir").exists()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End all pods and remove what they have written."""
        self._closed.set()
        self._thread.join()
        for process in self.processes.values():
            process.kill()
            process.process.wait()
        shutil.rmtree(self.folder.parent, ignore_errors=True)
        if not self._had_workdir:
            try:
                os.rmdir("/workdir")
            except OSError:  # another emulator made it too, or has removed it
                return

    def create(self, kind: str, thing: dict[str, Any]) -> dict[str, Any]:
        """Accept a Secret or a Job, or refuse it."""
        name, version = KINDS[kind]
        thing = {"kind": name, "apiVersion": version, **thing}
        if kind == "pods":
            raise RefusalError(405, "MethodNotAllowed", "pods come from Jobs")
        (check_secret if kind == "secrets" else check_job)(thing)
        with self._lock:
            if thing["metadata"]["name"] in self.things[kind]:
                raise RefusalError(409, "AlreadyExists", f'{kind} "{thing["metadata"]["name"]}" already exists')
            self.created.append(copy.deepcopy(thing))
            self._add(kind, thing)
            if kind == "jobs":
                thing["status"] = {"active": 1, "startTime": timestamp()}
                self._add_pod(thing)
            return thing

    def _add(self, kind: str, thing: dict[str, Any]) -> None:
        identity = {"namespace": self.namespace, "uid": str(uuid.uuid4()), "creationTimestamp": timestamp()}
        thing["metadata"].update(identity, resourceVersion="1")
        self.things[kind][thing["metadata"]["name"]] = thing

    def _add_pod(self, job: Mapping[str, Any]) -> None:
        template, name = job["spec"]["template"], job["metadata"]["name"]
        account = template["spec"].get("serviceAccountName", "default")
        if account not in self.accounts | {"default"}:
            return  # the Job waits for ever: "error looking up service account"
        labels = {**(template.get("metadata") or {}).get("labels", {}), "job-name": name}
        metadata = {"name": f"{name[:57]}-{uuid.uuid4().hex[:5]}", "labels": labels}
        spec = copy.deepcopy(template["spec"])
        pod = {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}
        self._add("pods", pod)
        check_schema(pod)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """One object."""
        try:
            return self.things[kind][name]
        except KeyError:
            raise RefusalError(404, "NotFound", f'{kind} "{name}" not found') from None

    def list_of(self, kind: str, labels: str, fields: str) -> dict[str, Any]:
        """All objects of a kind with these labels; of fields, only the name can be asked for."""
        pairs = dict(pair.split("=", 1) for pair in labels.replace("==", "=").split(",") if pair)
        named = fields.removeprefix("metadata.name=") if fields else None
        with self._lock:
            items = [
                thing
                for name, thing in self.things[kind].items()
                if named in (None, name) and pairs.items() <= (thing["metadata"].get("labels") or {}).items()
            ]
        name_of_kind, version = KINDS[kind]
        return {
            "kind": f"{name_of_kind}List",
            "apiVersion": version,
            "metadata": {"resourceVersion": "1"},
            "items": items,
        }

    def log_of(self, pod: str) -> str:
        """What a pod has printed."""
        self.get("pods", pod)
        path = self.folder / pod / "log"
        if not path.exists():
            raise RefusalError(400, "BadRequest", f'container "snakemake" in pod "{pod}" is waiting to start')
        return path.read_text(errors="replace")

    def delete(self, kind: str, name: str) -> dict[str, Any]:
        """Remove an object; with a Job go its pods."""
        with self._lock:
            thing = self.get(kind, name)
            if kind == "jobs":
                pods = [
                    pod
                    for pod, pod_object in self.things["pods"].items()
                    if pod_object["metadata"]["labels"]["job-name"] == name
                ]
                for pod in pods:
                    self.delete("pods", pod)
            if kind == "pods" and (process := self.processes.pop(name, None)):
                threading.Thread(target=process.stop, daemon=True).start()
            del self.things[kind][name]
        details = {"name": name, "kind": kind, "uid": thing["metadata"]["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def remaining_names(self) -> dict[str, list[str]]:
        """Names of all objects that there still are, by kind, where there are any."""
        with self._lock:
            return {kind: sorted(things) for kind, things in self.things.items() if things}

    def _loop(self) -> None:
        while not self._closed.wait(TICK_S):
            with self._lock:
                for pod in list(self.things["pods"].values()):
                    if pod["status"]["phase"] == "Pending":
                        self._place(pod)
                    elif pod["status"]["phase"] == "Running":
                        self._look_after(pod)

    def _place(self, pod: dict[str, Any]) -> None:
        reasons = []
        for node in self.nodes:
            neighbours = [
                neighbour
                for neighbour in self.things["pods"].values()
                if neighbour["status"]["phase"] == "Running" and neighbour["spec"].get("nodeName") == node.name
            ]
            reason = node.refuses(pod, neighbours)
            if reason is None:
                return self._start(pod, node)
            reasons.append(reason)
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": ", ".join(reasons),
        }
        pod["status"]["conditions"] = [condition]
        return None

    def _start(self, pod: dict[str, Any], node: Node) -> None:
        name, rule = pod["metadata"]["name"], rule_of(pod)
        pod["spec"]["nodeName"] = node.name
        fault = next((fault for fault in self.faults if fault.rule == rule and fault.times > 0), None)
        if fault:
            fault.times -= 1
            self._killed_for[name] = fault.kind
        self.placed.append((rule, node.name))
        if fault and fault.kind == "lost":
            return self._end(pod, 137)
        try:
            process = Process(pod, self.things["secrets"], self.folder / name, self.hidden, self.environment)
        except RefusalError as refusal:
            waiting = {"waiting": {"reason": refusal.reason, "message": refusal.message}}
            pod["status"]["containerStatuses"] = [container_status(pod["spec"]["containers"][0], waiting)]
            return None
        self.processes[name] = process
        running = container_status(process.container, {"running": {"startedAt": timestamp()}})
        pod["status"] = {"phase": "Running", "startTime": timestamp(), "containerStatuses": [running]}
        if fault:
            process.kill()
        return None

    def _look_after(self, pod: dict[str, Any]) -> None:
        code = self.processes[pod["metadata"]["name"]].process.poll()
        if code is not None:
            del self.processes[pod["metadata"]["name"]]
            self._end(pod, code if code >= 0 else 128 - code)

    def _end(self, pod: dict[str, Any], code: int) -> None:
        fault = self._killed_for.pop(pod["metadata"]["name"], None)
        reason = {"oom": "OOMKilled", "evicted": "ContainerStatusUnknown", "lost": "Evicted"}.get(
            fault or "", "Error" if code else "Completed"
        )
        status = {"phase": "Failed" if code else "Succeeded"}
        if fault in ("evicted", "lost"):
            status.update(reason="Evicted", message="The node was low on resource: memory.")
        if fault != "lost":
            terminated = {"terminated": {"exitCode": code, "reason": reason, "finishedAt": timestamp()}}
            status["containerStatuses"] = [container_status(pod["spec"]["containers"][0], terminated)]
        pod["status"] = status
        self.ended.append((rule_of(pod), reason))
        job = self.things["jobs"].get(pod["metadata"]["labels"]["job-name"])
        if job and code:
            condition = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
            job["status"] = {"failed": 1, "conditions": [condition]}
        elif job:
            job["status"] = {"succeeded": 1, "completionTime": timestamp()}


def image_environment() -> dict[str, str]:
    """What the container image sets: the interpreter with the library first, and nothing of the submitter's."""
    search = os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
    return {"PATH": search, "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
