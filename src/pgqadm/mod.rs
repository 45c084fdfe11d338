//! The ticker and the administration of queues.
