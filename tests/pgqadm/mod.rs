//! The ticker and its administration.

mod ticker;
