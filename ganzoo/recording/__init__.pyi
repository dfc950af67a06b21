from .capture import Recorder as Recorder
from .chain import Chain as Chain
from .chain import chained as chained
from .chain import repeats as repeats
from .meter import Meter as Meter
from .recordable import recording_kind as recording_kind
from .recordings import Given as Given
from .recordings import Stage as Stage
