"""No password gets through, however it is written."""

import pytest

from segpipe.tracking.redaction import redacted, without_credentials


@pytest.fixture(autouse=True)
def _no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URI", "PASSWORD", "TOKEN", "USERNAME"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://ann:s3cret@127.0.0.1:5000/x", "http://***@127.0.0.1:5000/x"),
        ("at 'https://ann:p@ss@example.org' twice", "at 'https://***@example.org' twice"),
        ("https://token@example.org", "https://***@example.org"),
        ("postgresql://u:s3cret@db.example.org/m", "postgresql://***@db.example.org/m"),
        ("mysql://h/m?user=a&password=s3cret&x=1", "mysql://h/m?user=a&password=***&x=1"),
        ("http://127.0.0.1/a@b and ann@example.org", "http://127.0.0.1/a@b and ann@example.org"),
    ],
)
def test_passwords_in_addresses_are_hidden(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_secrets_of_the_environment_are_hidden_wherever_they_stand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter22")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "tok-123")
    assert redacted("body: hunter22, tok-123.") == "body: ***, ***."


def test_a_password_that_breaks_its_address_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:pa/ss%20word@example.org")
    for text in ("http://ann:pa/ss%20word@example.org/api", "pa/ss%20word", "pa/ss word"):
        assert "ss" not in redacted(text)


def test_a_short_password_does_not_blacken_all_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a")
    assert redacted("a banana") == "a banana"


def test_credentials_are_taken_out_of_server_addresses() -> None:
    plain, credentials = without_credentials("https://ann:p%40ss@example.org:8443/mlflow")
    assert plain == "https://example.org:8443/mlflow"
    assert credentials == {
        "MLFLOW_TRACKING_USERNAME": "ann",
        "MLFLOW_TRACKING_PASSWORD": "p@ss",
    }


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:5000",
        "https://token@example.org",
        "postgresql://u:pw@example.org/m",
        "sqlite:////a@b/c.db",
        "http://[broken",
        "http://ann:pa/ss@example.org",
        "databricks",
    ],
)
def test_other_addresses_stay_as_they_are(address: str) -> None:
    assert without_credentials(address) == (address, {})
