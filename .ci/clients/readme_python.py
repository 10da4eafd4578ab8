"""The session in Python that the README prints, against the server at HOST:PORT, the only argument."""
import contextlib
import io
import re
import sys

readme = open("../../README.md", encoding="utf-8").read()
block = re.search(r"```python\n(.*?)```", readme, re.S).group(1)
host, port = sys.argv[1].split(":")
session = block.replace('("localhost", 22133)', repr((host, int(port))))
if session == block:
    sys.exit("README: the session in Python does not say localhost, 22133")
printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    exec(session, {})
if printed.getvalue() != "b'hello'\n":
    sys.exit(f"README: the session in Python printed {printed.getvalue()!r}")
print("README, the session in Python")
