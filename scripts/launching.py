"""How the scripts start the program on ranks, and the jobs that they give it."""
import json
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROGRAM = ROOT / ".build/release/pilot"


def launcher(ranks):
    """What goes before the program for so many ranks on this machine, more than it has cores if need be."""
    return ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", str(ranks)] if ranks > 1 else []


def environment(**others):
    """mpirun refuses root unless told twice, and a container may not let one rank read another's memory."""
    return os.environ | {
        "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_plm_rsh_agent": "sh",
        "OMPI_MCA_btl_vader_single_copy_mechanism": "none"} | others


def job_line(output, prompt, seed, **others):
    """A line of a batch, with the example's picture and mask."""
    job = {
        "image": str(ROOT / "examples/meadow.png"), "mask": str(ROOT / "examples/meadow-mask.png"),
        "prompt": prompt, "seed": seed, "output": output}
    return json.dumps(job | others) + "\n"
