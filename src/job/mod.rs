//! What every job needs: the loop, signals, daemon, pidfile, log.
