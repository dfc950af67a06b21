from .directions import find_directions as find_directions
from .mixing import mix as mix
from .mixing import parsed_numbers as parsed_numbers
from .projection import project as project
from .sheets import along as along
from .sheets import effects as effects
from .sheets import mixing_grid as mixing_grid
