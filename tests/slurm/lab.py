"""
A real SLURM on one machine, without systemd: `python -m tests.slurm.lab up | up-db | down | status`, as root.

It looks like a small Leonardo: `lrd_all_serial` is the node n1, which has a way out to the internet; `boost_usr_prod`
is n2, without a GPU, and n3, with two that are no more than device files. Each node is a slurmd in a process namespace
of its own, so that `kill -9` of it ends all that runs there, as when a node is lost.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ.get("PICKFLOW_SLURM_LAB", "/tmp/pickflow-slurm-lab"))
# The clients of SLURM look here; an environment variable would do for them, but not for what runs inside a job.
SYSTEM = Path("/etc/slurm")
NODES = ("n1", "n2", "n3")
GPU_NODE = "n3"
ACCOUNT = "pickflow_lab"
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
ACCOUNTING_PACKAGES = ("slurmdbd", "mariadb-server")
SERVERS = ("munged", "mariadbd", "slurmdbd", "slurmctld", *NODES)
# SLURM books what it is told: the memory of Leonardo's nodes, so that the profile's requests fit as they are.
MEMORY_MB = {"n1": 30_800, "n2": 494_000, "n3": 494_000}
CPUS = 2

SLURM_CONF = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={slurmctld_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A job that is put into the queue again waits for so long (cred_expire).
AuthInfo=socket={folder}/munge.socket,cred_expire=20
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog={folder}/task-prolog
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
# A step that uses more memory than it asked for is ended.
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_min_interval=50000,batch_sched_delay=1,bf_interval=5
MpiDefault=none
ReturnToService=2
# Seconds for which a job that ended is remembered; the tests look at it later.
MinJobAge=7200
MaxArraySize=1001
SlurmdTimeout=12
KillWait=3
GresTypes=gpu
SlurmdParameters=config_overrides
{accounting}
{nodes}
PartitionName=boost_usr_prod Nodes=n2,n3 Default=YES MaxTime=24:00:00 State=UP
PartitionName=lrd_all_serial Nodes=n1 MaxTime=04:00:00 State=UP
"""
NO_ACCOUNTING = "AccountingStorageType=accounting_storage/none"
ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={slurmdbd_port}
AccountingStoragePass={folder}/munge.socket
AccountingStorageEnforce=associations
AccountingStorageTRES=gres/gpu"""
SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={slurmdbd_port}
SlurmUser=root
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={mariadb_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct
"""
# What a compute node answers to everything outside: nobody listens on the discard port.
TASK_PROLOG = """\
#!/bin/sh
[ "$SLURMD_NODENAME" = n1 ] && exit 0
for name in http_proxy https_proxy HTTP_PROXY HTTPS_PROXY; do echo "export $name=http://127.0.0.1:9"; done
for name in no_proxy NO_PROXY; do echo "export $name="; done
"""


def unavailable() -> str | None:
    """Why there can be no lab on this machine, or None."""
    if os.geteuid() != 0:
        return "a SLURM of its own needs root"
    if shutil.which("unshare") is None or subprocess.run(["unshare", "--pid", "--fork", "true"]).returncode:
        return "this machine does not let root make process namespaces (unshare --pid)"
    if not (missing(PACKAGES) and shutil.which("apt-get") is None):
        return None
    return "SLURM is not installed, and there is no apt-get to install it"


def missing(packages: tuple[str, ...]) -> list[str]:
    """Those of the Debian packages that are not installed."""
    program = {"slurm-client": "sbatch", "munge": "munged", "mariadb-server": "mariadbd"}
    path = os.environ["PATH"] + ":/usr/sbin"
    return [name for name in packages if shutil.which(program.get(name, name), path=path) is None]


def install(packages: tuple[str, ...]) -> None:
    """
    Install Debian packages that are missing, without starting any service.

    Raises
    ------
    RuntimeError
        If apt-get cannot.
    """
    packages_to_install = missing(packages)
    if not packages_to_install:
        return
    # Debian's packages start their services unless this says no.
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        for command in (["update"], ["install", "-y", "--no-install-recommends", *packages_to_install]):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            run = subprocess.run(["apt-get", "-qq", *command], capture_output=True, text=True, env=environment)
            if run.returncode:
                raise RuntimeError(f"apt-get {' '.join(command)} failed:\n{run.stderr[-2000:]}")
    finally:
        if ours:
            policy.unlink()


