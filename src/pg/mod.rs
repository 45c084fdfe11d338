//! PostgreSQL: connections, names, catalog, COPY, installation of SQL.
