"""Generated JSON that nobody would send: any tree, valid ones changed in places, and texts that are hardly JSON."""

import json
from typing import Any

from hypothesis import strategies as st

any_text = st.text(st.characters(exclude_categories=()), max_size=6)
"""Lone surrogates and U+0000 included."""

numbers = st.one_of(
    st.integers(-3, 12),
    st.floats(),
    st.integers(),
    st.sampled_from((0.5, 1e15, -1e15, 10**15 - 1, 10**400, -(10**309), 5e-324, 3650.0000001, 2**63, -0.0)),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, any_text)

_HOW_OFTEN = st.sampled_from((0, 0, 0, 1, 1, 2, 3))


def trees(keys: st.SearchStrategy[str], words: st.SearchStrategy[Any], max_leaves: int = 12) -> st.SearchStrategy[Any]:
    """Any JSON value; an object's keys and half of its scalars are drawn from these."""
    return st.recursive(
        st.one_of(words, scalars),
        lambda children: st.one_of(
            st.lists(children, max_size=4), st.dictionaries(st.one_of(keys, keys, any_text), children, max_size=6)
        ),
        max_leaves=max_leaves,
    )


@st.composite
def changed(draw: st.DrawFn, whole: st.SearchStrategy[Any], parts: st.SearchStrategy[Any]) -> Any:
    """A tree, changed in up to three places: a part replaced, taken out, doubled, or put under another key."""
    tree = draw(whole)
    for _ in range(draw(_HOW_OFTEN)):
        tree = _change(draw, tree, parts)
    return tree


def _change(draw: st.DrawFn, tree: Any, parts: st.SearchStrategy[Any]) -> Any:
    if not isinstance(tree, dict | list) or not tree or draw(st.integers(0, 9)) == 0:
        return draw(parts)
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    at: Any = draw(st.sampled_from(keys))
    copy: Any = dict(tree) if isinstance(tree, dict) else list(tree)
    match draw(st.integers(0, 9)):
        case 0:
            del copy[at]
        case 1 if isinstance(copy, list):
            copy += copy[at:] * draw(st.integers(1, 3))
        case 1:
            copy[draw(any_text)] = copy[at]
        case _:
            copy[at] = _change(draw, copy[at], parts)
    return copy


_TOKENS = (
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"null", b"NaN"),
    *(b"\\u0000", b"\\ud83d", b"\\ude00", b"1e400", b"-0.0", b"9" * 400, b"[" * 40, b'{"a":' * 40, b"\xef\xbb\xbf"),
)


@st.composite
def texts_of(draw: st.DrawFn, trees: st.SearchStrategy[Any]) -> bytes:
    """The JSON text of a tree, mostly with some bytes changed, left out or put in."""
    escaped = draw(st.booleans())
    body = json.dumps(draw(trees), ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    for _ in range(draw(_HOW_OFTEN)):
        start = draw(st.integers(0, len(body)))
        end = start + draw(st.sampled_from((0, 0, 1, 1, 2, 20)))
        put = draw(st.one_of(st.sampled_from(_TOKENS), st.binary(max_size=3), st.just(body[start:end] * 2)))
        body = body[:start] + put + body[end:]
    return body
