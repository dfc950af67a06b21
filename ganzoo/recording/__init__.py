"""Updates played again: recorded as operations, graphs or compiled, equal to those made step by step.

In: the stages of an update, from the trainer.
Out: `Recorder`; it knows games only as stages.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
