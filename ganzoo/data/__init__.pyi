from .feed import Feed as Feed
from .feed import describe_feed as describe_feed
from .feed import make_feed as make_feed
from .feed import normalise as normalise
from .residence import free_memory as free_memory
