"""What the measurement ran on, without names of machines or users."""
import os
import pathlib
import platform
import shutil
import subprocess

from launching import ROOT

from . import runs


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = (done.stdout or done.stderr).splitlines()
    return lines[0].strip() if done.returncode == 0 and lines else None


def field(path, name):
    """Of a file of `name : value` lines, the first."""
    try:
        for line in pathlib.Path(path).read_text().splitlines():
            if line.split(":")[0].strip() == name:
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return None


def caches():
    found = {}
    for index in sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction":
            found[f"L{level}"] = size
    return ", ".join(f"{level} {size}" for level, size in found.items()) or None


def vectors():
    flags = (field("/proc/cpuinfo", "flags") or "").split()
    return ", ".join(flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags) or None


def description(options):
    """Hardware, launch, binding and versions, of the machine that the script runs on."""
    memory = field("/proc/meminfo", "MemTotal")
    binding = {name: value for name, value in sorted(os.environ.items())
               if name.startswith(("OMP_", "GOMP_", "KMP_", "OMPI_MCA_", "SLURM_CPUS", "SLURM_NTASKS", "SLURM_JOB_NUM"))
               and "/" not in value}
    return {
        "processor": field("/proc/cpuinfo", "model name"), "vectors": vectors(), "caches": caches(),
        "cores": len(os.sched_getaffinity(0)), "memory": memory, "kernel": platform.release().split("-")[0],
        "virtual": "hypervisor" in (field("/proc/cpuinfo", "flags") or "").split(),
        "launch": " ".join(runs.launch(options, 2)) or "no launcher", "environment": binding,
        "pilot": first_line(str(options.program), "--version"),
        "commit": first_line("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "mpi": first_line("mpirun", "--version") if shutil.which("mpirun") else None,
        "python": platform.python_version(),
    }
