//! firesteel-driver
