//! What generated routes ask before they write.
