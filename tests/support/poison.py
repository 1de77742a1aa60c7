"""Values of events that nobody can use: each by name, with a word of the reason it must be given."""

POISON: dict[str, tuple[bytes, str]] = {
    "invalid UTF-8": (b'{"tenant":1,"user_id":"u\xff","event_type":"buy"}', "UTF-8"),
    "truncated": (b'{"tenant":1,"user_id":"u","event_type":"bu', "JSON"),
    "5,000 levels": (
        b'{"tenant":1,"user_id":"u","event_type":"buy","payload":{"x":%s%s}}' % (b"[" * 5000, b"]" * 5000),
        "deep",
    ),
    "400 digits": (b'{"tenant":1,"user_id":"u","event_type":"buy","payload":{"x":%s}}' % (b"9" * 400), "number"),
    "NaN": (b'{"tenant":1,"user_id":"u","event_type":"buy","payload":{"x":NaN}}', "JSON"),
    "a lone surrogate": (rb'{"tenant":1,"user_id":"u\ud800","event_type":"buy"}', "surrogate"),
    "U+0000": (rb'{"tenant":1,"user_id":"u\u0000","event_type":"buy"}', "U+0000"),
    "2 MB": (b'{"tenant":1,"user_id":"u","event_type":"buy","payload":{"x":"%s"}}' % (b"x" * 2_000_000), "32"),
}
