"""The stages of the pipeline, one module each, started as `python -m stages.NAME`."""

import sys

from segpipe.runtime.allocation import keep_freed_memory
from segpipe.runtime.process_exit import watch_parent

# What Python's `-m` says while it looks for the module. A stage imports for seconds; if its parent dies
# in that time, it has to go as well. Worker processes and tests, which import stages too, do not watch.
if sys.argv[0] == "-m":
    watch_parent()
    keep_freed_memory()
