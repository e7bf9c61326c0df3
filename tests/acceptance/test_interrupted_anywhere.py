"""Tests that Ctrl-C ends each verb without a traceback, at whichever moment it comes.

The process sends itself the signal when it reaches a mark: the n-th event that Python tells an audit hook (a module that is
looked for, a file that is opened, a connection). So nothing depends on how fast the machine is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: The number of parts of a verb between which it is interrupted. After its last lines Python handles no signal.
MOMENTS = 6

_MARKED = """
import atexit, os, signal, sys
from {module} import {function}

at, marks, noted = int(os.environ["INTERRUPT_AT"]), 0, os.environ["INTERRUPT_MARKS"]


def marked(event, _):
    global marks
    if os.getpid() == process:
        marks += 1
        if marks == at:
            os.kill(process, signal.SIGINT)
            sys.exc_info()  # it comes here at the latest


def note():
    if not at:
        with open(noted, "w") as file:
            file.write(str(marks))


process = os.getpid()
atexit.register(note)
sys.addaudithook(marked)
{function}()
"""


def _let_in() -> None:
    """Lets a child hear Ctrl-C where the tests themselves were started without it, as by `nohup … &`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _run(words: list[str], home: Path, at: int, marked: str = _MARKED) -> subprocess.CompletedProcess[str]:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["mailhaul"].partition(":")
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MAILHAUL_")}
    variables |= {
        "INTERRUPT_AT": str(at),
        "INTERRUPT_MARKS": str(home / "marks"),
        "MAILHAUL_STATE_DIR": str(home / "state"),
    }
    script = marked.format(module=module, function=function)
    return subprocess.run(
        [sys.executable, "-P", "-c", script, *words],
        cwd=home,
        env=variables | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        preexec_fn=_let_in,
    )


def _moments(words: list[str], home: Path) -> list[int]:
    whole = _run(words, home, 0)
    assert "Traceback" not in whole.stderr
    marks = int((home / "marks").read_text())
    assert marks > 100, "the control: it reaches marks"
    return sorted({1, 2, 10, *(marks * n // MOMENTS for n in range(1, MOMENTS))})


@pytest.mark.parametrize(
    "words",
    [["list"], ["token", "list"], ["--help"], ["import", "missing.csv"]],
    ids=" ".join,
)
def test_interrupt_is_one_line_and_130_at_every_moment(words: list[str], tmp_path: Path) -> None:
    for at in _moments(words, tmp_path):
        found = _run(words, tmp_path, at)
        assert "Traceback" not in found.stderr, f"at mark {at}: {found.stderr}"
        assert "KeyboardInterrupt" not in found.stderr, f"at mark {at}: {found.stderr}"
        assert found.returncode in (130, 4 if words[0] == "import" else 130), f"at mark {at}: {found}"
        assert found.stderr.count("interrupted") == 1, f"at mark {at}: {found.stderr}"


def test_without_the_handler_it_is_a_traceback(tmp_path: Path) -> None:
    """The negative control."""
    marked = _MARKED.replace(
        "process = os", "import shared.runtime.interrupts as one\none.end_when_interrupted = lambda: None\nprocess = os"
    )
    assert any("Traceback" in _run(["list"], tmp_path, at, marked).stderr for at in _moments(["list"], tmp_path))


def test_the_launcher_holds_it_back_until_somebody_handles_it(tmp_path: Path) -> None:
    """An interrupt that is sent before Python runs is pending by then."""
    script = 'trap "" USR1; kill -INT $$; exec "$@"'
    held = ["env", "--block-signal=INT"]
    if subprocess.run([*held, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs an env that can hold a signal back")
    assert " ".join(held) in (ROOT / "mailhaul").read_text()
    found = subprocess.run(
        [*held, "bash", "-c", script, "bash", sys.executable, "-P", "-m", "producer", "list"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "MAILHAUL_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        preexec_fn=_let_in,
    )
    assert (found.returncode, found.stderr, found.stdout) == (130, "interrupted\n", "")


@pytest.mark.parametrize("verb", ["worker", "coordinator", "web"])
def test_what_takes_the_place_of_a_verb_lets_it_in_when_it_can_stop(verb: str, tmp_path: Path) -> None:
    """The signal comes while `become` starts the program: it is held back until that has a handler, and then ends it in order."""
    marked = _MARKED.replace(
        "process = os",
        "real = os.execvpe\n"
        "def held(*given):\n    os.kill(os.getpid(), signal.SIGINT)\n    real(*given)\n"
        "os.execvpe = held\nprocess = os",
    )
    redis = tmp_path / "nobody"
    os.environ.pop("MAILHAUL_REDIS_URL", None)
    marked = marked.replace("at, marks", f'os.environ["MAILHAUL_REDIS_URL"] = "unix://{redis}"\nat, marks')
    found = _run([verb], tmp_path, 0, marked)
    assert (found.returncode, "Traceback" in found.stderr) == (0, False), found.stderr
