//! The records that pass between `laurel` and `laurel-trainer`.
