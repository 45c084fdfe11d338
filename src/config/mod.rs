//! The ini file of a job, read into typed values.
