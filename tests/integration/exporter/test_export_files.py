"""The place of export files, a folder and a bucket: whole files only, and those only for a while."""

import os
import time
from pathlib import Path

import pytest
from pyarrow.fs import FileSelector

from services.exporter.exports.files import GRACE_S, PARTIAL_S, ExportFiles
from shared.contracts.export_request import ExportRequest
from shared.runtime.address import Address
from tests.support.s3_server import S3Server

REQUEST = ExportRequest(7, 1, 1, 5, "csv")
KEPT_S = 100.0


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Address:
    """Once a folder that is not there yet, once a bucket."""
    if request.param == "folder":
        return Address.of(str(tmp_path / "some" / "exports"))
    server: S3Server = request.getfixturevalue("bucket")
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    return Address.of(f"s3://{server.bucket}/{tmp_path.name}")


def names(place: Address) -> list[str]:
    found = place.file_system().get_file_info(FileSelector("", allow_not_found=True))
    return sorted(info.base_name for info in found)


def test_a_file_has_its_name_when_it_is_whole(place: Address) -> None:
    files = ExportFiles(place)
    with files.new(REQUEST) as file:
        for _ in range(300):
            file.write(b"x" * 50_000)
        assert names(place) in ([], [f"{file.written.name}.partial"])
    assert names(place) == [file.written.name]
    with place.file_system().open_input_file(file.written.name) as stream:
        assert stream.read() == b"x" * 15_000_000
    assert file.written.size == 15_000_000
    with files.new(REQUEST) as other:
        other.write(b"y")
    assert names(place) == sorted([file.written.name, other.written.name]), "no attempt writes over another's file"


def test_of_a_file_that_was_given_up_nothing_stays(place: Address) -> None:
    def give_up() -> None:
        with ExportFiles(place).new(REQUEST) as file:
            file.write(b"half of it")
            raise KeyError

    with pytest.raises(KeyError):
        give_up()
    assert names(place) == []


def test_what_is_old_is_removed_and_nothing_else(place: Address) -> None:
    files = ExportFiles(place)
    with files.new(REQUEST) as file:
        file.write(b"x")
    for other in (f"{file.written.name}.partial", "7-notes.csv", "readme"):
        with place.file_system().open_output_stream(other, buffer_size=10) as stream:
            stream.write(b"x")
    everything, now_s = names(place), time.time()
    assert files.remove_old(now_s + KEPT_S + GRACE_S - 10, KEPT_S) == 1 - (KEPT_S + GRACE_S - 10 < PARTIAL_S)
    assert names(place) == [name for name in everything if not name.endswith(".partial")]
    assert files.remove_old(now_s + KEPT_S + GRACE_S + 10, KEPT_S) == 1
    assert names(place) == ["7-notes.csv", "readme"]
    assert files.remove_old(now_s, KEPT_S) == 0


def test_in_a_place_that_is_not_there_nothing_is_old(tmp_path: Path) -> None:
    assert ExportFiles(Address.of(str(tmp_path / "nowhere"))).remove_old(time.time(), KEPT_S) == 0


def test_a_full_or_forbidden_place_is_an_oserror(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("")
    with (
        pytest.raises(OSError, match=os.strerror(20)),
        ExportFiles(Address.of(str(tmp_path / "in the way" / "a"))).new(REQUEST),
    ):
        pass
