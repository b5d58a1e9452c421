"""Folders of work that is kept, so that a program that was cut off can go on, and what must not go on in them."""

import json
from pathlib import Path


def keep_apart(file: Path, settings: dict):
    """Ends the program if `file` says that what lies beside it was made with other settings; else writes it."""
    if file.exists():
        found = json.loads(file.read_text())
        if found != settings:
            raise SystemExit(
                f"{file}: the work there was begun with {json.dumps(found)}, this is {json.dumps(settings)}; "
                "name another folder with --work, or delete that one"
            )
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(settings))
