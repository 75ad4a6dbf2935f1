//! Layer 4: what the program does, each operation as one readable order of steps.
