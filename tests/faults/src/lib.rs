//! The faults that the suite must survive, with real processes of the program, in `tests/faults`. There is nothing to
//! import here.
