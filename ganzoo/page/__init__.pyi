from .player import play as play
from .runtime import find_runtime as find_runtime
from .space import push_page as push_page
from .writing import refuse_folder as refuse_folder
from .writing import write_page as write_page
