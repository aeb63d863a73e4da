"""`python -m`, `dvc` and `segpipe` without the seconds of their imports.

Each stage of a `dvc repro` is a Python that imports torch, Accelerate and MLflow anew, which is most of what
a pipeline of tiny data costs. `programs()` makes a folder for the PATH with programs of these names. Each
asks a server to fork; the fork takes over the caller's arguments, folder, environment and open files, and
runs the module as `python -m` does. The server has imported libraries alone, nothing of segpipe: the code
that runs is the one that the caller's Python would have found. A signal that the program gets is handed on
to the fork, and the program ends as the fork does. It is not the fork's parent, so tests of kills use Python
itself.

Run as a program, with the number of a listening socket, this file is the server; it ends with its stdin.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from functools import cache
from pathlib import Path
from typing import NoReturn

LIBRARIES = (
    *("torch._dynamo", "torch.distributed.launcher.api", "torchvision", "accelerate", "numpy"),
    *("PIL.Image", "matplotlib.pyplot", "jinja2", "pydantic", "ruamel.yaml", "safetensors.torch"),
    *(
        "scipy.stats",
        "psutil",
        "mlflow",
        "mlflow.store.tracking.sqlalchemy_store",
        "alembic.command",
    ),
    *("dvc.cli.parser", "dvc.repo.experiments", "dvc.repo.reproduce", "dvc.stage.run"),
    *("dvc_data.hashfile.transfer", "pygit2", "dulwich.repo"),
)
# Of the server: what Python and libraries read once. Without MLflow's telemetry, which is a thread.
FIXED = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "PYTHONFAULTHANDLER": "1"}
FIXED |= {"MPLBACKEND": "agg", "MLFLOW_DISABLE_TELEMETRY": "true"}
# What the console scripts of the environment call.
SCRIPTS = {"dvc": "dvc.cli", "segpipe": "segpipe.cli.main"}

CLIENT = """#!{python} -IS
import json, os, signal, socket, sys
name, *arguments = os.path.basename(sys.argv[0]), *sys.argv[1:]
if name == "python" and arguments[:1] == ["-u"]:  # as torchrun starts its processes
    del arguments[0]
if name == "python" and arguments[:1] != ["-m"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
asked = json.dumps([name, arguments, os.getcwd(), dict(os.environ)]).encode()
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
socket.send_fds(server, [len(asked).to_bytes(8, "big")], [0, 1, 2])
server.sendall(asked)
answers = server.makefile()
fork = int(answers.readline())
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: os.kill(fork, number))
code = int(answers.readline())
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


@cache
def programs() -> Path:
    """Start the server, which lives as long as this process; return the folder of the programs."""
    folder = Path(tempfile.mkdtemp(prefix="forked-"))
    address = str(folder / "socket")
    for name in ("python", *SCRIPTS):
        (folder / name).write_text(CLIENT.format(python=sys.executable, address=address))
        (folder / name).chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(64)
        number = listening.fileno()
        server = subprocess.Popen(
            [sys.executable, __file__, str(number), str(folder)],
            stdin=subprocess.PIPE,
            env={**environment, **FIXED},
            pass_fds=[number],
        )
    atexit.register(shutil.rmtree, folder)
    atexit.register(server.communicate)  # it ends before its folder goes
    return folder


def serve(listening: socket.socket, folder: str) -> None:
    """Answer callers, each in a fork, until stdin ends."""
    while listening in select.select([listening, sys.stdin], [], [])[0]:
        with contextlib.suppress(ChildProcessError):  # of those that have ended
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        caller, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            answer(caller, folder)
        caller.close()


def answer(caller: socket.socket, folder: str) -> None:
    """Run in a fork what a caller asks for, and tell it the fork's process id and exit code."""
    size, files, *_ = socket.recv_fds(caller, 8, 3)
    with caller.makefile("rb") as content:
        name, arguments, place, environment = json.loads(content.read(int.from_bytes(size, "big")))
    fork = os.fork()
    if fork == 0:
        caller.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.chdir(place)
        os.environ.clear()
        os.environ.update(environment)
        run(name, arguments, folder)
    for file in files:
        os.close(file)
    with contextlib.suppress(BrokenPipeError):  # the caller was killed
        caller.sendall(f"{fork}\n".encode())
        code = os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])
        caller.sendall(f"{code}\n".encode())
    os._exit(0)


def run(name: str, arguments: list[str], folder: str) -> NoReturn:
    """Become the program of that name, as Python starts it, and end as it does.

    What Python does with its modules at its end is left out: all those of the server would be destroyed.
    """
    code: object = 0
    try:
        become(name, arguments, folder)
    except SystemExit as end:
        code = end.code
    except BaseException:
        code = 1
        traceback.print_exc()
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def become(name: str, arguments: list[str], folder: str) -> None:
    sys.executable = f"{folder}/python"  # of what it starts in its turn
    first = [str(Path.cwd())] if name == "python" else []
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [*first, *filter(None, paths)]
    if name == "python":
        _, module, *arguments = arguments
        sys.argv = ["-m", *arguments]
        sys.orig_argv = [sys.executable, "-m", module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.argv = [f"{folder}/{name}", *arguments]
        sys.orig_argv = [sys.executable, *sys.argv]
        sys.exit(importlib.import_module(SCRIPTS[name]).main())


if __name__ == "__main__":
    del sys.path[0]  # this file's folder
    gc.disable()
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()  # else each fork would touch, and so copy, all that was imported
    gc.enable()
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
    os._exit(0)  # without destroying what is frozen, of which nanobind warns
