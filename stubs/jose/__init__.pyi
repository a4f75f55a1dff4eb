# The corner of python-jose 3.5.0 that this project uses, and deliberately no more.
#
# The library has no types. What is not declared here does not type-check, so the stub is also a fence: a
# verification takes one prepared `Key` and a list of algorithms, never a raw secret and never `None`.