class Lab:
    """
    The SLURM of this machine while a `with` block lasts.

    Parameters
    ----------
    accounting : bool
        With slurmdbd and MariaDB, and one account; without, SLURM forgets a job two hours after its end.
    """

    def __init__(self, accounting: bool = False) -> None:
        self.accounting = accounting

    def __enter__(self) -> Lab:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """
        Install what is missing and start all servers.

        Raises
        ------
        RuntimeError
            If the machine has a SLURM of its own or a lab is up already, or a server does not answer in time.
        """
        refuse_foreign()
        if any(process_of(name) for name in SERVERS):
            raise RuntimeError(f"a lab is up already in {FOLDER}; end it with: python -m tests.slurm.lab down")
        shutil.rmtree(FOLDER, ignore_errors=True)
        install(PACKAGES + (ACCOUNTING_PACKAGES if self.accounting else ()))
        self._write_files()
        key, conf = FOLDER / "munge.key", FOLDER / "munge.socket"
        munge = [f"--socket={conf}", f"--key-file={key}", f"--pid-file={FOLDER}/munged.pid"]
        munge += [f"--log-file={FOLDER}/log/munged.log", f"--seed-file={FOLDER}/munge.seed"]
        # --force: its directory is open to all.
        serve("munged", "munged", "-F", "--force", *munge)
        wait_until("munged answers", lambda: succeeds("munge", "-S", str(conf), "-n"))
        if self.accounting:
            self._start_accounting()
        serve("slurmctld", "slurmctld", "-D", "-c")
        wait_until("slurmctld answers", lambda: "UP" in output("scontrol", "ping"))
        for node in NODES:
            self.start_node(node)

    def stop(self) -> None:
        """End all jobs and servers, and leave nothing behind."""
        if process_of("slurmctld"):
            output("scancel", "--user=root")
        for name in reversed(SERVERS):
            end(name)
        for link in SYSTEM.glob("*.conf"):
            if link.is_symlink() and link.readlink().parent == FOLDER:
                link.unlink()
        shutil.rmtree(FOLDER, ignore_errors=True)

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node and wait until jobs can go there."""
        serve(node, "unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "slurmd", "-D", "-N", node)
        wait_until(f"{node} is ready", lambda: self.state_of(node) in ("IDLE", "MIXED", "ALLOCATED"))

    def lose_node(self, node: str) -> None:
        """`kill -9` of a slurmd, and with it of all that runs on its node."""
        process = process_of(node)
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        wait_until(f"{node} is gone", lambda: process_of(node) is None)

    def state_of(self, node: str) -> str:
        """State of a node, as SLURM sees it: IDLE, ALLOCATED, DOWN and others."""
        match = re.search(r"State=([A-Z]+)(\*?)", output("scontrol", "show", "node", node))
        return "" if match is None else "DOWN" if match[2] else match[1]

    def _write_files(self) -> None:
        for folder in ("log", "state", "gpus", *(f"spool-{node}" for node in NODES)):
            (FOLDER / folder).mkdir(parents=True)
        (FOLDER / "munge.key").write_bytes(os.urandom(1024))
        (FOLDER / "munge.key").chmod(0o400)
        for gpu in ("gpu0", "gpu1"):
            os.mknod(FOLDER / "gpus" / gpu, 0o666 | 0o020000, os.makedev(1, 3))  # /dev/null by another name
        names = ("slurmctld_port", "slurmdbd_port", "mariadb_port", *NODES)
        values = dict(zip(names, free_ports(len(names)), strict=True))
        values = {**values, "folder": FOLDER, "host": socket.gethostname().split(".")[0]}
        accounting = (ACCOUNTING if self.accounting else NO_ACCOUNTING).format(**values)
        nodes = "\n".join(node_line(node, values["host"], values[node]) for node in NODES)
        files = {
            "slurm.conf": SLURM_CONF.format(**values, accounting=accounting, nodes=nodes),
            "gres.conf": f"NodeName={GPU_NODE} Name=gpu File={FOLDER}/gpus/gpu[0-1]\n",
            "cgroup.conf": "CgroupAutomount=no\nConstrainCores=no\n",
            "slurmdbd.conf": SLURMDBD_CONF.format(**values),
        }
        SYSTEM.mkdir(exist_ok=True)
        for name, text in files.items():
            (FOLDER / name).write_text(text)
            (FOLDER / name).chmod(0o600 if name == "slurmdbd.conf" else 0o644)
            (SYSTEM / name).unlink(missing_ok=True)
            (SYSTEM / name).symlink_to(FOLDER / name)
        (FOLDER / "task-prolog").write_text(TASK_PROLOG)
        (FOLDER / "task-prolog").chmod(0o755)
        self.mariadb_port = values["mariadb_port"]

    def _start_accounting(self) -> None:
        database_options = [f"--datadir={FOLDER}/mysql", "--user=root"]
        output("mariadb-install-db", "--auth-root-authentication-method=socket", *database_options)
        listen = [f"--socket={FOLDER}/mysql.socket", f"--port={self.mariadb_port}", "--bind-address=127.0.0.1"]
        serve("mariadbd", "mariadbd", "--no-defaults", *database_options, *listen, "--innodb-lock-wait-timeout=900")
        client = ("mariadb", f"--socket={FOLDER}/mysql.socket", "--execute")
        wait_until("MariaDB answers", lambda: succeeds(*client, "select 1"))
        user = "'slurm'@'127.0.0.1'"
        output(*client, f"create user {user} identified by 'slurm'; grant all on slurm_acct.* to {user}")
        output(*client, "create database slurm_acct")
        serve("slurmdbd", "slurmdbd", "-D")
        wait_until("slurmdbd answers", lambda: succeeds("sacctmgr", "-n", "show", "cluster"))
        for entity in (["cluster", "lab"], ["account", ACCOUNT, "cluster=lab"], ["user", "root", f"account={ACCOUNT}"]):
            output("sacctmgr", "--immediate", "add", *entity)


def node_line(node: str, host: str, port: int) -> str:
    """The line of slurm.conf that describes a node."""
    size = f"CPUs={CPUS} Boards=1 SocketsPerBoard=1 CoresPerSocket={CPUS} ThreadsPerCore=1 RealMemory={MEMORY_MB[node]}"
    # Jobs that need no GPU go elsewhere first.
    gpus = " Gres=gpu:2 Weight=2" if node == GPU_NODE else ""
    return f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} {size} State=UNKNOWN{gpus}"


def refuse_foreign() -> None:
    """
    Leave a machine alone that has a SLURM which is not the lab's.

    Raises
    ------
    RuntimeError
        If it has.
    """
    for name in ("slurm.conf", "gres.conf", "cgroup.conf", "slurmdbd.conf"):
        path = SYSTEM / name
        if path.is_symlink() and path.readlink().parent == FOLDER:
            continue
        if path.exists() or path.is_symlink():
            raise RuntimeError(f"{path} is not the lab's: this machine has a SLURM of its own, which is left alone")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


def serve(name: str, *command: str) -> None:
    """Start a server that outlives this process, and remember it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH"))}
    environment["PATH"] = environment.get("PATH", "") + ":/usr/sbin:/sbin"
    with (FOLDER / "log" / f"{name}.out").open("w") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment
        )
    (FOLDER / f"{name}.process").write_text(str(process.pid))


