//! The queue as its clients see it: ticks, batches, events.
