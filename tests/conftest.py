"""What holds for every test: one thread a process.

The networks of the tests are so small that threads mostly wait for each other, and `make test` runs
a process a core: with a thread a core in each of them, all get in each other's way.
"""

import os

# Before anything imports torch or numpy, which read them once. Subprocesses inherit them.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
