"""torchrun, with an exit code that says how the training ended.

    python -m deploy.torchrun --nnodes 4 --nproc_per_node 8 ... -m stages.train

takes torchrun's arguments, from the repository root. torchrun itself ends with 1 whatever its
processes said, and with 1 when it is asked to stop, so that a scheduler could not tell a run that
saved its state from one that failed.

With --max_restarts the machines may come and go: where one is lost, the others start their processes
again, and a machine that comes, or comes back, joins them. One that is asked to stop leaves; the others
go on.

Exit codes: 0 done; 75 the state is saved: start again; 69 a process of another machine failed; else that
of the process that failed, or 128 and the signal's number where a signal ended it.
"""

import os
import signal
import sys
import time

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous.api import RendezvousError
from torch.distributed.run import parse_args, run

from segpipe.training.distributed.launch import failed_first
from segpipe.training.distributed.signals import RESUMABLE, pass_on

# All that torchrun handles by itself but SIGTERM, for which it gives the processes 30 seconds and
# forgets how they ended.
_LEFT_TO_TORCHRUN = "SIGINT,SIGHUP,SIGQUIT"
# torch opens one store for all rounds of the rendezvous, and tells its address in the first round
# only: a machine that joins later waits for it in vain (torch 2.15). With this, each round has its own.
_A_STORE_EACH_ROUND = ("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
# Seconds that a machine stays after its processes have ended. Without the rendezvous, which one of
# them holds, the launchers of the others fail before they have seen how their own processes ended.
_LINGER = 10.0


def launch(arguments: list[str]) -> int:
    """Start and watch the processes of this machine as torchrun does; return the exit code."""
    signal.signal(signal.SIGTERM, pass_on)
    given = parse_args(["--signals_to_handle", _LEFT_TO_TORCHRUN, *arguments])  # type: ignore[no-untyped-call]
    elastic = given.max_restarts > 0
    if elastic:
        os.environ.setdefault(*_A_STORE_EACH_ROUND)
        # Passed on, it would make the processes save and end, and torchrun start them again.
        given.signals_to_handle += ",SIGTERM"
    try:
        run(given)  # type: ignore[no-untyped-call]
    except ChildFailedError as failure:
        if given.nnodes not in ("1", "1:1"):
            # The traceback of `failure` holds the rendezvous, if it is here, open for the others.
            time.sleep(_LINGER)
        return failed_first(failure)
    except RendezvousError as error:
        print(
            f"the machines did not find each other, or the one at {given.rdzv_endpoint} is gone: "
            f"{error}",
            file=sys.stderr,
        )
        return 1
    except SignalException as end:
        stopped = elastic and end.sigval == signal.SIGTERM
        return RESUMABLE if stopped else 128 + int(end.sigval)
    return 0


if __name__ == "__main__":
    sys.exit(launch(sys.argv[1:]))
