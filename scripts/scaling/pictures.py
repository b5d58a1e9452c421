"""The plots as PNG, for who has nothing that shows SVG: drawn by rsvg-convert, where that is installed."""
import shutil
import subprocess

# Of the plots' own size, for displays and for paper.
ZOOM = 2


def write_all(folder):
    """Writes a PNG beside each SVG of a folder. False where there is nothing to draw with, or it failed."""
    program = shutil.which("rsvg-convert")
    if not program:
        return False
    return all(
        subprocess.run(
            [program, "--zoom", str(ZOOM), "--background-color", "white", "--output", str(plot.with_suffix(".png")),
             str(plot)], stdin=subprocess.DEVNULL).returncode == 0
        for plot in sorted(folder.glob("*.svg")))
