from .page import Options as Options
from .page import write_report as write_report
