"""A cluster of two nodes on this machine: munged, slurmctld and two slurmd from Debian's packages, on loopback, in a
directory of its own. Every process is ended by its id.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

PATIENCE_S = 90
PROGRAMS = ("munged", "slurmctld", "slurmd", "slurmstepd", "sbatch", "squeue", "scontrol", "scancel", "sinfo")

CONFIG = """
ClusterName=cutoutd
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket
CredType=cred/munge
{plugins}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SwitchType=switch/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
JobAcctGatherType=jobacct_gather/none
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.%n.pid
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool.%n
SlurmctldTimeout=10
SlurmdTimeout=10
InactiveLimit=0
KillWait=5
MinJobAge=300
ReturnToService=2
JobRequeue=1
SchedulerParameters=sched_interval=5,batch_sched_delay=0,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
Prolog={root}/prolog
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={n1_port} CPUs=1 RealMemory=1000 Feature=modern State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={n2_port} CPUs=1 RealMemory=1000 Feature=old State=UNKNOWN
PartitionName=debug Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=5
PartitionName=urgent Nodes=n1,n2 MaxTime=INFINITE State=UP PriorityTier=10
"""


def find(program):
    """Where it is; Debian calls some -wlm, and its alternatives are not there in a package that is only unpacked."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    return shutil.which(program, path=path) or shutil.which(program + "-wlm", path=path)


