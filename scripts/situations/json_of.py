"""Print what a Python expression of the JSON `d` on standard input says."""
import json
import sys

d = json.load(sys.stdin)


def walk(v, key=""):
    """All values below v, each with the name it has."""
    yield key, v
    if isinstance(v, dict):
        for k, x in v.items():
            yield from walk(x, k)
    elif isinstance(v, list):
        for x in v:
            yield from walk(x, key)


value = eval(sys.argv[1], {"d": d, "walk": walk})
print("\n".join(map(str, value)) if isinstance(value, list) else value)
