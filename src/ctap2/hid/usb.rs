//! Real keys (to come).
