"""What is printed once everything runs."""

import json
import shlex

from deploy.local.console import say
from deploy.local.rest import Api

DOCS_PATH = "/api/docs/"


def explain(api_url: str, key: str, *, with_demo: bool) -> None:
    """Print address, key, the users of each segment, and three lines to paste. Raises LocalRunError."""
    say()
    if with_demo:
        for segment in Api(api_url, key).get("/api/segments/?page_size=50")["results"]:
            users = "?" if segment["member_count"] is None else f"{segment['member_count']:,}"
            say(f"  {users:>6} users  {segment['name']} (segment {segment['id']})")
        say()
    say(f"  API   {api_url}")
    say(f"  Docs  {api_url}{DOCS_PATH}")
    say(f"  Key   {key}")
    say()
    for line in curl_lines(api_url, key):
        say(line)
    say()
    say("Ctrl-C stops everything; the data stays.")


def curl_lines(api_url: str, key: str) -> list[str]:
    """Three lines: a purchase by a new user, all segments, and those that the user is in now."""
    header = shlex.quote(f"Authorization: ApiKey {key}")
    event = shlex.quote(json.dumps({"user_id": "ada@example.org", "event_type": "purchase"}))
    track = f"curl -H {header} -H 'Content-Type: application/json' -d {event} {api_url}/api/ingestion/track/"
    lookup = f"curl -H {header} '{api_url}/api/segments/membership/?user_id=ada%40example.org'"
    return [track, f"curl -H {header} {api_url}/api/segments/", lookup]
