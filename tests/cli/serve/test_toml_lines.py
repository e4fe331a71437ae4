from __future__ import annotations

import json
import tomllib

from hypothesis import given
from hypothesis import strategies as st

from trio_tcp.cli._serve._toml_lines import KeyPath, lines_of_keys


def test_keys_of_every_kind_are_found() -> None:
    """Bare, quoted and dotted; in tables, arrays and arrays of tables."""
    text = """\
# a comment
listen = [
    ":8888",  # [not.a.header]
    ":8889",
]

"a key" = '''
[neither.is.this]
'''
[limits]
max_connections = 5 # [nor.this]
"max.rate".x = 1
  [limits.inner]
  y = { z = [1, { deep = 2 }] }

[[fruit]]
name = "apple"
[fruit.physical]
color = "red"
[[fruit.kinds]]
name = "a"
[[fruit.kinds]]
name = "b"
[[fruit]]
[[fruit.kinds]]
name = "c"
"""
    lines = lines_of_keys(text)
    assert lines == {
        ("listen",): 2,
        ("listen", 0): 2,
        ("listen", 1): 2,
        ("a key",): 7,
        ("limits",): 10,
        ("limits", "max_connections"): 11,
        ("limits", "max.rate"): 12,
        ("limits", "max.rate", "x"): 12,
        ("limits", "inner"): 13,
        ("limits", "inner", "y"): 14,
        ("limits", "inner", "y", "z"): 14,
        ("limits", "inner", "y", "z", 0): 14,
        ("limits", "inner", "y", "z", 1): 14,
        ("limits", "inner", "y", "z", 1, "deep"): 14,
        ("fruit",): 16,
        ("fruit", 0): 16,
        ("fruit", 0, "name"): 17,
        ("fruit", 0, "physical"): 18,
        ("fruit", 0, "physical", "color"): 19,
        ("fruit", 0, "kinds"): 20,
        ("fruit", 0, "kinds", 0): 20,
        ("fruit", 0, "kinds", 0, "name"): 21,
        ("fruit", 0, "kinds", 1): 22,
        ("fruit", 0, "kinds", 1, "name"): 23,
        ("fruit", 1): 24,
        ("fruit", 1, "kinds"): 25,
        ("fruit", 1, "kinds", 0): 25,
        ("fruit", 1, "kinds", 0, "name"): 26,
    }


def test_line_ends_of_windows_count_once() -> None:
    """And what only some programs take for the end of a line is none."""
    text = 'a = "\u2028 \u0085"\r\n\r\nb = 2'
    assert lines_of_keys(text) == {("a",): 1, ("b",): 3}


keys = st.sampled_from(
    ["a", "b", "c-d", "e_1", "two words", "dot.ted", "[x]", "=", "#"]
)

scalars = st.sampled_from(
    [
        "1",
        "inf",
        "true",
        '"plain"',
        '"[not.a.table]"',
        "'a = 1'",
        '"""one line"""',
        '"""\nthree\nlines"""',
        "'''\n[x]\na = 1\n# no comment\n'''",
        "1979-05-27",
    ]
)

arrays = st.lists(scalars, max_size=3).map(
    lambda items: "[\n" + "".join(f"  {item}, # ] \n" for item in items) + "]"
)
noise = st.sampled_from(["", "\n", "# [comment]\n", "  # x = 1\n\n"])


def key_text(key: str) -> str:
    """Write a key bare where that is possible."""
    is_bare = key.replace("-", "").replace("_", "").isalnum()
    return key if is_bare else json.dumps(key)


@st.composite
def documents(  # noqa: C901 - a kind of statement after the other
    draw: st.DrawFn,
) -> tuple[str, dict[KeyPath, int]]:
    """Write a document, and take down where each key is written."""
    text = ""
    expected: dict[KeyPath, int] = {}

    def write(statement: str, *paths: KeyPath) -> None:
        nonlocal text
        text += draw(noise)
        for path in paths:
            expected.setdefault(path, text.count("\n") + 1)
        text += f"{draw(st.sampled_from(['', '  ']))}{statement}\n"

    def write_values(table: KeyPath) -> None:
        for key in draw(st.lists(keys, unique=True, max_size=3)):
            path = (*table, key)
            match draw(st.sampled_from(["scalar", "array", "dotted", "inline"])):
                case "scalar":
                    write(f"{key_text(key)} = {draw(scalars)}", path)
                case "array":
                    array = draw(arrays)
                    size = len(tomllib.loads(f"x = {array}")["x"])
                    elements = [(*path, index) for index in range(size)]
                    write(f"{key_text(key)} = {array}", path, *elements)
                case "dotted":
                    for inner in draw(st.lists(keys, unique=True, min_size=1)):
                        name = f"{key_text(key)} . {key_text(inner)}"
                        write(f"{name} = {draw(scalars)}", path, (*path, inner))
                case _:
                    inner = draw(keys)
                    value = f"{{ {key_text(inner)} = {draw(scalars)} }}"
                    write(f"{key_text(key)} = {value}", path, (*path, inner))

    write_values(())
    for key in draw(st.lists(st.sampled_from(["t", "u v"]), unique=True)):
        if draw(st.booleans()):
            write(f"[{key_text(key)}]", (key,))
            write_values((key,))
            write(f"[{key_text(key)}.deep]", (key,), (key, "deep"))
            write_values((key, "deep"))
            continue
        for index in range(draw(st.integers(1, 3))):
            write(f"[[{key_text(key)}]]", (key,), (key, index))
            write_values((key, index))
            write(f"[{key_text(key)}.deep]", (key, index, "deep"))
            write_values((key, index, "deep"))
    return text, expected


@given(documents())
def test_each_key_is_on_the_line_where_it_was_written(
    document: tuple[str, dict[KeyPath, int]],
) -> None:
    """Whatever stands around it."""
    text, expected = document
    tomllib.loads(text)
    assert lines_of_keys(text) == expected
