"""A model of glibc's ld.so: which file serves a name, by which rule, after which imports."""
