"""Names and values become what MLflow takes, and stay apart from each other."""

import pytest

from segpipe.tracking.names import flat_parameters, shortened, valid_names, valid_tags


def test_nested_parameters_become_dotted_names_spelled_as_in_yaml() -> None:
    nested = {
        "train": {"lr": 1e-05, "clip": None, "compile": False, "augment": {"scale": (0.75, 1.5)}},
        "labels": {"scheme": "cityscapes19", "map": {255: "void"}},
        "empty": {},
    }
    assert flat_parameters(nested) == {
        "train.lr": "1e-05",
        "train.clip": "null",
        "train.compile": "false",
        "train.augment.scale": "[0.75, 1.5]",
        "labels.scheme": "cityscapes19",
        "labels.map.255": "void",
        "empty": "{}",
    }


def test_passwords_in_parameters_and_tags_are_hidden() -> None:
    address = "https://ann:s3cret@example.org/data"
    assert flat_parameters({"source": {"path": address}}) == {
        "source.path": "https://***@example.org/data"
    }
    assert valid_tags({"origin": address}) == {"origin": "https://***@example.org/data"}


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("iou_traffic light", "iou_traffic light"),
        ("iou_person (seated)", "iou_person _seated_"),
        ("val/miou", "val/miou"),
        ("/val//miou/", "val/miou"),
        ("../../secret", "secret"),
        ("50%", "50_"),
        ("Straße", "Straße"),
        ("", "_"),
        ("..", "_"),
        ("a" * 300, "a" * 250),
    ],
)
def test_names_are_made_valid(name: str, valid: str) -> None:
    assert valid_names([name]) == [valid]


def test_valid_names_pass_the_checks_of_mlflow() -> None:
    from mlflow.utils.validation import _validate_metric

    odd = [
        "a (b)",
        "x//y",
        "/",
        "ä/../ö",
        "tab\tnew\nline",
        "a" * 249 + "/b",
        "a.",
        "é:1",
        "(" * 400,
    ]
    for name in valid_names(odd):
        _validate_metric(name, 1.0, 0, 0)


def test_names_that_fall_together_stay_apart() -> None:
    names = valid_names(["a(b", "a)b", "a_b", "a_b_2", "x" * 300, "x" * 301])
    assert names[:4] == ["a_b", "a_b_2", "a_b_3", "a_b_2_2"]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 250 for name in names)


def test_long_values_say_how_long_they_were() -> None:
    assert shortened("x" * 6000, 6000) == "x" * 6000
    cut = shortened("x" * 6001, 6000)
    assert len(cut) == 6000
    assert cut.endswith("... (6001 characters)")
