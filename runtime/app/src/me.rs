//! A member's own view of things.
