from .reader import read_pickle as read_pickle
