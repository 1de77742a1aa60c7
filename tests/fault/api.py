"""The api as a process, and segments made through it."""

import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import httpx

from tests.support.evaluators import ROOT, ServiceProcess, wait_for
from tests.support.truth import Definitions

KEY = "sk_test_0123456789abcdef"
TOKEN_SECRET = "token-secret-of-tests-0123456789abcdef"
TIMEOUT_S = 30


class ApiProcess(ServiceProcess):
    """One `python -m services.api`, on a database of the newest schema."""

    key = KEY

    def __init__(self, environ: dict[str, str], entry: list[str] | None = None) -> None:
        super().__init__("api", environ, entry)

    def client(self, timeout_s: float = TIMEOUT_S, url: str = "") -> httpx.Client:
        """A client with the key; `url`: of a proxy before this api."""
        headers = {"Authorization": f"ApiKey {self.key}"}
        return httpx.Client(base_url=url or self.url, headers=headers, timeout=timeout_s)

    def activate(self, definitions: Iterable[dict[str, Any]], within_s: float = 90) -> Definitions:
        """Create and compute a segment for each; returns them by id when all are computed."""
        with self.client() as client:
            made: Definitions = {}
            for number, definition in enumerate(definitions, start=1):
                answer = client.post("/api/segments/", json={"name": f"segment {number}", "definition": definition})
                assert answer.status_code == 201, answer.text
                made[answer.json()["id"]] = definition
            for segment_id in made:
                answer = client.post(f"/api/segments/{segment_id}/compute/")
                assert answer.status_code == 202, answer.text
            for segment_id in made:
                self.await_computed(client, segment_id, within_s)
        return made

    def await_computed(self, client: httpx.Client, segment_id: int, within_s: float) -> None:
        """Wait until the segment's last compute has come to its good end."""

        def is_computed() -> bool:
            state = client.get(f"/api/segments/{segment_id}/compute/").json()
            assert state.get("error") is None, state
            return bool(state["status"] == "computed")

        wait_for(is_computed, within_s, f"segment {segment_id} is computed")


def migrate(environ: dict[str, str]) -> None:
    """`python -m services.api migrate`."""
    command = [sys.executable, "-m", "services.api", "migrate"]
    subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True, timeout=60)
