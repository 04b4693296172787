//! firesteel-model
