//! End to end over real sockets: journeys through the whole suite, in `tests/suite`. There is nothing to import here.
