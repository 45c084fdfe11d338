systemd-tmpfiles --create rlondiste.conf > /dev/null 2>&1 \
    || install -d -m 0750 -o postgres -g postgres /run/rlondiste /var/log/rlondiste /var/lib/rlondiste
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    # After an upgrade: running services go on with the new program when their batch is done.
    if [ "$1" -gt 1 ]; then
        systemctl try-restart 'rlondiste-*@*.service' || :
    fi
fi
