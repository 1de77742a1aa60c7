"""The places a history may lie in."""

from pathlib import Path

import pytest

from shared.history.address import HistoryAddress
from tests.support.s3_server import S3Server


@pytest.fixture(params=["folder", "bucket"])
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HistoryAddress:
    """Where the history of this test lies: once in a folder, once in a bucket."""
    if request.param == "folder":
        return HistoryAddress.of(str(tmp_path / "history"))
    server: S3Server = request.getfixturevalue("bucket")
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    return HistoryAddress.of(f"s3://{server.bucket}/{tmp_path.name}")
