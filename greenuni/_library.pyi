NAMES: str  # the modules in the library, a line of words
