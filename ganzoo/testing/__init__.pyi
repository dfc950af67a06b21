from .outcome import ConformanceError as ConformanceError
from .outcome import Failure as Failure
from .outcome import NotChecked as NotChecked
from .suite import Case as Case
from .suite import cases as cases
from .suite import check_plugin as check_plugin
