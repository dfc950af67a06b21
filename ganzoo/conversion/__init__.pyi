from .converter import Conversion as Conversion
from .converter import Converted as Converted
from .converter import Converter as Converter
from .folder import Wishes as Wishes
from .folder import write as write
from .reading.reader import read_pickle as read_pickle
from .recognition import recognise as recognise
from .restoring import restore as restore
