from .looks import base_style as base_style
from .loopback import Answer as Answer
from .loopback import LoopbackServer as LoopbackServer
from .page import Options as Options
from .page import write_report as write_report
