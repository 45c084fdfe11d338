# As PostgreSQL's own package makes it, and as that one it stays when this package goes.
getent group postgres > /dev/null || groupadd -g 26 -o -r postgres
getent passwd postgres > /dev/null \
    || useradd -M -g postgres -o -r -d /var/lib/pgsql -s /bin/bash -c "PostgreSQL Server" -u 26 postgres
