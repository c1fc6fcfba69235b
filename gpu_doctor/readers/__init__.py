"""Read the files of a target; run none of its code."""
