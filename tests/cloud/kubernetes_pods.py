"""Pods of the emulator: the command of the container as a local process that shares no folder with the submitter."""

from __future__ import annotations

import base64
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.cloud.kubernetes_rules import RefusalError

GRACE_S = 1.0
# A private view of the folders, processes of its own, and all of them end with the first.
NAMESPACE = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]


def why_not() -> str | None:
    """Why pods cannot be emulated here; None if they can."""
    if shutil.which("unshare") is None:
        return "unshare (util-linux) is not installed"
    tried = subprocess.run([*NAMESPACE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        return f"pods need private mount namespaces, for which one must be root: {tried.stderr.strip()}"
    return None


class Process:
    """
    The container of one pod.

    Parameters
    ----------
    pod : mapping
        The Pod object, of one container.
    secrets : mapping
        Secret objects of the namespace, by name.
    folder : Path
        Where its volumes and its log go.
    hidden : sequence of Path
        Folders that it must not see.
    environment : mapping
        What the image sets.

    Raises
    ------
    RefusalError
        If it refers to a secret that is not there.
    """

    def __init__(
        self,
        pod: Mapping[str, Any],
        secrets: Mapping[str, Any],
        folder: Path,
        hidden: Sequence[Path],
        environment: Mapping[str, str],
    ):
        self.container = pod["spec"]["containers"][0]
        self.folder = folder
        variables = self._variables(secrets)
        (folder / "home").mkdir(parents=True)
        home = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "home"), "HOSTNAME": pod["metadata"]["name"]}
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*NAMESPACE, "sh", "-c", self._script(pod, hidden)],
                env={**environment, **home, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _variables(self, secrets: Mapping[str, Any]) -> dict[str, str]:
        variables = {}
        for variable in self.container.get("env") or []:
            if "value" in variable:
                variables[variable["name"]] = variable["value"]
                continue
            reference = variable["valueFrom"]["secretKeyRef"]
            if reference["name"] not in secrets:
                raise RefusalError(404, "CreateContainerConfigError", f'secret "{reference["name"]}" not found')
            value = secrets[reference["name"]]["data"][reference["key"]]
            variables[variable["name"]] = base64.b64decode(value).decode()
        return variables

    def _script(self, pod: Mapping[str, Any], hidden: Sequence[Path]) -> str:
        """Mount the volumes, hide the folders, and become the command."""
        lines = ["set -e"]
        for mount in self.container.get("volumeMounts") or []:
            source = self.folder / f"volume-{mount['name']}"
            source.mkdir(parents=True)
            # The mount point appears outside as well, empty: a container has a root of its own.
            Path(mount["mountPath"]).mkdir(parents=True, exist_ok=True)
            lines.append(f"mount --bind {shlex.quote(str(source))} {shlex.quote(mount['mountPath'])}")
        lines += [f"mount -t tmpfs tmpfs {shlex.quote(str(path))}" for path in hidden]
        lines.append(f"cd {shlex.quote(self.container.get('workingDir') or '/')}")
        command = [*(self.container.get("command") or []), *(self.container.get("args") or [])]
        return "\n".join([*lines, "exec " + shlex.join(command)])

    def kill(self) -> None:
        """End it at once, as the kernel does."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """End it as a kubelet does: ask, and wait a moment."""
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return


def container_status(container: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """What a kubelet says about a container."""
    image = {"image": container["image"], "imageID": "", "restartCount": 0}
    return {"name": container["name"], "ready": "running" in state, "state": state, **image}
