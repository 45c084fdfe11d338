//! What takes both programs: a ticker inside of replay.

mod ticker;
