"""The report as a Markdown page, from the plain values of report.json."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from segpipe.preflight.wording import share

_ITEMS = 30  # offenders of one finding on the page; report.json has all
_SIZES = 12


def page(report: Mapping[str, Any]) -> str:
    """Return the page: the verdict first, then findings, numbers, forecast."""
    sections = [
        _verdict(report),
        _findings("Errors", report["findings"], "error"),
        _findings("Warnings", report["findings"], "warning"),
        _splits(report["splits"]),
        _classes(report["classes"]),
        _files(report),
        _excluded(report["excluded"]),
        _forecast(report["forecast"]),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _verdict(report: Mapping[str, Any]) -> str:
    errors, warnings = report["errors"], report["warnings"]
    left_out = report["left_out"]
    samples = left_out + sum(split["samples"] for split in report["splits"].values())
    if errors:
        said = (
            f"**Not fit for training**: {_number(errors, 'error')}, {_number(warnings, 'warning')}."
        )
    elif warnings:
        said = f"**Fit for training**, with {_number(warnings, 'warning')} to look at."
    else:
        said = "**Fit for training**: nothing to complain of."
    but = f", of which {left_out:,} are left out" if left_out else ""
    looked = f"{samples:,} samples were read{but}, with the label scheme {_code(report['scheme'])}."
    return f"# Data report\n\n{said} {looked}"


def _findings(title: str, findings: Sequence[Mapping[str, Any]], severity: str) -> str:
    chosen = [finding for finding in findings if finding["severity"] == severity]
    parts = [f"## {title}"] if chosen else []
    for finding in chosen:
        parts.append(f"### {_code(finding['kind'])}: {_text(finding['text'])}")
        parts.append(f"What to do: {_text(finding['repair'])}.")
        if finding["items"]:
            parts.append(_items(finding["items"]))
        parts += [f"![{finding['kind']}]({picture})" for picture in finding["pictures"]]
    return "\n\n".join(parts)


def _items(items: Sequence[str]) -> str:
    lines = [f"- {_code(item)}" for item in items[:_ITEMS]]
    if len(items) > _ITEMS:
        lines.append(f"- ... and {len(items) - _ITEMS:,} more, listed in report.json")
    return "\n".join(lines)


def _splits(splits: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        (
            split,
            f"{about['samples']:,}",
            f"{about['masks']:,}",
            f"{about['groups']:,}",
            f"{about['pixels']:,}",
            "" if about["void_share"] is None else share(about["void_pixels"], about["pixels"]),
            "" if about["mean_brightness"] is None else f"{100 * about['mean_brightness']:.1f} %",
        )
        for split, about in splits.items()
    ]
    head = ("split", "samples", "masks", "groups", "labelled pixels", "void", "mean brightness")
    return "## Splits\n\n" + _table(head, rows)


def _classes(classes: Sequence[Mapping[str, Any]]) -> str:
    splits = [s for s in ("train", "val", "test") if any(c["splits"][s]["pixels"] for c in classes)]
    kinds = list(classes[0]["weights"])
    head = (
        "class",
        *(f"{split} pixels" for split in splits),
        *(f"{split} images" for split in splits),
        *(f"weight: {kind}" for kind in kinds),
    )
    rows = [
        (
            _text(each["name"]),
            *(share(each["splits"][split]["share"] or 0, 1) for split in splits),
            *(f"{each['splits'][split]['images']:,}" for split in splits),
            *(f"{each['weights'][kind]:.3g}" for kind in kinds),
        )
        for each in classes
    ]
    said = (
        "Shares are of the pixels that are not void. The weights balance the training split, each in "
        "the way of its paper (inverse frequency; median frequency: Eigen and Fergus 2015; ENet: Paszke "
        "et al. 2016; effective number: Cui et al. 2019), with a mean of 1 over the training pixels."
    )
    return f"## Classes\n\n{_table(head, rows)}\n\n{said}"


def _files(report: Mapping[str, Any]) -> str:
    sizes = list(report["image_sizes"].items())
    rows = [(name, f"{count:,}") for name, count in sizes[:_SIZES]]
    if len(sizes) > _SIZES:
        rest = sum(count for _, count in sizes[_SIZES:])
        rows.append((f"{len(sizes) - _SIZES} further sizes", f"{rest:,}"))
    table = _table(("size (height x width)", "images"), rows) if rows else "No image could be read."
    return f"## Files\n\n{table}\n\n" + "\n".join(
        f"- kinds of pixels of the {what}: {_kinds(report[key])}"
        for what, key in (("images", "image_modes"), ("masks", "mask_modes"))
    )


def _kinds(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{mode} ({count:,})" for mode, count in counts.items()) or "none read"


def _excluded(excluded: Mapping[str, int]) -> str:
    if not excluded:
        return ""
    table = _table(("label", "images"), [(_text(n), f"{count:,}") for n, count in excluded.items()])
    said = (
        "Left out by labels.exclude_images_with; an image with two such labels stands under both."
    )
    return f"## Left out\n\n{said}\n\n{table}"


def _forecast(forecast: Mapping[str, Any] | None) -> str:
    if not forecast:
        return ""
    rows = [(_text(str(key).replace("_", " ")), _value(value)) for key, value in forecast.items()]
    return f"## Memory forecast of the training\n\n{_table(('what', 'value'), rows)}"


def _value(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "not known" if value is None else _text(str(value))
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table with numbers (all columns but the first) to the right."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _text(text: str) -> str:
    """Escape what Markdown would take for markup, but in `code`, where nothing is."""
    parts = text.replace("\n", " ").split("`")
    if len(parts) % 2 == 0:
        return _escaped("\\`".join(parts))
    return "`".join(part if number % 2 else _escaped(part) for number, part in enumerate(parts))


def _escaped(text: str) -> str:
    for mark in "*_<>|[]":
        text = text.replace(mark, f"\\{mark}")
    return text


def _code(text: str) -> str:
    """Return `text` as code, fenced by more backticks than stand in it."""
    text = text.replace("\n", " ")
    fence = "`"
    while fence in text:
        fence += "`"
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}"
