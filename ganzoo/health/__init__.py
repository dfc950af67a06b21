"""How well: rules on the rows of a run's metrics, what they find, on what evidence, and what to try.

In: rows of numbers; no torch in the rules.
Out: `Finding`, for the callbacks, the doctor and the report.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
