//! Keys come and go (to come).
