"""Texts in, descriptor rows out, through an OpenAI-compatible API.

Nothing here imports the model: the room stands alone, and `openai`, `datasets`, `pyarrow` and `matplotlib` are
imported only where they are used.

Example:

```python
from emodistill.annotate import Settings, annotate

report = annotate("texts.csv", "descriptors.jsonl", Settings(model="gpt-4o", max_cost=5.0))
print(report.statuses, report.cost)
```
"""

from ..descriptors.tables import TextRow, read_texts
from .normalise import VariantMap, normalise, normalise_labels
from .prompts import Prompt, list_prompts, load_prompt
from .runner import Report, annotate
from .settings import Settings
from .store import Store

__all__ = [
    "Prompt",
    "Report",
    "Settings",
    "Store",
    "TextRow",
    "VariantMap",
    "annotate",
    "list_prompts",
    "load_prompt",
    "normalise",
    "normalise_labels",
    "read_texts",
]