def process_of(name: str) -> int | None:
    """Number of a server's process, if it runs."""
    path = FOLDER / f"{name}.process"
    if not path.exists():
        return None
    process = int(path.read_text())
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process, os.WNOHANG)  # a child of ours that ended is a zombie until it is asked for
    status = Path(f"/proc/{process}/cmdline")
    # A number is given away again: it must still be what was started.
    argument = f"-N\0{name}" if name in NODES else name
    return process if status.exists() and argument in status.read_text() else None


def end(name: str) -> None:
    """End a server, first politely."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        process = process_of(name)
        if process is None:
            return
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split() if name in NODES else []
        for target in (*map(int, children), *([] if children else [process])):
            try:
                os.kill(target, number)
            except ProcessLookupError:
                continue
        try:
            wait_until(f"{name} ends", lambda: process_of(name) is None, timeout_s=8)
        except RuntimeError:
            continue


def wait_until(condition_text: str, condition, timeout_s: float = 30.0) -> None:
    """
    Wait until a condition holds.

    Raises
    ------
    RuntimeError
        If it does not in time.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {timeout_s:g} s in vain until {condition_text}; logs: {FOLDER}/log")
        time.sleep(0.1)


def output(*command: str) -> str:
    """What a command says."""
    return subprocess.run(command, capture_output=True, text=True).stdout


def succeeds(*command: str) -> bool:
    """Whether a command succeeds."""
    return subprocess.run(command, capture_output=True).returncode == 0


def main() -> None:
    """Command line of the lab."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["up", "up-db", "down", "status"])
    action = parser.parse_args().action
    if action == "down":
        Lab().stop()
    elif action.startswith("up"):
        if reason := unavailable():
            sys.exit(reason)
        Lab(accounting=action == "up-db").__enter__()
    if action != "down":
        sys.stdout.write(output("sinfo", "--Node", "--format=%N %P %T %c %m %G") + output("squeue"))


if __name__ == "__main__":
    main()
