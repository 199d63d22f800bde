"""Emulated nodes: what they have, and which of them a pod fits on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

UNITS = {"m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def quantity(text: str | float) -> float:
    """A number of Kubernetes: ``950m``, ``16000M``, ``64Gi``."""
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text)).groups()
    return float(number) * UNITS[unit]


def requests_of(pod: Mapping[str, Any]) -> Counter[str]:
    """What all containers of a pod ask for together."""
    total: Counter[str] = Counter()
    for container in pod["spec"]["containers"]:
        for name, value in ((container.get("resources") or {}).get("requests") or {}).items():
            total[name] += quantity(value)
    return total


@dataclass
class Node:
    """
    One emulated machine.

    Attributes
    ----------
    name : str
        Its name.
    allocatable : dict
        Resource and quantity; nothing is measured, pods are believed what they ask for.
    labels : dict
        What node selectors look at.
    taints : list of dict
        Key, value and effect; pods without the toleration are kept off.
    """

    name: str
    allocatable: dict[str, str]
    labels: dict[str, str] = field(default_factory=dict)
    taints: list[dict[str, str]] = field(default_factory=list)

    def refuses(self, pod: Mapping[str, Any], neighbours: Iterable[Mapping[str, Any]]) -> str | None:
        """Why a pod does not fit beside the others on this node; None if it does."""
        spec = pod["spec"]
        if any(self.labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
            return "node(s) didn't match Pod's node affinity/selector"
        for taint in self.taints:
            if not any(_tolerates(toleration, taint) for toleration in spec.get("tolerations") or []):
                return f"node(s) had untolerated taint {{{taint['key']}: {taint['value']}}}"
        requests = sum((requests_of(neighbour) for neighbour in neighbours), Counter())
        for name, amount in requests_of(pod).items():
            if requests[name] + amount > quantity(self.allocatable.get(name, 0)):
                return f"Insufficient {name}"
        return None


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, str]) -> bool:
    same_effect = toleration.get("effect") in (None, "", taint["effect"])
    same_key = toleration.get("key") in (None, "", taint["key"])
    exists = toleration.get("operator", "Equal") == "Exists"
    return same_effect and same_key and (exists or toleration.get("value") == taint["value"])


GPU_TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}


def usual_nodes(cpu: int = 8) -> list[Node]:
    """One node of CPUs and one with a GPU that keeps others off; memory and disk as in a cloud."""
    size = {"cpu": str(cpu), "memory": "64Gi", "ephemeral-storage": "500Gi"}
    return [
        Node("cpu-0", dict(size), {"node.kubernetes.io/instance-type": "cpu"}),
        Node("gpu-0", {**size, "nvidia.com/gpu": "1"}, {"node.kubernetes.io/instance-type": "gpu"}, [GPU_TAINT]),
    ]
