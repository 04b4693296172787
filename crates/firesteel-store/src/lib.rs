//! firesteel-store
