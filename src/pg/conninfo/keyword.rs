//! The keywords of a connection string and the environment variable that stands in for each. libpq knows the same ones.

/// One keyword.
pub(super) struct Keyword {
    pub(super) name: &'static str,
    /// Read when neither the string nor a service file sets the keyword.
    pub(super) variable: Option<&'static str>,
}

const fn both(name: &'static str, variable: &'static str) -> Keyword {
    Keyword { name, variable: Some(variable) }
}

const fn only(name: &'static str) -> Keyword {
    Keyword { name, variable: None }
}

/// Every keyword that libpq accepts up to version 18, including those without effect here.
pub(super) const KEYWORDS: &[Keyword] = &[
    // Group: where
    both("service", "PGSERVICE"),
    both("host", "PGHOST"),
    both("hostaddr", "PGHOSTADDR"),
    both("port", "PGPORT"),
    both("dbname", "PGDATABASE"),
    both("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    both("target_session_attrs", "PGTARGETSESSIONATTRS"),
    // Group: who
    both("user", "PGUSER"),
    both("password", "PGPASSWORD"),
    both("passfile", "PGPASSFILE"),
    both("channel_binding", "PGCHANNELBINDING"),
    both("require_auth", "PGREQUIREAUTH"),
    both("requirepeer", "PGREQUIREPEER"),
    only("scram_client_key"),
    only("scram_server_key"),
    only("oauth_issuer"),
    only("oauth_client_id"),
    only("oauth_client_secret"),
    only("oauth_scope"),
    // Group: the session
    both("application_name", "PGAPPNAME"),
    only("fallback_application_name"),
    both("options", "PGOPTIONS"),
    both("client_encoding", "PGCLIENTENCODING"),
    only("replication"),
    both("min_protocol_version", "PGMINPROTOCOLVERSION"),
    both("max_protocol_version", "PGMAXPROTOCOLVERSION"),
    // Group: the network
    both("connect_timeout", "PGCONNECT_TIMEOUT"),
    only("keepalives"),
    only("keepalives_idle"),
    only("keepalives_interval"),
    only("keepalives_count"),
    only("tcp_user_timeout"),
    // Group: encryption
    both("sslmode", "PGSSLMODE"),
    both("requiressl", "PGREQUIRESSL"),
    both("sslnegotiation", "PGSSLNEGOTIATION"),
    both("sslcompression", "PGSSLCOMPRESSION"),
    both("sslcert", "PGSSLCERT"),
    both("sslkey", "PGSSLKEY"),
    only("sslpassword"),
    both("sslcertmode", "PGSSLCERTMODE"),
    both("sslrootcert", "PGSSLROOTCERT"),
    both("sslcrl", "PGSSLCRL"),
    both("sslcrldir", "PGSSLCRLDIR"),
    both("sslsni", "PGSSLSNI"),
    only("sslkeylogfile"),
    both("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    both("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    both("gssencmode", "PGGSSENCMODE"),
    both("krbsrvname", "PGKRBSRVNAME"),
    both("gsslib", "PGGSSLIB"),
    both("gssdelegation", "PGGSSDELEGATION"),
];

/// The keyword of this name as static text; `None` if there is no such keyword.
pub(super) fn known(name: &str) -> Option<&'static str> {
    KEYWORDS.iter().map(|keyword| keyword.name).find(|known| *known == name)
}
