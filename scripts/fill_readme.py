"""Put the recorded numbers into README.md: each stands before a comment with its key, as in 42%<!--section.key-->.

python scripts/fill_readme.py
"""

import json
import re

from toymodels.report import ROOT, by_key, write_atomically


def fill(text: str, numbers: dict[str, str]) -> str:
    """text with the number before each <!--key--> replaced by the recorded one; KeyError for an unknown key."""
    return re.sub(r"[^\s|(*]+<!--([\w.-]+)-->", lambda match: f"{numbers[match[1]]}<!--{match[1]}-->", text)


if __name__ == "__main__":
    book = json.loads((ROOT / "figures" / "numbers.json").read_text())
    texts = {key: entry["text"] for key, entry in by_key(book).items()}
    readme = ROOT / "README.md"
    write_atomically(readme, fill(readme.read_text(), texts))
