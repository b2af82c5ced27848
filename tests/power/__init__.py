"""Power cuts, modelled: what a program does to files is recorded, and cut off anywhere."""
