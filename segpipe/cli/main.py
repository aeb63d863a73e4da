"""The command `segpipe`: what is done with data and models, and the start of the pipeline."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from segpipe.cli import (
    card,
    check,
    compare,
    completion,
    dashboard,
    doctor,
    export,
    import_data,
    new,
    plan,
    predict,
    promote,
    register,
    repeat,
    reproduce,
    score,
    show,
    suggest,
    sweep,
    train,
    ui,
    use,
)
from segpipe.runtime.allocation import keep_freed_memory
from segpipe.runtime.errors import did_you_mean
from segpipe.runtime.process_exit import explained, interrupted_when_told
from segpipe.runtime.version import installed_version

# The commands in the order in which a person meets them, under the headings of --help.
_GROUPS = {
    "begin": (new, import_data, check, plan, use),
    "train": (train, repeat, sweep, show, compare, ui, reproduce),
    "use a model": (predict, dashboard, score, suggest, export, card, register, promote),
    "this machine": (doctor, completion),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code.

    0, 1 for a named error, 2 for wrong usage, 130 after a Ctrl-C, 143 after a SIGTERM.
    """
    chosen = CommandParser().parse_args(arguments)
    if arguments is None:
        keep_freed_memory()  # the process is this command's own
    return explained(lambda: _run(chosen), interrupted="interrupted")


class CommandParser(argparse.ArgumentParser):
    """All commands. --help shows them in groups, and an unknown one is answered with the nearest."""

    def __init__(self) -> None:
        super().__init__(
            prog="segpipe",
            description="Semantic segmentation that a person can trust. `segpipe COMMAND --help` has "
            "examples.",
        )
        self.add_argument("--version", action=_Version, help="show the version of segpipe and exit")
        self.commands = self.add_subparsers(
            dest="command", required=True, metavar="COMMAND", parser_class=argparse.ArgumentParser
        )
        self.groups: dict[str, list[str]] = {}
        for heading, modules in _GROUPS.items():
            before = len(self.commands.choices)
            for module in modules:
                module.add_command(self.commands)
            self.groups[heading] = [*self.commands.choices][before:]

    def format_help(self) -> str:
        """Return the usage, the commands below their headings, and the options."""
        shown = {action.dest: action for action in self.commands._get_subactions()}
        made = self._get_formatter()
        made.add_usage(self.usage, self._actions, self._mutually_exclusive_groups)
        made.add_text(self.description)
        groups = {
            heading: [shown[name] for name in names] for heading, names in self.groups.items()
        }
        for heading, actions in {**groups, "options": self._optionals._group_actions}.items():
            made.start_section(heading)
            made.add_arguments(actions)
            made.end_section()
        return made.format_help()

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """End with code 2 at a command that does not exist, else do as argparse does."""
        arguments = sys.argv[1:] if args is None else list(args)
        name = next((one for one in arguments if not one.startswith("-")), None)
        if name is not None and name not in self.commands.choices:
            hint = did_you_mean(name, self.commands.choices)
            hint = hint or f"the commands are {', '.join(self.commands.choices)}"
            self.error(f"there is no command {name!r}; {hint}")
        return super().parse_known_args(arguments, namespace)


class _Version(argparse.Action):
    """Prints the version, which is looked up then alone."""

    def __init__(self, **options: Any) -> None:
        super().__init__(nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print it and exit."""
        print(f"segpipe {installed_version()}")
        parser.exit()


def _run(chosen: argparse.Namespace) -> int:
    with interrupted_when_told(by_parent=False):
        return int(chosen.run(chosen))


if __name__ == "__main__":
    sys.exit(main())
