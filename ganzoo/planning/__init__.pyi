from .fitting import Largest as Largest
from .fitting import divisors as divisors
from .fitting import placing as placing
from .measure import Measured as Measured
from .rehearsal import MadeUp as MadeUp
from .speed import fast_path as fast_path
from .speed import told_threads as told_threads