def why_not():
    """Why there can be no cluster here; None: there can."""
    if os.geteuid() != 0:
        return "Slurm's daemons need root"
    missing = [program for program in PROGRAMS if not find(program)]
    if missing:
        return f"without {', '.join(missing)} (Debian: munge slurmctld slurmd slurm-client)"
    environment = dict(os.environ, LD_LIBRARY_PATH=library_path())
    for program in ("munged", "slurmctld", "slurmd"):
        result = subprocess.run([find(program), "-V"], env=environment, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            return f"{program}: {result.stderr.strip()}"
    return None


def plugin_folders():
    return list((pathlib.Path(find("slurmctld")).parent.parent / "lib").glob("*/slurm-wlm"))


def library_path():
    return ":".join(str(path) for folder in plugin_folders() for path in (folder, folder.parent))


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(question, what, patience_s=PATIENCE_S):
    deadline = time.monotonic() + patience_s
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(0.1)
    return answer


class Cluster:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.processes = {}
        self.environment = dict(os.environ, SLURM_CONF=str(self.conf), LC_ALL="C")

    @property
    def conf(self):
        return self.root / "slurm.conf"

    def start(self):
        for name in ("munge", "state", "spool.n1", "spool.n2", "shared"):
            (self.root / name).mkdir(mode=0o755)
        ctld_port, n1_port, n2_port = free_ports(3)
        folders = self.find_libraries()
        (self.root / "prolog").write_text(f"#!/bin/sh\ntest ! -e {self.root}/broken.$SLURMD_NODENAME\n")
        (self.root / "prolog").chmod(0o755)
        self.conf.write_text(CONFIG.format(
            root=self.root, ctld_port=ctld_port, n1_port=n1_port, n2_port=n2_port, host=socket.gethostname().split(".")[0],
            plugins=f"PluginDir={folders[0]}" if folders else ""))
        version = subprocess.run([find("slurmd"), "-V"], capture_output=True, text=True, check=True,
                                 env=self.environment).stdout
        if int(re.search(r"(\d+)\.", version)[1]) >= 23:
            (self.root / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
        self.start_munged()
        self.start_slurmctld("-c")
        self.start_slurmd("n1")
        self.start_slurmd("n2")
        wait_for(lambda: self.states() == {"n1": "idle", "n2": "idle"}, f"two idle nodes\n{self.log()}")

    def find_libraries(self):
        """Of packages that are only unpacked: their folders of plugins, and commands that find their libraries."""
        plugins = plugin_folders()
        self.environment["LD_LIBRARY_PATH"] = library_path()
        (self.root / "bin").mkdir()
        for name in ("sbatch", "squeue", "scontrol", "scancel"):
            path = self.root / "bin" / name
            path.write_text(f"#!/bin/sh\nLD_LIBRARY_PATH={self.environment['LD_LIBRARY_PATH']} exec {find(name)} \"$@\"\n")
            path.chmod(0o755)
        return plugins

    def spawn(self, name, *words):
        with open(self.root / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(words, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                                                    stderr=log, start_new_session=True)

    def start_munged(self):
        folder = self.root / "munge"
        (folder / "key").write_bytes(os.urandom(128))
        (folder / "key").chmod(0o400)
        for path in (self.root, folder):
            path.chmod(0o755)
        self.spawn("munged", find("munged"), "--foreground", "--force", f"--socket={folder}/socket",
                   f"--key-file={folder}/key", f"--pid-file={folder}/pid", f"--log-file={folder}/log",
                   f"--seed-file={folder}/seed")
        wait_for((folder / "socket").exists, "munged")

    def start_slurmctld(self, *words):
        self.spawn("slurmctld", find("slurmctld"), "-D", *words, "-f", str(self.conf))

    def start_slurmd(self, node):
        self.spawn(node, find("slurmd"), "-D", "-N", node, "-f", str(self.conf), "-d", find("slurmstepd"))

    def kill(self, name):
        """kill -9 of one daemon."""
        process = self.processes.pop(name)
        process.kill()
        process.wait(PATIENCE_S)

    def kill_node(self, node):
        """kill -9 of a node's daemon and of those that watch its jobs; the jobs themselves go on."""
        spool = str(self.root / f"spool.{node}")
        self.kill(node)
        for pid in processes():
            if command_of(pid)[:1] == ["slurmstepd:"] or any("slurmstepd" in word for word in command_of(pid)[:1]):
                if spool in files_of(pid) or node in environment_of(pid).get("SLURMD_NODENAME", ""):
                    kill(pid)

    def recover(self):
        """What a kill leaves behind: Slurm drains a node on which a job's process ended too early for it."""
        for node, state in self.states().items():
            if state != "idle":
                self.call("scontrol", "update", f"NodeName={node}", "State=RESUME", check=False)
        return self.states() == {"n1": "idle", "n2": "idle"}

    def stop(self):
        for name in list(self.processes):
            self.kill(name)
        for pid in processes():
            if str(self.root) in " ".join(command_of(pid)) or str(self.root) in files_of(pid):
                kill(pid)

    def call(self, *words, check=True):
        return subprocess.run([find(words[0]), *words[1:]], env=self.environment, capture_output=True, text=True,
                              timeout=PATIENCE_S, check=check).stdout

    def states(self):
        rows = self.call("sinfo", "-h", "-N", "-o", "%N %T", check=False).split("\n")
        return dict(row.split() for row in rows if row)

    def jobs(self):
        """Name, state and number of every job that is known."""
        rows = self.call("squeue", "-h", "-t", "all", "-o", "%j %T %i", check=False).split("\n")
        return [tuple(row.split()) for row in rows if row]

    def log(self):
        return "\n".join(f"== {path.name}\n{path.read_text(errors='replace')[-3000:]}"
                         for path in self.root.glob("*.log"))


# Processes of this machine, as /proc shows them.


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def command_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []


def environment_of(pid):
    try:
        rows = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return {}
    return dict(row.partition("=")[::2] for row in rows if row)


def files_of(pid):
    """The command, the directory and the open files, as one text."""
    found = []
    for link in [f"/proc/{pid}/cwd", *pathlib.Path(f"/proc/{pid}/fd").glob("*")] if os.path.exists(f"/proc/{pid}/fd") else []:
        try:
            found.append(os.readlink(link))
        except OSError:
            pass
    return "\n".join(found)


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def trainers(shared):
    """Attempt (run-1.1) -> process of the jobs that train below a directory."""
    found = {}
    for pid in processes():
        words = command_of(pid)
        if words[1:3] == ["train", "--attempt"] and words[-1].startswith(str(shared)):
            found[os.path.basename(words[-1])] = pid
    return found
