"""Single parameters of a parameter file changed by a command; its comments stay."""

import io
from collections.abc import Sequence

from ruamel.yaml import YAML
from ruamel.yaml.representer import RoundTripRepresenter

from segpipe.params.chosen import differing, flat
from segpipe.params.load import validate
from segpipe.params.settings import set_in, split_setting
from segpipe.runtime.yaml_file import parse_yaml


def with_settings(text: str, settings: Sequence[str], name: str) -> tuple[str, list[str]]:
    """Return the text of a parameter file after settings, and a line for each value that changes.

    settings: KEY=VALUE by dotted key, such as train.lr=0.001; the value is read as YAML. name: of the
    file, for errors. Raises ParameterError, with the nearest parameter, for a key that is none, and
    for values that the schema refuses.
    """
    before, yaml = parse_yaml(text.encode(), name), _round_trip()
    content = yaml.load(text)
    for key, value in map(split_setting, settings):
        # Of the round trip, which keeps how lists are written.
        set_in(content, key, yaml.load(value))
    written = io.StringIO()
    yaml.dump(content, written)
    after = parse_yaml(written.getvalue().encode(), name)
    validate(after, name)
    changed = differing(flat(before), flat(after), "(none)")
    lines = [f"{key}: {old} → {new}" for key, old, new in changed]
    return (written.getvalue() if lines else text), lines


def _round_trip() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 1 << 20
    yaml.Representer = _Representer
    _Representer.add_representer(
        type(None), lambda made, _: made.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml


class _Representer(RoundTripRepresenter):
    """Writes `null` where ruamel.yaml writes nothing."""
