//! What the triggers on the provider write: everything that was done, exactly, in an order in which it can be repeated.

mod statements;
