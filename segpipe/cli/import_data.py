"""segpipe import: what an annotation tool exports becomes a folder of images and masks."""

import argparse
from pathlib import Path
from typing import Any

from segpipe.importing.known import FORMS
from segpipe.runtime.console import say
from segpipe.runtime.errors import listing

_DESCRIPTION = """
Read what an annotation tool exports, a folder or a .zip archive, and write the layout that segpipe
trains from: images/, masks/ (PNG files of ids) and classes.csv, in the export's splits. The form is
recognised and printed. Images are linked, or copied with --copy; the export is only read, and DIR must
not exist yet. What cannot be read is named and left out, and the exit code is 1 then.
"""
_EXAMPLES = """
examples:
  segpipe import cvat-export.zip data/mine
  segpipe import ~/Downloads/roboflow data/mine --copy
  segpipe import coco2017 data/coco --form coco

forms:
"""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `import` to the command line."""
    forms = "\n".join(f"  {name:15}{what}" for name, what in FORMS.items())
    parser = commands.add_parser(
        "import",
        help="make a folder of images and masks from an annotation tool's export",
        description=_DESCRIPTION,
        epilog=f"{_EXAMPLES}{forms}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("export", type=Path, metavar="EXPORT", help="a folder or a .zip archive")
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder to be made")
    parser.add_argument(
        "--form", metavar="NAME", help="the export's form, where it is not recognised (below)"
    )
    parser.add_argument(
        "--copy", action="store_true", help="copy the images (default: link to those of the export)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from segpipe.importing.import_export import import_export  # the readers take time to import

    made = import_export(options.export, options.folder, form=options.form, copy=options.copy)
    for finding in made.findings:
        # Of images that nobody has annotated there may be a hundred thousand; faults are named all.
        items = [
            listing(finding.items, 10 if finding.kind == "not_annotated" else len(finding.items))
        ]
        say("\n".join([f"warning: {finding.text}; {finding.repair}", *filter(None, items)]))
    images = ", ".join(f"{count} {split}".rstrip() for split, count in made.splits.items())
    say(f"{made.form}: {images} images, {len(made.classes)} classes: {', '.join(made.classes)}")
    ratio = ", prepare.split.by: ratio" if made.needs_ratio_split else ""
    say(
        f"the data is in {options.folder}; in params.yaml set source.name: folder, source.path: "
        f"{options.folder}, labels.scheme: classes.csv{ratio}; then run `segpipe check`"
    )
    return 1 if made.images_left_out else 0
