"""Type checker of the tests: beartype, for which an int is a float as Python's own typing rules say."""

from beartype import BeartypeConf, beartype

checker = beartype(conf=BeartypeConf(is_pep484_tower=True))
