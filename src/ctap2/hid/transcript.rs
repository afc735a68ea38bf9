//! Recording and playing back (to come).
